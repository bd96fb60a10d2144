/** The class tree by keyboard: arrows, Home and End, Left folds, Right opens, C compares, `/` searches. */

import { max, min } from "../draw/numbers";
import type { Signal } from "../signals";
import type { Node } from "../draw/tree";
import type { View } from "../view";
import type { Shown } from "./classes";

export interface ClassActions {
  readonly view: View;
  shown(): Shown;
  readonly active: Signal<number | null>;
  /** Scrolls a row into sight. */
  reveal(id: number): void;
  choose(id: number, how?: { compare?: boolean; step?: boolean }): void;
  open(node: Node): void;
  close(node: Node): void;
}

export function classKeys(act: ClassActions, rows: HTMLElement, search: HTMLInputElement): void {
  const { view, active } = act;
  const { store } = view;

  const go = (id: number): void => {
    active.value = id;
    const { layout, grown } = act.shown();
    if (!layout || !grown!.nodes[id]?.children) act.choose(id, { step: true }); // a class is shown as one walks by
    act.reveal(id);
  };

  view.on(rows, "focus", () => {
    if (active.value === null || !act.shown().rows.includes(active.value)) active.value = store.target.value;
  });

  view.keys(rows, (key) => {
    const { rows: ids, layout, grown } = act.shown();
    const current = active.value ?? store.target.value;
    const node = layout ? (grown!.nodes[current] ?? null) : null;
    const isRow = ids.includes(current);
    let at = ids.indexOf(current);
    if (at < 0 && node && layout) {
      // On a branch: its neighbours are the rows around its middle.
      const y = layout.middle.get(current)!;
      at = layout.rows.findIndex((r) => r.top + r.height > y) - (key === "ArrowDown" ? 1 : 0);
    }
    switch (key) {
      case "ArrowDown":
        go(ids[min(ids.length - 1, at + 1)]);
        break;
      case "ArrowUp":
        go(ids[max(0, at - 1)]);
        break;
      case "Home":
        go(ids[0]);
        break;
      case "End":
        go(ids[ids.length - 1]);
        break;
      case "ArrowLeft":
        if (!node) return;
        if (!isRow) act.close(node);
        else if (node.parent) active.value = node.parent.id;
        break;
      case "ArrowRight":
        if (!node?.children) return;
        if (isRow) act.open(node);
        else go(nearest(node, ids));
        break;
      case "Enter":
      case " ":
        act.choose(current);
        break;
      case "c":
      case "C":
        act.choose(current, { compare: true });
        break;
      default:
        return;
    }
    return true;
  });

  view.shortcut("/", () => {
    search.focus();
    search.select();
  });

  view.keys(search, (key, { shiftKey }) => {
    if (key === "Escape" && search["value"] !== "") {
      search["value"] = "";
    } else if (key === "Enter" || key === "ArrowDown") {
      const first = act.shown().rows[0];
      if (first === undefined) return;
      if (key === "Enter") {
        search["value"] = "";
        act.choose(first, { compare: shiftKey });
      }
      rows.focus();
      if (key === "ArrowDown") active.value = first;
    } else return;
    search.dispatchEvent(new Event("input"));
    if (key === "Enter" && active.value !== null) act.reveal(active.value);
    return true;
  });
}

/** The first row below a branch. */
function nearest(node: Node, ids: readonly number[]): number {
  const rows = new Set(ids);
  let at: Node = node;
  while (!rows.has(at.id) && at.children) at = at.children[0];
  return at.id;
}
