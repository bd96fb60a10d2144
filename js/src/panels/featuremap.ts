/** Feature map: channels by positions of one trial, rows as in importance, the selected channel above as a profile. */

import { END, attr, h, labels, s, show, text } from "../dom";
import { paint, poolRows, size } from "../draw/canvas";
import { FEATURE_MAP, ramp } from "../draw/colour";
import { abs, count, digitsAt, fixed, floor, max, min, hundredth } from "../draw/numbers";
import { ticks } from "../draw/scales";
import { fromByte } from "../protocol";
import type { Label } from "../dom";
import type { Frame, Meta } from "../protocol";
import { arrows } from "../view";
import type { View } from "../view";
import { featureVector } from "./featurevector";
import { panel } from "./panel";

const LEFT = 34; // px, room for channel numbers
const PROFILE = 48;
const HEAT = 100;
const AXIS = 18;

export function featureMap(view: View): HTMLElement {
  const { store } = view;
  const parts = panel("featuremap", "Feature map");
  const all = h("button.link", { title: "All channels, or the important ones (F)" });
  parts.head.lastElementChild!.replaceChildren(all);
  const [positive, negative] = ["pos", "neg"].map((sign) => s(`path.profile.${sign}`));
  const zero = s("path.zero");
  const zeroLabel = s("text.axis", END, { x: LEFT - 8, dy: "0.32em" }, "0");
  const endLabel = s("text.axis", END, { x: LEFT - 8, dy: "0.32em" });
  const profile = s("svg.plot", { height: PROFILE }, zero, positive, negative, zeroLabel, endLabel);
  const canvas = h("canvas");
  const frameBox = s("rect.heat-target");
  const seams = s("path.seam");
  const texts = s("g");
  const setTexts = labels(texts);
  const over = s("svg.map-over", { height: HEAT + AXIS }, frameBox, seams, texts);
  const map = h("div.map", { tabindex: 0, role: "group", "aria-label": "Feature map: arrows move by channel" }, canvas, over);
  const read = h("p.read", { role: "status" });
  const empty = h("p.empty", "The feature map of a trial comes with its first step.");
  const vector = featureVector(view, parts);
  parts.body.append(profile, map, vector.node, read, empty);
  const width = view.width(parts.body);
  view.effect(() => {
    const frame = store.frame.value;
    const meta = store.meta.value;
    const flat = meta?.positions === 0;
    const rows = view.ranking.value.shown;
    const some = frame !== null && meta !== null && (flat ? frame.fiv.length > 0 : frame.map !== undefined);
    show(empty, !some);
    show(profile, some && !flat);
    show(map, some && !flat);
    vector.show(some && flat);
    text(parts.head.firstChild!, flat ? "Feature vector" : "Feature map");
    text(all, meta && rows.length ? (flat && rows.length === meta.channels ? "no positions at this layer" : `${rows.length} of ${meta.channels}`) : "");
    attr(parts.node, { "data-stale": some && !store.current.value });
    const w = width.value;
    if (!some || w === 0 || rows.length === 0) return;
    if (flat) vector.draw(frame, meta, w);
    else draw(frame, meta, rows, w);
  });

  function draw(frame: Frame, meta: Meta, rows: readonly number[], w: number): void {
    const { neg, bg, pos } = view.theme.value;
    const W = meta.positions;
    const inner = max(1, w - LEFT - 2);
    const { channel } = store.selection.value;
    const chosen = channel !== null && channel < meta.channels ? channel : null; // another layer may have had more
    const selected = chosen ?? rows[0];
    const basin = frame.basin[frame.restart];
    parts.about([`restart ${frame.restart}`, basin ? `basin ${basin}` : "", `ch ${selected} above`].filter(Boolean).join(", "));

    size(canvas, inner, HEAT);
    const { bytes, columns } = poolRows(frame.map!, rows, W, canvas.width);
    paint(canvas, bytes, columns, rows.length, ramp(neg, bg, pos, FEATURE_MAP).lut);

    const line = poolRows(frame.map!, [selected], W, inner);
    // One scale for all channels: a weak one looks weak.
    let [low, high] = [0, 0];
    for (const b of bytes) {
      low = min(low, fromByte(b));
      high = max(high, fromByte(b));
    }
    const span = high - low || 1;
    const y = (v: number) => ((high - v) / span) * (PROFILE - 8) + 3;
    const base = y(0);
    const [above, below] = [max, min].map((side) => {
      let d = `M${LEFT} ${base}`;
      line.bytes.forEach((b, i) => (d += `L${hundredth(LEFT + ((i + 0.5) * inner) / line.columns)} ${hundredth(y(side(0, fromByte(b))))}`));
      return `${d}L${LEFT + inner} ${base}Z`;
    });
    attr(profile, { width: w });
    attr(positive, { d: above });
    attr(negative, { d: below });
    attr(zero, { d: `M${LEFT} ${base}H${LEFT + inner}` });
    attr(zeroLabel, { y: base });
    // The upper end of the scale; what the wire cut off goes on beyond it.
    text(endLabel, `${high < 1 ? "" : "\u2265"}${fixed(high * frame.map_scale, digitsAt(frame.map_scale))}`);
    attr(endLabel, { y: y(high) });
    show(endLabel, base > 14);
    show(zeroLabel, rows[0] !== chosen || base < PROFILE - 12);

    const pitch = HEAT / rows.length;
    const at = rows.indexOf(chosen ?? -1);
    attr(over, { width: w });
    show(frameBox, at >= 0);
    if (at >= 0) attr(frameBox, { x: LEFT, y: at * pitch, width: inner, height: pitch });
    // The selected channel's number comes first; its neighbours' give way to it.
    const named = [...new Set([rows[0], rows[rows.length - 1], ...(at >= 0 ? [chosen!] : [])])].filter(
      (k) => k === chosen || ((at < 0 || abs(rows.indexOf(k) - at) * pitch > 11) && (k !== rows[0] || base < PROFILE - 12)),
    );
    const words: Label[] = named.map((k) => ({ x: LEFT - 8, y: (rows.indexOf(k) + 0.5) * pitch, words: String(k), anchor: "end", class: k === chosen ? "dre-strong" : "dre-axis" }));

    const x = (position: number) => LEFT + (position / W) * inner;
    const segments = meta.segments.length ? meta.segments : [{ name: "", start: 0, stop: W }];
    attr(seams, { d: segments.slice(1).map((g) => `M${x(g.start)} ${-PROFILE}V${HEAT}`).join("") });
    for (const g of segments) {
      const n = g.stop - g.start;
      words.push({ x: x(g.start) + 3, y: HEAT + 11, words: `${g.name} 1`.trim(), anchor: "start" });
      for (const v of ticks(0, n, max(1, floor((inner * n) / W / 90))).slice(1)) {
        const last = v > n * 0.93;
        words.push({ x: x(g.start + (last ? n : v)) - (last ? 4 : 0), y: HEAT + 11, words: count(last ? n : v), anchor: last ? "end" : "middle" });
      }
    }
    setTexts(words);
  }

  view.on(all, "click", () => (view.unfolded.value = !view.unfolded.value));
  const channelAt = (event: PointerEvent): number | null => {
    const box = canvas.getBoundingClientRect();
    const rows = view.ranking.value.shown;
    return rows[floor(((event.clientY - box.top) / box.height) * rows.length)] ?? null;
  };
  view.hover(map, (event) => {
    view.hoverChannel.value = event && channelAt(event);
    if (!event) return text(read, "");
    const { map: bytes, map_scale } = store.frame.value ?? {};
    const meta = store.meta.value;
    const box = canvas.getBoundingClientRect();
    const k = channelAt(event);
    const w = meta ? floor(((event.clientX - box.left) / box.width) * meta.positions) : -1;
    if (!meta || !bytes || k === null || w < 0 || w >= meta.positions) return text(read, "");
    const g = meta.segments.find((q) => w >= q.start && w < q.stop);
    text(read, `ch ${k}, ${g?.name ? `${g.name} ` : "position "}${count(w - (g?.start ?? 0) + 1)}: ${fixed(fromByte(bytes[k * meta.positions + w]) * (map_scale ?? NaN), digitsAt((map_scale ?? 1) / 10))}`);
  });
  view.on(map, "click", (event: PointerEvent) => {
    const channel = channelAt(event);
    if (channel !== null) store.select({ channel, pair: null });
  });
  view.keys(parts.body, (key) => {
    const rows = view.ranking.value.shown;
    const by = arrows(key)?.[0];
    if (!by || !rows.length) return;
    const at = rows.indexOf(store.selection.value.channel ?? -1);
    store.select({ channel: rows[at < 0 ? 0 : min(rows.length - 1, max(0, at + by))], pair: null }, { step: true });
    return true;
  });
  view.shortcut("f", () => all.click());
  return parts.node;
}
