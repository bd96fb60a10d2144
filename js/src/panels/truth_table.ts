/** A truth table in logits: mean over backgrounds with channel i off and on (rows), channel j off and on (columns). */

import { END, MIDDLE, h, s } from "../dom";
import { css, IMPORTANCE, ramp } from "../draw/colour";
import { abs, digitsAt, fixed, max, min, short } from "../draw/numbers";
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
    return value === 0 ? "at 0" : short(value);
  };
  const svg = s("svg.truth", { width: LEFT + 2 * CELL, height: TOP + 2 * CELL, role: "img", "aria-label": spoken(read, b, digits) });
  svg.append(
    s("text.strong", MIDDLE, { x: LEFT + CELL, y: 10 }, `ch ${j}`),
    s("text.strong", END, { x: LEFT - 26, y: TOP + CELL, dy: "0.32em" }, `ch ${i}`),
  );
  for (const on of [0, 1]) {
    svg.append(
      s("text.axis", MIDDLE, { x: LEFT + (on + 0.5) * CELL, y: 27 }, level(1, on)),
      s("text.axis", END, { x: LEFT - 6, y: TOP + (on + 0.5) * CELL + (on ? 6 : -6), dy: "0.32em" }, level(0, on)),
    );
    for (const other of [0, 1]) {
      const at = b * 4 + on * 2 + other;
      const words = fixed(read.corners[at], digits);
      const [x, y] = [LEFT + other * CELL, TOP + on * CELL];
      svg.append(
        s("rect.corner", { x: x + 0.5, y: y + 0.5, width: CELL - 1, height: CELL - 1, fill: css(colours.at(read.corners[at], limit)) }),
        s(words.length > 5 ? "text.small-value" : "text.value", MIDDLE, { x: x + CELL / 2, y: y + 24 }, words),
        s("text.error-bar", MIDDLE, { x: x + CELL / 2, y: y + 38 }, `\u00b1${fixed(read.corners_spread[at], digits)}`),
      );
    }
  }
  const several = read.tables.length > 1;
  const mark = basin ? s("svg", { width: 10, height: 10, viewBox: "-5 -5 10 10" }, s("path", { class: basinClass(basin), d: basinMark(basin, 3.4) })) : null;
  return h("div", several ? h("p.table-name", mark, h("bdi", label)) : null, svg, several ? h("dl", nonlinearity(read, b)) : null);
}

function spoken(read: Pair, b: number, digits: number): string {
  const [i, j] = read.pair;
  const corner = (on: number, other: number) => fixed(read.corners[b * 4 + on * 2 + other], digits);
  return `Logit with neither ${corner(0, 0)}, channel ${i} alone ${corner(1, 0)}, channel ${j} alone ${corner(0, 1)}, both ${corner(1, 1)}`;
}
