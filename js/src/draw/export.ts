/** A node of the page as a stand-alone SVG: texts stay texts, drawings stay paths, canvases become images. */

import { clear } from "./colour";
import { floor, max } from "./numbers";

const STYLES = ["fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "font-size", "font-weight", "font-family", "paint-order", "display"];
const SVG = "http://www.w3.org/2000/svg";

/** Copies an SVG with the styles that its style sheet gives it. */
function styled(source: Element): Element {
  const copy = source.cloneNode(false) as Element;
  const style = getComputedStyle(source);
  for (const name of STYLES) {
    const value = style.getPropertyValue(name);
    if (value) copy.setAttribute(name, value);
  }
  for (const a of ["class", "id", "role", "tabindex", "hidden"]) copy.removeAttribute(a);
  for (const child of source.childNodes) copy.append(child instanceof Element ? styled(child) : child.cloneNode());
  return copy;
}

/** The text of a node as far as it is not cut off at its box's edge. */
function fitting(words: string, box: Element): string {
  const share = box.clientWidth && box.scrollWidth > box.clientWidth ? box.clientWidth / box.scrollWidth : 1;
  return share < 1 ? `${words.slice(0, max(1, floor(words.length * share) - 1))}\u2026` : words;
}

export function toSvg(root: HTMLElement): string {
  const frame = root.getBoundingClientRect();
  const out = document.createElementNS(SVG, "svg");
  const put = (name: string, box: DOMRect, attributes: Record<string, string | number>, words?: string): Element => {
    const node = document.createElementNS(SVG, name);
    Object.entries({ x: box.x - frame.x, y: box.y - frame.y, width: box.width, height: box.height, ...attributes }).forEach(([k, v]) => node.setAttribute(k, String(v)));
    if (words !== undefined) node.textContent = words;
    out.append(node);
    return node;
  };
  const visit = (element: Element): void => {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (style.display === "none" || box.width <= 1 || element.matches(".dre-find, .dre-keys button")) return; // gone, only there to be heard, or no part of a picture
    if (element instanceof SVGElement) {
      const copy = styled(element);
      for (const [name, value] of Object.entries({ overflow: "visible", width: box.width, height: box.height })) copy.setAttribute(name, String(value));
      put("g", box, { transform: `translate(${box.x - frame.x} ${box.y - frame.y})` }).append(copy);
      return;
    }
    if (element instanceof HTMLCanvasElement) {
      put("image", box, { href: element.toDataURL(), preserveAspectRatio: "none" });
      return;
    }
    if (!clear(style.backgroundColor)) put("rect", box, { fill: style.backgroundColor, rx: style.borderRadius });
    for (const child of element.childNodes) {
      if (child instanceof Element) visit(child);
      else if (child.textContent?.trim()) {
        const range = document.createRange();
        range.selectNodeContents(child);
        const at = range.getBoundingClientRect();
        put("text", at, { y: at.y - frame.y + at.height / 2, "dominant-baseline": "central", fill: style.color, "font-size": style.fontSize, "font-weight": style.fontWeight, "font-family": style.fontFamily }, fitting(child.textContent.trim(), element));
      }
    }
  };
  put("rect", frame, { fill: getComputedStyle(root).backgroundColor });
  visit(root);
  for (const [name, value] of Object.entries({ xmlns: SVG, width: frame.width, height: frame.height })) out.setAttribute(name, String(value));
  return new XMLSerializer().serializeToString(out);
}

/** The SVG as pixels, at `scale` pixels a CSS pixel. */
export async function toPng(svg: string, scale: number): Promise<Blob | null> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.width * scale;
  canvas.height = image.height * scale;
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve));
}
