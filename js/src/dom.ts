/** Making nodes: HTML and SVG elements from attributes and children. Text is always text, never markup. */

export type Attributes = Record<string, string | number | boolean | null | undefined>;
export type Child = Node | string | number | null | undefined | false;

const SVG = "http://www.w3.org/2000/svg";

/** Sets attributes that changed; `null`, `undefined` and `false` remove, `true` is the empty string. */
export function attr(node: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) {
      if (node.hasAttribute(name)) node.removeAttribute(name);
    } else {
      const text = value === true ? "" : String(value);
      if (node.getAttribute(name) !== text) node.setAttribute(name, text);
    }
  }
}

function fill<E extends Element>(node: E, attributes: Attributes, children: Child[]): E {
  attr(node, attributes);
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  return fill(document.createElementNS(SVG, tag) as SVGElementTagNameMap[K], attributes, children);
}

/** Sets a node's text if it changed: writing the same text again would still cost a layout. */
export function text(node: Node, value: string): void {
  if (node.textContent !== value) node.textContent = value;
}

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
