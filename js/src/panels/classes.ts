/** Classes: the tree of their similarity with the heat map beside it; before there is one, the list with its progress. */

import { computed, signal } from "../signals";
import { SILENT, attr, h, keyed, s, show, text } from "../dom";
import { crowd, ROOM } from "../crowd";
import { abs, count, finite, fixed, max, min, plural, round } from "../draw/numbers";
import { commonWords } from "../draw/common";
import { fold, grow, layout as lay } from "../draw/tree";
import type { Grown, Layout, Node } from "../draw/tree";
import { fromByte } from "../protocol";
import type { Tree } from "../protocol";
import { COARSE } from "../view";
import type { View } from "../view";
import { classKeys } from "./class_keys";
import { legend } from "./class_legend";
import { classPointer } from "./class_pointer";
import { classRow } from "./class_row";
import type { ClassRow } from "./class_row";
import { branches, heatMap, standIn } from "./class_tree";
import { panel } from "./panel";

const PITCH = COARSE ? 24 : 15.6; // px a class, ...
const ROOMY = 24; // px: ... and at most this, where there are few
const ROWS = 64; // classes drawn one by one; of more, clades are folded
const FOLDED_ROWS = 38; // rows then: a folded clade is higher than a class
const TREE = 64; // px
const HEAT = 134; // px
const STRIPES = 44; // px, where only the two selected columns fit
const NARROW = 340; // px of panel below which only those fit
const NEAR = 300; // px above and below the window in which rows are kept

/** What the panel shows, as its keyboard sees it. */
export interface Shown {
  readonly grown: Grown | null;
  readonly layout: Layout | null;
  /** Rows top to bottom: ids of classes (and folded clades). */
  readonly rows: readonly number[];
}

