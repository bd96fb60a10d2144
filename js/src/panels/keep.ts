/** To keep: any panel as SVG or PNG, any table as CSV. */

import { h, refill, s } from "../dom";
import { toPng, toSvg } from "../draw/export";
import { csv, TABLES } from "../tables";
import type { View } from "../view";

const SAVE = "Save pictures and tables";
const PNG_SCALE = 3; // pixels a CSS pixel: fit for print at a panel's size on screen

export function keepMenu(view: View): HTMLElement {
  const list = h("div.menu");
  const arrow = h("summary", { "aria-label": SAVE, title: SAVE }, s("svg.icon", { viewBox: "0 0 14 14", width: 14, height: 14 }, s("path", { d: "M7 1v8M3.5 6L7 9.5L10.5 6M1.5 12.5h11" })));
  const node = h("details.keep", arrow, list);
  const item = (words: string, name: string, run: () => void) => {
    const button = h("button.link", { "aria-label": `${name} as ${words}` }, words);
    view.on(button, "click", run);
    return button;
  };
  const fill = (): void => {
    const panels = [...view.root.querySelectorAll<HTMLElement>(".dre-panel:not([hidden])")];
    const rows = panels.map((panel) => {
      const name = panel.querySelector("h2")!.textContent!;
      return h("p", h("span", name), item("SVG", name, () => save(`${name}.svg`, new Blob([toSvg(panel)]))), item("PNG", name, () => void toPng(toSvg(panel), PNG_SCALE).then((blob) => blob && save(`${name}.png`, blob))));
    });
    const tables = Object.entries(TABLES).flatMap(([name, make]) => {
      const table = make(view.store);
      return table ? [h("p", h("span", name), item("CSV", name, () => save(`${name}.csv`, new Blob([csv(table)]))))] : [];
    });
    refill(list, ...rows, ...tables);
  };
  const close = () => (node.open = false);
  view.on(node, "toggle", () => node.open && fill());
  view.on(view.root, "pointerdown", (event: Event) => !node.contains(event.target as Node) && close());
  view.keys(node, (key) => {
    if (key !== "Escape" || !node.open) return;
    close();
    arrow.focus();
    return true;
  });
  return node;
}

function save(name: string, blob: Blob): void {
  const link = h("a", { href: URL.createObjectURL(blob), download: name.replace(/[^\w.-]+/g, "-") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the download has begun by then
}
