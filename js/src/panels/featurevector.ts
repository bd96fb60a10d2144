/** Feature vector: what stands in the feature map's place where a layer has no positions: channels by restarts, by basin. */

import { attr, h, keyed, labels, s, show } from "../dom";
import { paint, size } from "../draw/canvas";
import { FEATURE_MAP, ramp } from "../draw/colour";
import { finite, floor, max, min, plural, round } from "../draw/numbers";
import { symmetricLimit } from "../draw/scales";
import type { Frame, Meta } from "../protocol";
import type { View } from "../view";
import { basinClass, basinMark } from "./panel";
import type { PanelParts } from "./panel";

const LEFT = 34; // px, room for channel numbers
const ROW = 22; // px, where the panel has the left column to itself, ...
const LOW = 12; // ... and beside convergence, ...
const THIN = 4; // ... and where all of many channels are shown
const MANY = 40;
const MARKS = 20; // px, room for the basins' marks above
const NAMES = 22; // px, room for the basins' names below
const LETTER = 6; // px, of a name
const GAP = 8; // px between two basins

/** Restarts by basin, best basin first; those without one come last. */
export function byBasin(frame: Frame): { basin: number; restarts: number[] }[] {
  const groups = new Map<number, number[]>();
  frame.basin.forEach((basin, t) => {
    if (!Number.isNaN(frame.fiv[t * frame.ofiv.length])) groups.set(basin, [...(groups.get(basin) ?? []), t]);
  });
  return [...groups].map(([basin, restarts]) => ({ basin, restarts })).sort((a, b) => (a.basin || Infinity) - (b.basin || Infinity));
}

export function featureVector(view: View, parts: PanelParts) {
  const canvas = h("canvas");
  const texts = s("g");
  const marks = s("g");
  const frameBox = s("rect.heat-target");
  const svg = s("svg.map-over", texts, marks, frameBox);
  const node = h("div.vector", { tabindex: 0, role: "group", "aria-label": "Feature vectors: arrows move by channel" }, canvas, svg);
  const setTexts = labels(texts);
  const setMarks = keyed<number, { node: SVGPathElement }>(marks, () => ({ node: s("path") }));

  const rowHeight = () => (view.ranking.value.shown.length > MANY ? THIN : view.store.names.value.length === 1 ? ROW : LOW);

  view.on(node, "click", (event: MouseEvent) => {
    const at = floor((event.clientY - canvas.getBoundingClientRect().top) / rowHeight());
    const channel = view.ranking.value.shown[at];
    if (channel !== undefined) view.store.select({ channel, pair: null });
  });

  return {
    node,
    show: (visible: boolean) => show(node, visible),
    draw(frame: Frame, _meta: Meta, w: number): void {
      const { neg, bg, pos } = view.theme.value;
      const K = frame.ofiv.length;
      const rows = view.ranking.value.shown;
      const groups = byBasin(frame);
      const row = rowHeight();
      const inner = w - LEFT;
      const total = groups.reduce((n, g) => n + g.restarts.length, 0);
      const cell = (inner - GAP * max(0, groups.length - 1)) / max(1, total);
      const height = rows.length * row;
      parts.about("every restart, by basin");
      size(canvas, inner, height);
      const ratio = canvas.width / inner;
      const limit = symmetricLimit(frame.fiv.filter(finite));
      const bytes = new Uint8Array(canvas.width * canvas.height).fill(128);
      const chosen = view.store.selection.value.channel;
      const gap = cell > 6 ? 1 : 0; // cells part where there is room
      const centres = new Map<number, number>();
      let left = 0;
      for (const group of groups) {
        for (const t of group.restarts) {
          const [from, to] = [round(left * ratio), round((left + cell - gap) * ratio)];
          rows.forEach((k, i) => {
            const byte = round(128 + 127 * max(-1, min(1, frame.fiv[t * K + k] / limit)));
            for (let y = round(i * row * ratio); y < round(((i + 1) * row - 1) * ratio); y++) bytes.fill(byte, y * canvas.width + from, y * canvas.width + to);
          });
          centres.set(t, LEFT + left + (cell - gap) / 2);
          left += cell;
        }
        left += GAP;
      }
      paint(canvas, bytes, canvas.width, canvas.height, ramp(neg, bg, pos, FEATURE_MAP).lut);
      attr(svg, { width: w, height: height + MARKS + NAMES });
      setMarks([...centres.keys()], ({ node: mark }, t) => {
        const basin = frame.basin[t] || 1;
        attr(mark, { d: basinMark(basin, min(3.4, cell / 3)), class: basinClass(basin), transform: `translate(${centres.get(t)!} ${MARKS / 2})` });
        show(mark, frame.basin[t] > 0);
      });
      setTexts([
        ...rows.map((k, i) => ({ x: LEFT - 8, y: MARKS + (i + 0.5) * row, words: row > THIN || k === chosen ? String(k) : "", anchor: "end" as const, class: k === chosen ? "dre-strong" : "" })),
        ...groups.map(({ basin, restarts }) => {
          const whole = `${basin ? `basin ${basin}, ` : ""}${plural(restarts.length, "restart")}`;
          return {
            x: (centres.get(restarts[0])! + centres.get(restarts[restarts.length - 1])!) / 2,
            y: MARKS + height + 11,
            words: whole.length * LETTER < restarts.length * cell ? whole : `\u00d7${restarts.length}`, // the marks above say which basin
            class: basin ? basinClass(basin) : "dre-axis",
          };
        }),
      ]);
      const at = rows.indexOf(chosen ?? -1);
      show(frameBox, at >= 0);
      if (at >= 0) attr(frameBox, { x: LEFT, y: MARKS + at * row - 0.5, width: inner, height: row });
    },
  };
}
