/** The picture beside the class names: branches with their support at the left, the similarity heat map at the right. */

import { finite, max, min } from "../draw/numbers";
import { SILENT, attr, h, s, show } from "../dom";
import { paint, poolMatrix, size } from "../draw/canvas";
import { ramp, SIMILARITY } from "../draw/colour";
import type { Theme } from "../draw/theme";
import { abscissa, ancestors, bracket } from "../draw/tree";
import type { Grown, Layout, Node } from "../draw/tree";
import type { Tree } from "../protocol";
import { GLIDE, still } from "../view";

/** Where a branch counts as sure, and where as doubtful: the usual readings of bootstrap support. */
export const SURE = 0.95;
export const DOUBTFUL = 0.7;
const DOT = 2.6; // px, radius of a branch's mark

const dot = (x: number, y: number): string => `M${x - DOT} ${y}a${DOT} ${DOT} 0 1 0 ${2 * DOT} 0a${DOT} ${DOT} 0 1 0 ${-2 * DOT} 0`;

export interface Choice {
  readonly target: number;
  readonly other: number | null;
  readonly clade: readonly number[] | null;
}

/** A node that stands for a class on screen: the class itself, or the folded clade it is in. */
export function standIn(grown: Grown, layout: Layout, c: number): Node | null {
  let node: Node | null = grown.nodes[c] ?? null;
  while (node && !layout.middle.has(node.id)) node = node.parent;
  return node;
}

/** Other branches, other cells: there is nothing in them to follow by eye, unlike in the names. */
const fade = (node: Element): void => {
  if (!still()) node.animate?.([{ opacity: 0 }, { opacity: 1 }], 2 * GLIDE);
};

export function branches() {
  // Classes of the paths, from the lowest to the uppermost.
  const paths = ["twig", "twig.twig-clade", "twig.twig-other", "twig.twig-target", "wedge", "sure", "fair", "doubtful"].map((kind) => s(`path.${kind}`));
  const node = s("svg.branches", ...paths);

  let drawn: unknown[] = [];
  return {
    node,
    draw(grown: Grown, layout: Layout, width: number, choice: Choice, moved: boolean): void {
      const now = [grown, layout, width, choice];
      if (now.every((v, i) => v === drawn[i])) return;
      drawn = now;
      if (moved) fade(node);
      const at = abscissa(grown.root, width - 6);
      const x = (n: Node) => 3 + at(n);
      const members = new Set(choice.clade ?? []);
      const leafX = width - 3;
      const toRow = (n: Node) => (layout.middle.has(n.id) && (!n.children || !isBranch.has(n.id)) ? leafX : x(n));
      const isBranch = new Set(layout.branches.map((b) => b.id));
      let [lines, inClade, cones] = ["", "", ""];
      for (const branch of layout.branches) {
        for (const child of branch.children!) {
          const d = bracket(child, toRow, layout.middle);
          const { first, size: n } = child;
          let inside = members.size > 0;
          for (let i = first; inside && i < first + n; i++) inside = members.has(grown.order[i]);
          if (inside && members.size > n) inClade += d;
          lines += d;
        }
      }
      for (const row of layout.rows) {
        if (!row.node.children) continue;
        const [tip, half] = [x(row.node), row.height * 0.36];
        const y = layout.middle.get(row.node.id)!;
        cones += `M${min(tip, leafX - 10)} ${y}L${leafX} ${(y - half)}V${(y + half)}Z`;
      }
      const [a, b] = [standIn(grown, layout, choice.target), choice.other === null ? null : standIn(grown, layout, choice.other)];
      const up = (from: Node | null, until: Node | null): string => {
        let d = "";
        for (let n = from; n?.parent && n !== until; n = n.parent) d += bracket(n, toRow, layout.middle);
        return d;
      };
      const meet = a && b ? (ancestors(a).find((n) => ancestors(b).includes(n)) ?? null) : null;
      const marks = ["", "", ""]; // sure, fair, doubtful
      for (const branch of layout.branches) {
        const { support } = branch;
        if (finite(support)) marks[support >= SURE ? 0 : support >= DOUBTFUL ? 1 : 2] += dot(x(branch), layout.middle.get(branch.id)!);
      }
      attr(node, { width, height: layout.height });
      [lines, inClade, up(b, meet), up(a, meet), cones, ...marks].forEach((d, i) => attr(paths[i], { d }));
    },
    /** Abscissa of a branch's mark. */
    x: (grown: Grown, width: number) => {
      const at = abscissa(grown.root, width - 6);
      return (n: Node) => 3 + at(n);
    },
  };
}

export function heatMap() {
  const canvas = h("canvas", SILENT);
  const frames = s("svg.heat-frames");
  const boxes = ["other", "target"].map((which) => [s(`rect.heat-${which}`), s(`rect.heat-${which}`)] as const); // row and column
  frames.append(...boxes.flat());
  const node = h("div.heat", canvas, frames);
  let painted: unknown[] = [];
  return {
    node,
    /** `columns`: the classes shown across; null for all, in the tree's order. */
    draw(tree: Tree, grown: Grown, layout: Layout, theme: Theme, width: number, choice: Choice, columns: readonly number[] | null, moved: boolean): void {
      const height = layout.height;
      size(canvas, width, height);
      const now = [tree, layout, theme, canvas.width, canvas.height, columns?.join()];
      if (now.some((v, i) => v !== painted[i])) {
        painted = now;
        const { lut } = ramp(theme.unlike, theme.bg, theme.like, SIMILARITY);
        const rows = { order: grown.order, edges: layout.edges };
        const across = columns ? { order: columns, edges: [...columns.keys(), columns.length] } : rows;
        const bytes = poolMatrix(tree.similarity, rows, across, canvas.width, canvas.height);
        paint(canvas, bytes, canvas.width, canvas.height, lut);
        if (moved) fade(canvas);
      }
      attr(frames, { width, height });
      const scale = width / height;
      const place = (c: number | null, [row, column]: (typeof boxes)[number], which: number) => {
        const node = c === null ? null : standIn(grown, layout, c);
        show(row, node !== null);
        show(column, node !== null);
        if (!node || c === null) return;
        const [from, to] = [layout.edges[node.first], layout.edges[node.first + node.size]];
        attr(row, { x: 0.5, y: from, width: width - 1, height: to - from });
        const half = width / (columns?.length ?? 1);
        if (columns) attr(column, { x: which * half + 1, y: 0.5, width: half - 2, height: height - 1 });
        else attr(column, { x: from * scale - 0.5, y: 0.5, width: max(2, (to - from) * scale + 1), height: height - 1 });
      };
      place(choice.other, boxes[0], 1);
      place(choice.target, boxes[1], 0);
    },
  };
}
