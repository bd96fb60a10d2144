/** Importance: a row a channel, its OFIV as a bar with the spread over restarts; the unimportant middle is folded. */

import { SILENT, attr, h, keyed, labels, s, show, text } from "../dom";
import { bars } from "../bars";
import { abs, digitsAt, digitsFor, finite, fixed, floor, max, min, plural } from "../draw/numbers";
import { linear, ticks } from "../draw/scales";
import type { Scale } from "../draw/scales";
import { DIVERGED, ended } from "../protocol";
import type { Frame } from "../protocol";
import { ROWS } from "../ranking";
import type { View } from "../view";
import { besides, importanceRow, logoWidth, ROW } from "./importance_row";
import type { Row, RowState } from "./importance_row";
import { legend } from "./importance_legend";
import { panel } from "./panel";

const OVERSCAN = 6; // rows kept above and below the window of a long unfolded list
const WORDS = 140; // px of bars over which both ends can be named
const FOLD = 24; // px, high enough to be hit
const TALL = 40; // unfolded rows beyond which the list scrolls in itself

/** Mean FIV of each basin's restarts for every channel: what a disagreement looks like; [basin - 1][channel]. */
export function basinMeans(frame: Frame): Float64Array[] {
  const K = frame.ofiv.length;
  const sums: Float64Array[] = [];
  const sizes: number[] = [];
  frame.basin.forEach((basin, t) => {
    if (!basin || frame.status[t] === DIVERGED) return;
    while (sums.length < basin) {
      sums.push(new Float64Array(K));
      sizes.push(0);
    }
    sizes[basin - 1]++;
    for (let k = 0; k < K; k++) sums[basin - 1][k] += frame.fiv[t * K + k];
  });
  sums.forEach((sum, b) => sum.forEach((v, k) => (sum[k] = v / sizes[b])));
  return sums;
}

/** The range of the bars' axis: everything drawn, and zero. */
export function extent(frame: Frame, means: readonly Float64Array[], { value, low, high, difference } = bars(frame, false)): [number, number] {
  let [from, to] = [0, 0];
  const take = (v: number) => {
    if (v < from) from = v;
    else if (v > to) to = v;
  };
  for (const values of [value, low, high, (!difference && besides(frame)) || []]) values.forEach(take);
  if (!difference) frame.inconsistent.forEach((flag, k) => flag && means.forEach((m) => take(m[k])));
  if (from === 0 && to === 0) return [-1, 1];
  const pad = (to - from) * 0.03;
  return [from < 0 ? from - pad : 0, to > 0 ? to + pad : 0];
}