export function classes(view: View): HTMLElement {
  const { store } = view;
  const parts = panel("classes", "Classes");
  const base = parts.key;

  const search = h("input", { type: "search", placeholder: "Find a class", "aria-label": "Find a class", autocomplete: "off", spellcheck: "false" });
  const glass = s("svg.icon", { viewBox: "0 0 14 14", width: 13, height: 13 }, s("path", { d: "M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9M9.3 9.3L13 13" }));
  const asTree = h("button", "Tree");
  const asList = h("button", "List");
  const find = h(
    "div.find",
    h("label.search", glass, search, h("kbd", SILENT, "/")),
    h("span.toggle", { role: "group", "aria-label": "Order of the classes" }, asTree, asList),
  );
  const tree = branches();
  const heat = heatMap();
  const rows = h("div.class-rows", { role: "tree", tabindex: 0, "aria-label": "Classes" });
  const waiting = h("p.waiting.empty");
  const inner = h("div.class-area", tree.node, heat.node, rows);
  const scroller = h("div.class-scroller", inner);
  const away = h("div.away");
  const foot = legend(view);
  parts.body.append(find, scroller, waiting, away, foot.node);

  const query = signal("");
  const wanted = signal<"tree" | "list" | null>(null); // what the reader chose
  const opened = signal<ReadonlySet<number>>(new Set());
  const closed = signal<ReadonlySet<number>>(new Set());
  const active = signal<number | null>(null); // the row or branch the keyboard is on
  const hover = signal<readonly [Node, Node] | null>(null); // the heat map's cell under the pointer
  const pointed = signal(false);
  const width = view.width(parts.body);
  const height = view.width(scroller); // re-drawn when the scroller's size changes
  const scrolled = signal(0);

  let held: Tree | null = null;
  /** The tree as drawn: while a run goes on nothing moves under the pointer. */
  const drawn = computed(() => {
    const message = store.tree.value;
    const stays = pointed.value && held && held.run === message?.run && store.frame.value?.state === "running";
    return (held = stays ? held : message);
  });
  let before: Grown | undefined;
  const grown = computed(() => {
    const message = drawn.value;
    const n = message?.order.length ?? 0;
    return message && n > 1 && n === store.names.value.length ? (before = grow(message, before?.order.length === n ? before : undefined)) : null;
  });
  const mode = computed(() => (grown.value && wanted.value !== "list" && !query.value ? "tree" : "list"));
  const pitch = computed(() => max(PITCH, min(ROOMY, ROOM[crowd(store.names.value.length)] / store.names.value.length)));
  const choice = computed(() => ({ target: store.target.value, other: store.selection.value.other, clade: store.selection.value.clade }));
  const laid = computed<Layout | null>(() => {
    if (!grown.value || mode.value !== "tree") return null;
    const { target, other } = choice.value;
    const folded = fold(grown.value, { rows: store.names.value.length <= ROWS ? Infinity : FOLDED_ROWS, keep: other === null ? [target] : [target, other], opened: opened.value, closed: closed.value });
    return lay(grown.value, folded, pitch.value);
  });
  const common = computed(() => commonWords(store.names.value));
  const words = computed(() => new Map(laid.value?.rows.map(({ node }) => [node.id, node.children ? common.value(membersOf(node, grown.value!)) : null])));
  const listed = computed(() => {
    const all = store.names.value.map((_, i) => i);
    const q = query.value;
    if (!q) return all;
    const names = store.names.value;
    return all.filter((i) => names[i].toLowerCase().includes(q)).sort((a, b) => Number(!names[a].toLowerCase().startsWith(q)) - Number(!names[b].toLowerCase().startsWith(q)));
  });
  const shown = computed<Shown>(() => ({
    grown: grown.value,
    layout: laid.value,
    rows: laid.value ? laid.value.rows.map((r) => r.node.id) : listed.value,
  }));

  const setRows = keyed<number, ClassRow>(rows, (id) => classRow(`${base}-${id}`));
  let kept: { grown: Grown; layout: Layout; target: number; top: number } | null = null;

  function draw(): void {
    const names = store.names.value;
    const frame = store.frame.value;
    const { layout } = shown.value;
    const { target, other, clade } = choice.value;
    const w = width.value;
    const small = w < NARROW;
    const treeWidth = layout ? (small ? TREE - 8 : TREE) : 0;
    const columns = small ? (other === null ? [target] : [target, other]) : null;
    const heatWidth = layout ? (columns ? (STRIPES * columns.length) / 2 : HEAT) : 0;
    const ids = shown.value.rows;
    const noTree = !grown.value && names.length > 1 && !query.value;
    const total = layout ? layout.height : ids.length * pitch.value;
    const top = (i: number) => (layout ? layout.rows[i].top : i * pitch.value);
    const tall = (i: number) => (layout ? layout.rows[i].height : pitch.value);
    const members = new Set(clade ?? []);
    const progress = frame?.class_progress;

    let moved: number | null = null;
    inner.style.height = `${total}px`;
    rows.style.paddingLeft = `${treeWidth}px`;
    rows.style.setProperty("--tree", `${treeWidth}px`);
    rows.style.setProperty("--heat", `${layout ? heatWidth + 8 : noTree && !small ? HEAT : 0}px`);
    for (const node of [tree.node, heat.node]) show(node, layout !== null);
    if (layout && grown.value && w > 0) {
      moved = keepPlace(grown.value, layout, target);
      tree.draw(grown.value, layout, treeWidth, choice.value, moved !== null); // does nothing when the first four are as before
      heat.node.style.width = `${heatWidth}px`;
      heat.draw(drawn.value!, grown.value, layout, view.theme.value, heatWidth, choice.value, columns, moved !== null);
    }

    const [from, to] = [scroller.scrollTop - NEAR, scroller.scrollTop + (scroller.clientHeight || total) + NEAR];
    const places = new Map<number, number>();
    const near: number[] = [];
    if (layout) {
      // Parents come before their parts, as a reader of the tree's roles expects.
      const at = new Map(ids.map((id, i) => [id, i]));
      const visit = (node: Node): void => {
        const i = at.get(node.id);
        if (i !== undefined) {
          places.set(node.id, i);
          if (top(i) < to && top(i) + tall(i) > from) near.push(node.id);
          return;
        }
        near.push(node.id);
        node.children!.forEach(visit);
      };
      visit(shown.value.grown!.root);
    } else {
      ids.forEach((id, i) => {
        places.set(id, i);
        if (top(i) < to && top(i) + tall(i) > from) near.push(id);
      });
    }
    const branchX = layout ? tree.x(shown.value.grown!, treeWidth) : null;
    setRows(near, (row, id) => {
      const node = layout ? shown.value.grown!.nodes[id] : null;
      const i = places.get(id);
      if (i === undefined && node) {
        const { support, size, first } = node;
        row.branch({
          x: branchX!(node), y: layout!.middle.get(id)!, level: node.depth + 1, active: active.value === id,
          selected: clade !== null && clade.length === size && members.has(shown.value.grown!.order[first]),
          words: `branch of ${size} classes${finite(support) ? `, support ${fixed(support, 2)}` : ""}: ${someNames(membersOf(node, shown.value.grown!), names)}`,
        });
        return;
      }
      const folded = node?.children ? node.size : null;
      const inside = node ? membersOf(node, shown.value.grown!) : [id];
      const word = words.value.get(id);
      const name = word?.word ?? names[inside[0]] ?? "";
      const holdsOther = folded !== null && other !== null && inside.includes(other);
      row.update({
        top: top(i!), glide: moved, height: tall(i!), name, active: active.value === id,
        mark: id === target ? "target" : id === other || holdsOther ? "other" : "none",
        progress: folded === null ? (progress?.[id] ?? 0) : 1,
        line: layout === null && !grown.value,
        level: node ? node.depth + 1 : 1,
        position: layout ? 1 + (node!.parent?.children?.indexOf(node!) ?? 0) : i! + 1,
        size: layout ? 2 : ids.length,
        folded: folded === null ? null : word ? `${count(word.among)} of ${count(folded)}` : `+${count(folded - 1)}`,
        title: node ? `${folded === null ? "" : `${plural(folded, "class", "classes")}: `}${someNames(inside, names)}` : name,
        inClade: folded === null && members.has(id),
        match: query.value && folded === null ? matchOf(name, query.value) : null,
        more: layout && id !== target && folded === null ? `similarity ${fixed(similarity(target, id), 2)}` : "",
      });
    });

    const done = frame?.class_finished.filter(Boolean).length ?? 0;
    attr(waiting, { "data-below": small });
    show(waiting, (noTree && frame !== null) || (query.value !== "" && ids.length === 0));
    text(waiting, query.value ? "No class has this in its name." : `The tree comes with the first converged restart of every class. ${count(done)} of ${count(names.length)} so far.`);
    parts.about(layout ? "similarity of favoured features" : query.value ? `${plural(ids.length, "match", "matches")}` : "in the network\u2019s order");
    parts.state(count(names.length));
    const asTreeNow = grown.value !== null && wanted.value !== "list"; // what stands there when nothing is searched for
    attr(asTree, { "aria-pressed": asTreeNow, disabled: !grown.value });
    attr(asList, { "aria-pressed": !asTreeNow });
    attr(rows, { "aria-activedescendant": active.value !== null && near.includes(active.value) ? `${base}-${active.value}` : null });
    foot.update(layout !== null, hover.value && [alike(...hover.value), called(hover.value[0]), called(hover.value[1])]);
    outOfSight(target, other, top, tall, ids);
  }

  /** The selected class keeps its place on screen when the tree re-orders; by how much that was scrolled, null where no row has moved. */
  function keepPlace(grown: Grown, layout: Layout, target: number): number | null {
    const node = standIn(grown, layout, target);
    const top = node ? layout.middle.get(node.id)! : 0;
    const from = scroller.scrollTop;
    const was = kept;
    kept = { grown, layout, target, top };
    if (!was) scroller.scrollTop = max(0, top - scroller.clientHeight / 3);
    if (!was || was.layout === layout) return null;
    if (was.target === target) scroller.scrollTop += top - was.top;
    const moved = layout.rows.some((row) => was.layout.edges[was.grown.place[grown.order[row.node.first]]] !== row.top);
    return moved ? scroller.scrollTop - from : null;
  }

  const setAway = keyed(away, (c: number) => {
    const name = h("bdi.cut");
    const where = h("span.about");
    return { node: h("button", { "data-class": c }, name, where), name, where };
  });

  function outOfSight(target: number, other: number | null, top: (i: number) => number, tall: (i: number) => number, ids: readonly number[]): void {
    const far = new Map<number, string>();
    if (scroller.scrollHeight > scroller.clientHeight + 4) {
      for (const c of [target, other]) {
        const i = c === null ? -1 : ids.indexOf(c);
        if (i < 0) continue;
        const above = top(i) + tall(i) < scroller.scrollTop;
        if (!above && top(i) < scroller.scrollTop + scroller.clientHeight) continue;
        const edge = above ? scroller.scrollTop : scroller.scrollTop + scroller.clientHeight;
        far.set(c!, `${plural(max(1, round(abs(top(i) - edge) / pitch.value)), "row")} ${above ? "above" : "below"}`);
      }
    }
    show(away, far.size > 0);
    setAway([...far.keys()], ({ node, name, where }, c) => {
      attr(node, { "data-mark": c === target ? "target" : "other" });
      text(name, store.names.value[c]);
      text(where, far.get(c)!);
    });
  }

  const similarity = (a: number, b: number): number => {
    const message = drawn.value;
    return message ? fromByte(message.similarity[a * message.order.length + b]) : NaN;
  };
  /** Of two rows of the tree: the mean over their classes, which is what the heat map shows. */
  const alike = (a: Node, b: Node): number => {
    const across = membersOf(b, grown.value!);
    let sum = 0;
    for (const c of membersOf(a, grown.value!)) for (const d of across) sum += similarity(c, d);
    return sum / (a.size * b.size);
  };
  const called = (node: Node): string => {
    const first = store.names.value[grown.value!.order[node.first]];
    return node.children ? `${words.value.get(node.id)?.word ?? first} (${plural(node.size, "class", "classes")})` : first;
  };

  view.effect(() => {
    void grown.value; // what the pointer was on may be elsewhere now
    hover.value = null;
  });
  view.effect(() => {
    void scrolled.value;
    void height.value;
    show(parts.node, store.names.value.length !== 1);
    if (store.names.value.length !== 1) draw();
  });
  view.on(scroller, "scroll", () => (scrolled.value = scroller.scrollTop));
  view.on(search, "input", () => (query.value = search["value"].trim().toLowerCase()));
  view.on(asTree, "click", () => (wanted.value = "tree"));
  view.on(asList, "click", () => (wanted.value = "list"));

  const reveal = (id: number): void => {
    const i = shown.value.rows.indexOf(id);
    const { layout } = shown.value;
    const y = i < 0 ? layout?.middle.get(id) : layout ? layout.rows[i].top : i * pitch.value;
    if (y === undefined) return;
    if (y < scroller.scrollTop) scroller.scrollTop = y - PITCH;
    else if (y + PITCH > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = y + 2 * PITCH - scroller.clientHeight;
  };
  const act = {
    view, shown: () => shown.value, active, reveal, search,
    choose(id: number, how: { compare?: boolean; step?: boolean } = {}): void {
      active.value = id;
      const { grown: g, layout } = shown.value;
      const node = layout ? g!.nodes[id] : undefined;
      if (node?.children) {
        if (shown.value.rows.includes(id)) act.open(node);
        else {
          const members = membersOf(node, g!);
          const same = store.selection.value.clade?.join() === members.join();
          store.select({ clade: same ? null : members });
        }
      } else if (how.compare) store.select({ other: id === store.target.value || id === store.selection.value.other ? null : id });
      else store.select({ target: id }, how.step ? { step: true } : {});
    },
    open(node: Node): void {
      opened.value = new Set([...opened.value, node.id]);
      closed.value = new Set([...closed.value].filter((id) => id !== node.id));
    },
    close(node: Node): void {
      closed.value = new Set([...closed.value, node.id]);
      opened.value = new Set([...opened.value].filter((id) => id !== node.id));
    },
  };
  classKeys(act, rows, search);

  classPointer(act, { rows, heat: heat.node, inner, narrow: () => width.value < NARROW }, { hover, pointed });
  view.on(away, "click", (event: Event) => {
    const c = (event.target as Element).closest("[data-class]")?.getAttribute("data-class");
    if (c) reveal(Number(c));
  });
  return parts.node;
}

const membersOf = ({ first, size }: Node, { order }: Grown): number[] => Array.from({ length: size }, (_, i) => order[first + i]);

const matchOf = (name: string, query: string): readonly [number, number] | null => {
  const at = name.toLowerCase().indexOf(query);
  return at < 0 ? null : [at, query.length];
};

const someNames = (members: readonly number[], names: readonly string[]): string =>
  members.slice(0, 3).map((c) => names[c]).join("; ") + (members.length > 3 ? "; \u2026" : "");
