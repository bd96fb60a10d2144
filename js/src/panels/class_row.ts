/** One row of the class panel: a leaf with its name and progress, or a folded clade with its count. */

import { attr, h, s, show } from "../dom";
import { plural } from "../draw/numbers";

export interface ClassRow {
  readonly node: HTMLElement;
  update(state: ClassRowState): void;
}

export interface ClassRowState {
  readonly top: number;
  readonly height: number;
  readonly name: string;
  readonly mark: "target" | "other" | "none";
  readonly active: boolean;
  /** Share of the class's restarts done, 0 to 1. */
  readonly progress: number;
  /** Draws the progress as a line at the right: before there is a tree. */
  readonly line: boolean;
  readonly level: number;
  readonly position: number;
  readonly size: number;
  /** Classes in a folded clade; null for a leaf. */
  readonly folded: number | null;
  readonly inClade: boolean;
  /** Part of the name that matches the search: start and length. */
  readonly match: readonly [number, number] | null;
  /** Said after the name to those who do not see the marks. */
  readonly more: string;
}

const RING = 2 * Math.PI * 3; // circumference of the progress arc, radius 3

export function classRow(id: string): ClassRow {
  const arc = s("circle", { class: "dre-arc", cx: 5, cy: 5, r: 3, transform: "rotate(-90 5 5)" });
  const ring = s("circle", { class: "dre-ring", cx: 5, cy: 5, r: 3 });
  const dot = s("circle", { class: "dre-dot", cx: 5, cy: 5, r: 3.6 });
  const svg = s("svg", { width: 10, height: 10, "aria-hidden": "true" }, ring, arc, dot);
  const name = h("bdi", { class: "dre-cut" });
  const done = h("i", {});
  const line = h("span", { class: "dre-line-progress", "aria-hidden": "true" }, done);
  const node = h("div", { class: "dre-class", role: "treeitem", id }, svg, name, line);
  let shown = "";
  return {
    node,
    update(state) {
      node.style.transform = `translateY(${state.top}px)`;
      node.style.height = `${state.height}px`;
      const words = `${state.name}\n${state.match?.join() ?? ""}`;
      if (words !== shown) {
        shown = words;
        name.replaceChildren(...marked(state.name, state.match));
        name.title = state.name;
      }
      attr(node, {
        "data-mark": state.mark,
        "data-active": state.active,
        "data-folded": state.folded !== null,
        "data-clade": state.inClade,
        "aria-selected": String(state.mark === "target"),
        "aria-level": state.level,
        "aria-posinset": state.position,
        "aria-setsize": state.size,
        "aria-expanded": state.folded === null ? null : "false",
        "aria-label": `${state.name}${state.mark === "other" ? ", compared" : ""}${state.more ? `, ${state.more}` : ""}${state.folded === null && state.progress < 1 ? `, ${Math.round(100 * state.progress)} % done` : ""}`,
      });
      const going = state.progress < 1 && state.folded === null && state.mark === "none";
      show(svg, state.folded === null);
      show(ring, going);
      show(arc, going && state.progress > 0);
      if (going) attr(arc, { "stroke-dasharray": `${(RING * state.progress).toFixed(2)} ${RING.toFixed(2)}` });
      show(dot, state.mark !== "none");
      show(line, state.line && state.progress < 1);
      if (state.line) done.style.width = `${Math.round(100 * state.progress)}%`;
    },
  };
}

function marked(name: string, match: readonly [number, number] | null): (Node | string)[] {
  if (!match) return [name];
  const [start, length] = match;
  return [name.slice(0, start), h("mark", {}, name.slice(start, start + length)), name.slice(start + length)];
}

/** A folded clade's name: its first class and how many more. */
export const foldedName = (first: string, count: number): string => `${first} and ${plural(count - 1, "more", "more")}`;