export function importance(view: View): HTMLElement {
  const { store } = view;
  const parts = panel("importance", "Importance");
  const keys = legend(view);
  parts.head.lastElementChild!.replaceWith(keys.node);
  const heads = {
    channel: h("span", "ch"),
    logo: h("span.col-logo"),
    motif: h("span.col-motif", "nearest motif"),
    bars: h("span.col-bars", h("bdi.cut"), h("bdi.cut")),
    spread: h("span", h("abbr", { title: "inconsistency: standard deviation over restarts" }, "incons.")),
    sharing: h("span.col-sharing", "top 5 in"),
  };
  const columns = h("div.columns", SILENT, ...Object.values(heads));
  const grid = s("path.grid");
  const zero = s("path.zero");
  const gridSvg = s("svg.gridlines", grid, zero);
  const rows = h("div.rows", { role: "listbox", tabindex: 0, "aria-label": "Channels, by importance" });
  const foldTicks = s("path");
  const foldSvg = s("svg.fold-ticks", foldTicks);
  const foldName = h("span");
  const foldWithin = h("span.about");
  const fold = h("button.fold", foldName, foldSvg, foldWithin);
  const scroller = h("div.scroller", h("div.stack", gridSvg, rows, fold));
  const axis = s("svg.plot.bar-axis", { height: 20 });
  const empty = h("p.empty", "Bars come with the first step.");
  parts.body.append(columns, scroller, axis, empty);

  const barWidth = view.width(heads.bars);
  const scrolled = view.width(scroller);
  const setRows = keyed<number, Row>(rows, (k) => importanceRow(k, `${parts.key}-${k}`));
  const setAxis = labels(axis);

  const draw = () => {
    const frame = store.frame.value;
    const meta = store.meta.value;
    void view.theme.value; // on paper the whole list is drawn
    const w = barWidth.value;
    const some = frame !== null && meta !== null && frame.ofiv.some(finite);
    for (const node of [columns, scroller, axis, keys.node]) show(node, some);
    show(empty, !some);
    attr(parts.node, { "data-stale": some && !store.current.value });
    if (!some || w === 0) return;
    const { ranking } = view;
    const { shown, above, folded } = ranking.value;
    attr(parts.node, { "data-logos": meta.logos !== undefined, "data-motifs": meta.motifs !== undefined });
    parts.node.style.setProperty("--logo", `${logoWidth(meta) + 10}px`);
    const finished = ended(frame);
    const means = basinMeans(frame);
    const shownBars = bars(frame, view.byDifference.value);
    const domain = extent(frame, means, shownBars);
    const x: Scale = linear(domain, [1, w - 1]);
    const left = heads.bars.offsetLeft;
    const stops = ticks(domain[0], domain[1], max(3, floor(w / 60)));
    const gap = folded.length ? max(ROW, FOLD) : 0;
    const top = (i: number) => i * ROW + (i >= above ? gap : 0);
    const height = shown.length * ROW + gap;

    attr(gridSvg, { height });
    attr(grid, { d: stops.map((v) => `M${(left + x(v))} 0V${height}`).join("") });
    attr(zero, { d: `M${(left + x(0))} 0V${height}` });
    const axisDigits = digitsFor(stops.length > 1 ? stops[1] - stops[0] : 1);
    setAxis(stops.map((v) => ({ x: left + x(v), y: 10, words: fixed(v, axisDigits) })));
    const long = shown.length > TALL;
    attr(scroller, { "data-long": long });
    rows.style.height = `${height}px`;
    const [first, last] = long
      ? [floor(scroller.scrollTop / ROW) - OVERSCAN, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW) + OVERSCAN]
      : [0, shown.length];
    const state: RowState = {
      frame, meta, x, bars: shownBars, width: w, means, settled: finished > 0,
      fine: digitsAt(max(-domain[0], domain[1]) / 10),
      selection: store.selection.value,
      hover: view.hoverChannel.value,
      clade: store.selection.value.clade?.length ?? null,
    };
    const visible = shown.filter((_, i) => i >= first && i <= last);
    setRows(visible, (row, _k, i) => row.update(state, top(max(0, first) + i), shown.length, max(0, first) + i));

    const open = view.unfolded.value && shown.length > ROWS;
    show(fold, folded.length > 0 || open);
    show(foldSvg, !open);
    show(foldWithin, !open);
    attr(fold, { "data-open": open });
    fold.style.top = open ? "" : `${above * ROW}px`;
    text(foldName, open ? "\u25be fewer" : `\u25b8 ${folded.length} more`);
    attr(foldSvg, { width: w, style: `left:${left}px` });
    attr(foldTicks, { d: folded.map((k) => `M${x(finite(shownBars.value[k]) ? shownBars.value[k] : 0)} 8v8`).join("") });
    const widest = max(0, ...folded.map((k) => abs(shownBars.value[k])).filter(finite));
    text(foldWithin, `all within \u00b1${fixed(widest, state.fine)}`);

    const name = store.names.value[store.target.value];
    const other = frame.other !== null && frame.other_ofiv ? (store.names.value[frame.other] ?? null) : null;
    const { difference } = shownBars;
    const ends = difference ? [`more in ${other}`, `more in ${name}`] : ["unfavoured", "favoured"];
    const said = w < WORDS ? ["", ""] : ends; // the arrows alone, where there is room for no more
    text(heads.bars.children[0], `\u25c2 ${said[0]}`);
    text(heads.bars.children[1], `${said[1]} \u25b8`);
    parts.about(
      [
        store.names.value.length > 1 ? name : plural(meta.channels, "channel"),
        finished > 0 && finished < frame.status.length && frame.state === "running" ? `${finished} of ${frame.status.length} restarts` : "",
      ].filter(Boolean).join(", "),
    );
    keys.update({
      moving: finished === 0, difference, comparable: other !== null,
      beside: other ?? (state.clade && frame.clade_ofiv ? `mean of the clade of ${state.clade}` : null),
      disagree: frame.inconsistent.some(Boolean),
    });
    text(heads.sharing, state.clade ? `top 5 of ${state.clade}` : "top 5 in");
  };
  view.effect(draw);
  view.effect(() => {
    void scrolled.value;
    void view.unfolded.value;
  });
  view.on(scroller, "scroll", draw);

  view.on(fold, "click", () => (view.unfolded.value = !view.unfolded.value));
  const channelAt = (event: Event): number | null => {
    const row = (event.target as Element).closest("[data-channel]");
    return row ? Number(row.getAttribute("data-channel")) : null;
  };
  view.hover(rows, (event) => {
    view.holdRows.value = event !== null && event.pointerType !== "touch";
    view.hoverChannel.value = event && channelAt(event);
  });
  view.on(rows, "click", (event: MouseEvent) => {
    const k = channelAt(event);
    if (k === null) return;
    if (view.pairFrom.value !== null || event.shiftKey) choosePair(view, k);
    else store.select({ channel: store.selection.value.channel === k && !store.selection.value.pair ? null : k, pair: null });
  });
  view.keys(rows, (key) => {
    const { shown } = view.ranking.value;
    const at = shown.indexOf(store.selection.value.channel ?? -1);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? shown.length - 1 : at - 1, Home: 0, End: shown.length - 1 }[key];
    if (to !== undefined) {
      const k = shown[min(shown.length - 1, max(0, to))];
      store.select({ channel: k, pair: null }, { step: true });
      const edge = shown.indexOf(k) * ROW;
      if (edge < scroller.scrollTop) scroller.scrollTop = edge;
      else if (edge + ROW > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = edge + ROW - scroller.clientHeight;
    } else if (key === "Enter" && view.pairFrom.value !== null && at >= 0) choosePair(view, shown[at]);
    else if (key === "Enter") view.unfolded.value = !view.unfolded.value;
    else if (key.toLowerCase() === "s") view.byDifference.value = !view.byDifference.value;
    else return;
    return true;
  });
  view.effect(() => {
    const { channel } = store.selection.value;
    attr(rows, { "aria-activedescendant": channel === null ? null : `${parts.key}-${channel}` });
  });
  return parts.node;
}

/** Takes one channel of a pair: with the selected one it makes the pair, alone it waits for the second. */
export function choosePair(view: View, k: number): void {
  const { store } = view;
  const first = typeof view.pairFrom.value === "number" ? view.pairFrom.value : view.pairFrom.value === null ? store.selection.value.channel : null;
  if (first === null || first === k) view.pairFrom.value = k;
  else {
    view.pairFrom.value = null;
    store.select({ pair: [first, k] });
  }
}
