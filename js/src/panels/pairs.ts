/** Pairs: the non-linearity of every two of the class's top channels; a lower triangle, names on its diagonal. */

import { END, MIDDLE, SILENT, attr, h, keyed, labels, s, show, text } from "../dom";
import { css, PAIRS, ramp } from "../draw/colour";
import { count, digitsAt, finite, fixed, floor, max, min, signed } from "../draw/numbers";
import { symmetricLimit } from "../draw/scales";
import { ended } from "../protocol";
import { arrows, COARSE } from "../view";
import type { View } from "../view";
import { colourKey, panel } from "./panel";

const CELL = COARSE ? 24 : 12.8; // px, at most
const KEY = 90; // px, the colour key in the empty half
const KEY_LETTERS = 5; // that fit at each of its ends, beside the zero

export function pairs(view: View): HTMLElement {
  const { store } = view;
  const parts = panel("pairs", "Pairs", "non-linearity, logits");
  const base = parts.key;
  const cells = s("g");
  const names = s("g", SILENT);
  const cross = s("path.cross");
  const box = s("rect.heat-target");
  const cursor = s("rect.cursor");
  const keyBar = s("g");
  const keyLow = s("text.axis", { y: 24 });
  const keyZero = s("text.axis", MIDDLE, { x: KEY / 2, y: 24 }, "0");
  const keyHigh = s("text.axis", END, { x: KEY, y: 24 });
  const key = s(
    "g",
    {},
    keyBar,
    keyLow,
    keyZero,
    keyHigh,
    s("text.neg", END, { x: KEY, y: 40 }, "less than sum"),
    s("text.pos", END, { x: KEY, y: 54 }, "more than sum"),
  );
  const svg = s("svg.plot", { role: "listbox", tabindex: 0, "aria-label": "Pairs of channels" }, cells, s("g", SILENT, cross, box, cursor, names, key));
  const said = h("p.read", { role: "status" });
  const empty = h("p.empty");
  parts.body.append(svg, said, empty);
  const width = view.width(parts.body);
  const setCells = keyed<number, { node: SVGRectElement }>(cells, (id) => ({ node: s("rect", { role: "option", id: `${base}-${id}`, "data-cell": id }) }));
  const setNames = labels(names);
  let at: [number, number] | null = null; // the keyboard's cell, row and column

  const draw = (): void => {
    const message = store.pairs.value;
    const w = width.value;
    const some = message !== null && message.target === store.target.value && message.channels.length > 1;
    show(svg, some);
    show(empty, !some);
    const all = some ? message.channels.length * (message.channels.length - 1) : 0;
    const read = some ? message.nonlinearity.filter(finite).length : 0;
    parts.state(read === all ? "" : store.link.value === "live" ? "reading \u2026" : `${count(read / 2)} of ${count(all / 2)} pairs read`);
    if (!some) {
      const frame = store.frame.value; // read here only: the matrix itself does not change with every frame
      const finished = frame ? ended(frame) : 0;
      const going = frame?.state === "running";
      text(empty, message?.target === store.target.value && message.message ? message.message : going ? `Pairs come when restarts of this class have converged. ${finished} of ${frame.status.length} so far.` : frame?.status.length ? `No pairs of this class ${store.link.value === "saved" ? "were saved" : "yet"}.` : "Pairs come with a run.");
      return;
    }
    if (w === 0) return;
    const { neg, bg, pos } = view.theme.value;
    const { channels, nonlinearity } = message;
    const M = channels.length;
    const cell = min(CELL, (w - 24) / M);
    const limit = symmetricLimit(nonlinearity);
    const digits = digitsAt(limit);
    const colours = ramp(neg, bg, pos, PAIRS);
    const { pair } = store.selection.value;
    const place = pair ? pair.map((k) => channels.indexOf(k)).sort((a, b) => b - a) : [-1, -1];
    const found = place[1] >= 0;
    const keyX = max(cell * 5, min(w - KEY, 132));
    const height = max(M * cell + 4, 60);

    attr(svg, { width: w, height });
    const ids: number[] = [];
    for (let i = 1; i < M; i++) for (let j = 0; j < i; j++) ids.push(i * M + j);
    setCells(ids, ({ node }, id) => {
      const [i, j] = [floor(id / M), id % M];
      const value = nonlinearity[id];
      attr(node, {
        x: (j * cell), y: (i * cell), width: (cell - 1), height: (cell - 1),
        fill: css(colours.at(value, limit)), class: finite(value) ? "dre-cell" : "dre-cell dre-cell-empty",
        "aria-selected": i === place[0] && j === place[1], "aria-label": `channels ${channels[i]} and ${channels[j]}, ${fixed(value, digits)}`,
      });
    });
    setNames(Array.from(channels, (k, i) => ({ x: i * cell + 3, y: (i + 0.5) * cell, words: String(k), anchor: "start", class: pair?.includes(k) ? "dre-strong" : "dre-axis" })));
    show(box, found);
    show(cross, found);
    if (found) {
      const [i, j] = place;
      attr(box, { x: j * cell - 1, y: i * cell - 1, width: cell + 1, height: cell + 1 });
      attr(cross, { d: `M${(j + 0.5) * cell} ${(j + 1) * cell}V${i * cell - 1}M${(j + 1) * cell} ${(i + 0.5) * cell}H${i * cell}` });
    }
    attr(key, { transform: `translate(${keyX} 0)` });
    colourKey(keyBar, colours, KEY, 8);
    const low = signed(-limit, digits);
    const both = low.length <= KEY_LETTERS;
    text(keyLow, both ? low : "");
    show(keyZero, both);
    text(keyHigh, both ? signed(limit, digits) : `\u00b1${fixed(limit, digits)}`);
    show(cursor, at !== null && view.focused() === svg);
    if (at) attr(cursor, { x: at[1] * cell - 1, y: at[0] * cell - 1, width: cell + 1, height: cell + 1 });
  };
  view.effect(draw);

  const told = (id: number | null): void => {
    const message = store.pairs.value;
    if (id === null || !message) return text(said, "");
    const M = message.channels.length;
    text(said, `${message.channels[floor(id / M)]} \u00d7 ${message.channels[id % M]}: ${signed(message.nonlinearity[id], digitsAt(symmetricLimit(message.nonlinearity) / 10))}`);
  };
  const cellAt = (event: Event): number | null => {
    const id = (event.target as Element).getAttribute("data-cell");
    return id === null ? null : Number(id);
  };
  const choose = (id: number): void => {
    const { channels } = store.pairs.value!;
    store.select({ pair: [channels[floor(id / channels.length)], channels[id % channels.length]] });
  };
  view.hover(svg, (event) => told(event && cellAt(event)));
  view.on(svg, "click", (event: MouseEvent) => {
    const id = cellAt(event);
    if (id !== null) choose(id);
  });
  for (const change of ["focus", "blur"]) view.on(svg, change, draw);
  view.keys(svg, (key) => {
    const M = store.pairs.value?.channels.length ?? 0;
    const step = arrows(key);
    if (M < 2) return;
    if (step) {
      const i = at ? min(M - 1, max(1, at[0] + step[0])) : 1;
      at = [i, at ? min(i - 1, max(0, at[1] + step[1])) : 0];
      attr(svg, { "aria-activedescendant": `${base}-${at[0] * M + at[1]}` });
      told(at[0] * M + at[1]);
      draw();
    } else if ((key === "Enter" || key === " ") && at) choose(at[0] * M + at[1]);
    else return;
    return true;
  });
  return parts.node;
}
