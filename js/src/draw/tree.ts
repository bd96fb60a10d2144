/** The class tree: from scipy's linkage rows to nodes, which clades are folded, and where everything stands. */

import { abs, hundredth, max, min } from "./numbers";

export interface Node {
  /** Below the number of classes: that class. Else the linkage row plus that number, as scipy counts. */
  readonly id: number;
  /** Distance at which its two parts join; 0 for a class. */
  readonly height: number;
  /** Share of resamplings that have this branch; NaN where not known. */
  readonly support: number;
  /** Its classes are `order[first] .. order[first + size - 1]`. */
  readonly first: number;
  readonly size: number;
  /** Its two parts in leaf order; none for a class. */
  readonly children?: readonly Node[];
  parent: Node | null;
  depth: number;
}

export interface Grown {
  readonly root: Node;
  /** By id. */
  readonly nodes: readonly Node[];
  readonly order: ArrayLike<number>;
  /** Place of each class in `order`. */
  readonly place: Int32Array;
}

interface Linkage {
  readonly linkage: ArrayLike<number>;
  readonly order: ArrayLike<number>;
  readonly support: ArrayLike<number>;
}

/**
 * The tree of `n` classes; children stand in leaf order. An order read backwards is as good: the one nearer to the
 * tree `before` is taken, so that a tree that comes again does not turn upside down.
 */
export function grow({ linkage, order: given, support }: Linkage, before?: Grown): Grown {
  const n = given.length;
  let away = 0;
  for (let i = 0; i < n; i++) {
    const was = before?.place[given[i]] ?? i;
    away += abs(was - i) - abs(was - (n - 1 - i));
  }
  const order = before && away > 0 ? Array.from(given).reverse() : given;
  const place = new Int32Array(n);
  for (let i = 0; i < n; i++) place[order[i]] = i;
  const made: Node[] = [];
  const blank = { parent: null, depth: 0 };
  for (let c = 0; c < n; c++) made.push({ id: c, height: 0, support: NaN, first: place[c], size: 1, ...blank });
  for (let row = 0; row < n - 1; row++) {
    const parts = [made[linkage[4 * row]], made[linkage[4 * row + 1]]].sort((a, b) => a.first - b.first);
    made.push({
      id: n + row,
      height: linkage[4 * row + 2],
      support: support[row],
      first: parts[0].first,
      size: parts[0].size + parts[1].size,
      children: parts,
      ...blank,
    });
  }
  for (let id = made.length - 1; id >= n; id--) {
    for (const child of made[id].children!) {
      child.parent = made[id];
      child.depth = made[id].depth + 1;
    }
  }
  return { root: made[made.length - 1], nodes: made, order, place };
}

/** A node and all it is part of, up to the root. */
export function ancestors(node: Node | null): Node[] {
  const line: Node[] = [];
  for (let at = node; at; at = at.parent) line.push(at);
  return line;
}

export interface Folding {
  /** Rows there is room for. */
  readonly rows: number;
  /** Classes that must be seen. */
  readonly keep: readonly number[];
  /** What the reader has opened and closed by hand. */
  readonly opened: ReadonlySet<number>;
  readonly closed: ReadonlySet<number>;
}

/** Clades drawn as one row. Clades open from the root, the widest apart and largest first, while there is room. */
export function fold({ root, nodes }: Grown, { rows, keep, opened, closed }: Folding): Set<number> {
  const open = new Set<number>(opened);
  for (const c of keep) for (const node of ancestors(nodes[c] ?? null)) open.add(node.id);
  const weight = (node: Node) => node.height * Math.sqrt(node.size);
  const frontier: Node[] = [root];
  let count = 1;
  for (;;) {
    let best = -1;
    frontier.forEach((node, i) => {
      if (node.children && (best < 0 || weight(node) > weight(frontier[best]))) best = i;
    });
    if (best < 0 || count >= rows) break;
    const node = frontier[best];
    open.add(node.id);
    frontier.splice(best, 1, ...node.children!);
    count++;
  }
  const folded = new Set<number>();
  const visit = (node: Node): void => {
    if (!node.children) return;
    if (closed.has(node.id) || !open.has(node.id)) folded.add(node.id);
    else node.children.forEach(visit);
  };
  visit(root);
  return folded;
}

export interface TreeRow {
  readonly node: Node;
  readonly top: number;
  readonly height: number;
}

export interface Layout {
  /** Classes and folded clades, top to bottom. */
  readonly rows: readonly TreeRow[];
  /** Open branches, parents first. */
  readonly branches: readonly Node[];
  readonly height: number;
  /** Top of each class in leaf order, and the end: one more than there are classes. */
  readonly edges: Float64Array;
  /** Middle of any visible node, by id. */
  readonly middle: ReadonlyMap<number, number>;
}

/** A folded clade is a little higher than a class, the more the larger, at most twice. */
const rowHeight = (size: number, pitch: number): number => pitch * min(2, 1 + Math.log2(size) / 10);

export function layout({ root }: Grown, folded: ReadonlySet<number>, pitch: number): Layout {
  const rows: TreeRow[] = [];
  const branches: Node[] = [];
  const edges = new Float64Array(root.size + 1);
  const middle = new Map<number, number>();
  let top = 0;
  const visit = (node: Node): number => {
    const { id, size, first } = node;
    let y: number;
    if (!node.children || folded.has(id)) {
      const height = rowHeight(size, pitch);
      rows.push({ node, top, height });
      for (let i = 0; i < size; i++) edges[first + i] = top + (height * i) / size;
      y = top + height / 2;
      top += height;
    } else {
      branches.push(node);
      const ys = node.children.map(visit);
      y = (ys[0] + ys[ys.length - 1]) / 2;
    }
    middle.set(id, y);
    return y;
  };
  visit(root);
  edges[root.size] = top;
  return { rows, branches, height: top, edges, middle };
}

/** Abscissa of a node: square-root heights, the root at 0, the classes at `width`. */
export function abscissa(root: Node, width: number): (node: Node) => number {
  const full = Math.sqrt(max(root.height, 1e-9));
  return (node) => width * (1 - Math.sqrt(max(0, node.height)) / full);
}

/** The bracket from a node's parent to the node, as path data. */
export const bracket = (node: Node, at: (node: Node) => number, middle: ReadonlyMap<number, number>): string => {
  const from = node.parent!;
  return `M${hundredth(at(from))} ${hundredth(middle.get(from.id)!)}V${hundredth(middle.get(node.id)!)}H${hundredth(at(node))}`;
};
