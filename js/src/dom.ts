/** Making nodes: HTML and SVG elements from attributes and children. Text is always text, never markup. */

import { hundredth } from "./draw/numbers";
export type Attributes = Record<string, string | number | boolean | null | undefined>;
export type Child = Node | string | number | null | undefined | false;

const SVG = "http://www.w3.org/2000/svg";

/**
 * Sets attributes that changed; `null`, `undefined` and `false` remove, `true` is the empty string
 * (`aria-` attributes say "true" and "false"); numbers to the hundredth.
 */
export function attr(node: Element, attributes: Attributes): void {
  for (const [name, given] of Object.entries(attributes)) {
    const value = typeof given === "boolean" && name.startsWith("aria-") ? String(given) : given;
    if (value === null || value === undefined || value === false) {
      if (node.hasAttribute(name)) node.removeAttribute(name);
    } else {
      const text = value === true ? "" : String(typeof value === "number" ? hundredth(value) : value);
      if (node.getAttribute(name) !== text) node.setAttribute(name, text);
    }
  }
}

type Part = Attributes | Child;

/** Attributes that many nodes have. */
export const SILENT = { "aria-hidden": "true" };
export const MIDDLE = { "text-anchor": "middle" };
export const END = { "text-anchor": "end" };

/** `tag.a.b` is the element `tag` with the classes `dre-a` and `dre-b`. */
function make(document: (tag: string) => Element, name: string, parts: Part[]): Element {
  const [tag, ...classes] = name.split(".");
  const node = document(tag);
  if (tag === "button") attr(node, { type: tag });
  if (classes.length) node.setAttribute("class", classes.map((c) => `dre-${c}`).join(" "));
  for (const part of parts) {
    if (part === null || part === undefined || part === false) continue;
    if (typeof part === "object" && !(part instanceof Node)) attr(node, part);
    else node.append(part as Node | string);
  }
  return node;
}

/** An HTML element: `h("p.empty", { title }, "Words")`. A button submits nothing. */
export function h<K extends keyof HTMLElementTagNameMap>(name: K | `${K}.${string}`, ...parts: Part[]): HTMLElementTagNameMap[K] {
  return make((tag) => document.createElement(tag), name, parts) as HTMLElementTagNameMap[K];
}

/** An SVG element. A picture is silent to readers of the page's roles unless it has a role of its own. */
export function s<K extends keyof SVGElementTagNameMap>(name: K | `${K}.${string}`, ...parts: Part[]): SVGElementTagNameMap[K] {
  const node = make((tag) => document.createElementNS(SVG, tag), name, parts);
  if (node.tagName === "svg" && !node.hasAttribute("role")) node.setAttribute("aria-hidden", "true");
  return node as SVGElementTagNameMap[K];
}

/** Sets a node's text if it changed: writing the same text again would still cost a layout. */
export function text(node: Node, value: string): void {
  if (node.textContent !== value) node.textContent = value;
}

/** Puts these in the place of all that is in a node. */
export const refill = (node: Element, ...children: (Node | string)[]): void => node.replaceChildren(...children);

/** Shows or hides a node. */
export function show(node: HTMLElement | SVGElement, visible: boolean): void {
  attr(node, { hidden: !visible });
}

/**
 * Children of `parent` for a list of keys, kept from call to call: nodes of known keys are updated in place,
 * new ones made, missing ones removed; the DOM order follows the list.
 */
export function keyed<K, N extends { node: Element }>(parent: Element, make: (key: K) => N) {
  const known = new Map<K, N>();
  return (keys: readonly K[], update: (item: N, key: K, index: number) => void): void => {
    const wanted = new Set(keys);
    for (const [key, item] of known) {
      if (!wanted.has(key)) {
        item.node.remove();
        known.delete(key);
      }
    }
    let at: Element | null = null;
    keys.forEach((key, index) => {
      let item = known.get(key);
      if (!item) known.set(key, (item = make(key)));
      const next: Element | null = at ? at.nextElementSibling : parent.firstElementChild;
      if (item.node !== next) parent.insertBefore(item.node, next);
      at = item.node;
      update(item, key, index);
    });
  };
}

/** One text on a plot: where, what, and how it is anchored. */
export interface Label {
  readonly x: number;
  readonly y: number;
  readonly words: string;
  readonly anchor?: "start" | "middle" | "end";
  readonly class?: string;
}

/** The texts of an axis, kept in place from call to call. */
export function labels(parent: Element) {
  const set = keyed<number, { node: SVGTextElement }>(parent, () => ({ node: s("text", { dy: "0.32em" }) }));
  return (all: readonly Label[]): void =>
    set([...all.keys()], ({ node }, i) => {
      const { x, y, words, anchor = "middle", class: name = "dre-axis" } = all[i];
      attr(node, { x, y, "text-anchor": anchor, class: name });
      text(node, words);
    });
}
