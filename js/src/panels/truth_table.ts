/** A truth table in logits: mean over backgrounds with channel i off and on (rows), channel j off and on (columns). */

import { h, s } from "../dom";
import { css, IMPORTANCE, ramp } from "../draw/colour";
import { abs, digitsAt, fixed, max, min } from "../draw/numbers";
import type { Theme } from "../draw/theme";
import type { Pair } from "../protocol";
import { nonlinearity } from "./pair";
import { basinClass, basinMark } from "./panel";

const CELL = 46;
const LEFT = 54; // px, room for the rows' names
const TOP = 36; // px, room for the columns' names
/** The strongest corner gets this share of the full colour, so that the number on it stays readable. */
const WASH = 0.6;

export function truthTable(read: Pair, b: number, theme: Theme): HTMLElement {
  const [i, j] = read.pair;
  const { label, basin } = read.tables[b];
  const limit = max(...Array.from(read.corners, abs)) / WASH || 1; // one scale for all tables of a pair
  const digits = min(2, digitsAt(limit * WASH));
  const colours = ramp(theme.neg, theme.bg, theme.pos, IMPORTANCE);
  const level = (channel: number, on: number): string => {
    const value = read.levels?.[b * 4 + channel * 2 + on];
    if (value === undefined) return on ? "on" : "off";
    return value === 0 ? "at 0" : fixed(value, 2);
  };
  const svg = s("svg.truth", { width: LEFT + 2 * CELL, height: TOP + 2 * CELL, role: "img", "aria-label": spoken(read, b, digits) });
  svg.append(
    s("text.strong", { x: LEFT + CELL, y: 10, "text-anchor": "middle" }, `ch ${j}`),
    s("text.strong", { x: LEFT - 26, y: TOP + CELL, dy: "0.32em", "text-anchor": "end" }, `ch ${i}`),
  );
  for (const on of [0, 1]) {
    svg.append(
      s("text.axis", { x: LEFT + (on + 0.5) * CELL, y: 27, "text-anchor": "middle" }, level(1, on)),
      s("text.axis", { x: LEFT - 6, y: TOP + (on + 0.5) * CELL + (on ? 6 : -6), dy: "0.32em", "text-anchor": "end" }, level(0, on)),
    );
    for (const other of [0, 1]) {
      const at = b * 4 + on * 2 + other;
      const [x, y] = [LEFT + other * CELL, TOP + on * CELL];
      svg.append(
        s("rect.corner", { x: x + 0.5, y: y + 0.5, width: CELL - 1, height: CELL - 1, fill: css(colours.at(read.corners[at], limit)) }),
        s("text.value", { x: x + CELL / 2, y: y + 24, "text-anchor": "middle" }, fixed(read.corners[at], digits)),
        s("text.error-bar", { x: x + CELL / 2, y: y + 38, "text-anchor": "middle" }, `\u00b1${fixed(read.corners_spread[at], 2)}`),
      );
    }
  }
  const several = read.tables.length > 1;
  const mark = basin ? s("svg", { width: 10, height: 10, viewBox: "-5 -5 10 10" }, s("path", { class: basinClass(basin), d: basinMark(basin, 3.4) })) : null;
  return h("div", several ? h("p.table-name", mark, h("bdi", label)) : null, svg, several ? nonlinearity(read, b) : null);
}

function spoken(read: Pair, b: number, digits: number): string {
  const [i, j] = read.pair;
  const corner = (on: number, other: number) => fixed(read.corners[b * 4 + on * 2 + other], digits);
  return `Logit with neither ${corner(0, 0)}, channel ${i} alone ${corner(1, 0)}, channel ${j} alone ${corner(0, 1)}, both ${corner(1, 1)}`;
}
