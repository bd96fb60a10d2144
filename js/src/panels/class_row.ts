/** One row of the class panel: a leaf with its name and progress, or a folded clade with its count. */

import { round } from "../draw/numbers";
import { SILENT, attr, h, refill, s, show, text } from "../dom";
import { COARSE, glide } from "../view";

export interface ClassRow {
  readonly node: HTMLElement;
  update(state: ClassRowState): void;
  /** Draws it as an open branch instead: a target for pointer and keyboard over the branch's mark. */
  branch(state: BranchState): void;
}

export interface BranchState {
  readonly x: number;
  readonly y: number;
  readonly level: number;
  readonly active: boolean;
  readonly selected: boolean;
  readonly words: string;
}

export interface ClassRowState {
  readonly top: number;
  /** Where the tree has changed: by how much it was scrolled; the row then glides to its place. */
  readonly glide: number | null;
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
  /** How many classes a folded clade stands for, in words; null for a leaf. */
  readonly folded: string | null;
  /** Said on hover. */
  readonly title: string;
  readonly inClade: boolean;
  /** Part of the name that matches the search: start and length. */
  readonly match: readonly [number, number] | null;
  /** Said after the name to those who do not see the marks. */
  readonly more: string;
}

const BRANCH = COARSE ? 24 : 13; // px, the target over a branch's mark
const RING = 2 * Math.PI * 3; // circumference of the progress arc, radius 3

export function classRow(id: string): ClassRow {
  const arc = s("circle.arc", { cx: 5, cy: 5, r: 3, transform: "rotate(-90 5 5)" });
  const ring = s("circle.ring", { cx: 5, cy: 5, r: 3 });
  const dot = s("circle.dot", { cx: 5, cy: 5, r: 3.6 });
  const svg = s("svg", { width: 10, height: 10 }, ring, arc, dot);
  const name = h("bdi.cut");
  const done = h("i");
  const line = h("span.line-progress", SILENT, done);
  const more = h("span.more-classes");
  const said = h("span.hush"); // what the marks show, for those who hear the row
  const node = h("div.class", { role: "treeitem", id }, svg, name, more, said, line);
  let shown = "";
  let drawn = "";
  let at: number | null = null; // where it stands as a row
  return {
    node,
    branch({ x, y, level, active, selected, words }) {
      node.style.transform = `translate(${x - BRANCH / 2}px, ${y - BRANCH / 2}px)`;
      node.style.height = `${BRANCH}px`;
      drawn = "";
      at = null;
      node.style.width = `${BRANCH}px`;
      for (const part of [svg, name, more, said, line]) show(part, false);
      attr(node, {
        "data-branch": true, "data-active": active, "data-mark": "none", "aria-selected": selected, "aria-level": level,
        "aria-expanded": "true", "aria-label": words, title: words, "data-folded": false, "data-clade": false,
      });
    },
    update(state) {
      const key = Object.values(state).join("\n");
      if (key === drawn) return; // most rows say the same from frame to frame
      drawn = key;
      show(name, true);
      attr(node, { "data-branch": false, title: null });
      node.style.width = "";
      glide(node, state.glide === null || at === null ? null : at + state.glide, state.top);
      at = state.top;
      node.style.height = `${state.height}px`;
      const words = `${state.name}\n${state.match?.join() ?? ""}`;
      if (words !== shown) {
        shown = words;
        refill(name, ...marked(state.name, state.match));
      }
      name.title = state.title;
      attr(node, {
        "data-mark": state.mark,
        "data-active": state.active,
        "data-folded": state.folded !== null,
        "data-clade": state.inClade,
        "aria-selected": state.mark === "target",
        "aria-level": state.level,
        "aria-posinset": state.position,
        "aria-setsize": state.size,
        "aria-expanded": state.folded === null ? null : "false",
        "aria-label": null,
      });
      show(said, true);
      text(said, [state.mark === "other" && "compared", state.more, state.folded === null && state.progress < 1 && `${round(100 * state.progress)} % done`].filter(Boolean).join(", "));
      const going = state.progress < 1 && state.folded === null && state.mark === "none";
      show(svg, state.folded === null);
      show(more, state.folded !== null);
      text(more, state.folded ?? "");
      show(ring, going);
      show(arc, going && state.progress > 0);
      if (going) attr(arc, { "stroke-dasharray": `${(RING * state.progress)} ${RING}` });
      show(dot, state.mark !== "none");
      show(line, state.line && state.progress < 1);
      if (state.line) done.style.width = `${round(100 * state.progress)}%`;
    },
  };
}

/** A long name gives way before its last word, which often is what tells it from its neighbours. */
const LAST_WORD = /^(.{8,})([\s_\u2013|/:.-]\S{1,14})$/su;

function marked(name: string, match: readonly [number, number] | null): (Node | string)[] {
  const [, head, last] = LAST_WORD.exec(name) ?? [];
  if (!match) return last ? [h("span.cut", head), h("span", last)] : [name];
  const [start, length] = match;
  return [name.slice(0, start), h("mark", name.slice(start, start + length)), name.slice(start + length)];
}
