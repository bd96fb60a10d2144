/** The restarts of the class in the plane of two channels, with the other classes as dust. */

import { attr, MIDDLE, keyed, labels, s } from "../dom";
import { digitsFor, finite, fixed, max, min } from "../draw/numbers";
import { apart, linear, ticks } from "../draw/scales";
import type { Frame } from "../protocol";
import type { View } from "../view";
import { basinClass, basinMark } from "./panel";

const SIDE = 100;
const LEFT = 46;
const MANY = 4; // basins whose counts are written
const BOTTOM = 34;
const NAME = 12; // px between two of them
const LETTERS = 14; // of numbers that fit side by side along the abscissa
const DUST = 1.3; // px, radius of another class's dot

export function plane(view: View) {
  const frameBox = s("path.grid");
  const zero = s("path.zero");
  const dust = s("path.dust");
  const marks = s("g.restarts");
  const names = s("g");
  const axes = s("g");
  const yName = s("text.axis", MIDDLE, { transform: `translate(4 ${SIDE / 2}) rotate(-90)` });
  const node = s("svg.plane", { width: LEFT + SIDE + 4, height: SIDE + BOTTOM + 6, role: "img" }, frameBox, zero, dust, marks, names, axes, yName);
  const setMarks = keyed<number, { node: SVGPathElement }>(marks, (t) => ({ node: s("path", { "data-restart": t }) }));
  const setNames = labels(names);
  const setAxes = labels(axes);
  view.on(node, "click", (event: MouseEvent) => {
    const restart = (event.target as Element).getAttribute("data-restart");
    if (restart !== null) view.store.select({ restart: Number(restart) });
  });

  return {
    node,
    draw(frame: Frame, [i, j]: readonly [number, number], others: Float32Array | null): void {
      const K = frame.ofiv.length;
      const restarts = Array.from(frame.status.keys()).filter((t) => finite(frame.fiv[t * K + i]) && finite(frame.fiv[t * K + j]));
      const points = restarts.map((t) => [frame.fiv[t * K + i], frame.fiv[t * K + j]] as const);
      const cloud = others ? Array.from({ length: others.length / 2 }, (_, c) => [others[2 * c], others[2 * c + 1]] as const).filter(([a, b]) => finite(a) && finite(b)) : [];
      const range = (axis: 0 | 1): [number, number] => {
        const values = [0, ...points.map((p) => p[axis]), ...cloud.map((p) => p[axis])];
        const [low, high] = [min(...values), max(...values)];
        const pad = (high - low || 1) * 0.12;
        return [low - pad, high + pad];
      };
      const [rx, ry] = [range(0), range(1)];
      const [x, y] = [linear(rx, [LEFT, LEFT + SIDE]), linear(ry, [SIDE, 0])];
      attr(node, { "aria-label": `Restarts in the plane of channels ${i} and ${j}` });
      attr(frameBox, { d: `M${LEFT} 0H${LEFT + SIDE}V${SIDE}H${LEFT}Z` });
      attr(zero, { d: `M${x(0)} 0V${SIDE}M${LEFT} ${y(0)}H${LEFT + SIDE}` });
      attr(dust, { d: cloud.map(([a, b]) => `M${(x(a) - DUST)} ${y(b)}a${DUST} ${DUST} 0 1 0 ${2 * DUST} 0a${DUST} ${DUST} 0 1 0 ${-2 * DUST} 0`).join("") });
      const lit = view.hoverRestart.value ?? view.store.selection.value.restart;
      setMarks(restarts, ({ node: mark }, t, n) => {
        const basin = frame.basin[t] || 1;
        attr(mark, { d: basinMark(basin, t === lit ? 5 : 3.2), class: basinClass(basin), transform: `translate(${x(points[n][0])} ${y(points[n][1])})` });
      });
      const basins = [...new Set(restarts.map((t) => frame.basin[t]))].filter((b) => b > 0);
      const means = (basins.length > MANY ? [] : basins).map((basin) => {
        const own = points.filter((_, n) => frame.basin[restarts[n]] === basin);
        const mean = (axis: 0 | 1) => own.reduce((sum, p) => sum + p[axis], 0) / own.length;
        return { basin, size: own.length, x: x(mean(0)), y: y(mean(1)) };
      });
      means.sort((a, b) => a.y - b.y);
      const places = apart(means.map((m) => m.y), NAME, SIDE);
      setNames(
        means.map(({ basin, size, x: cx }, n) => {
          const left = cx > LEFT + SIDE * 0.7;
          return { x: cx + (left ? -9 : 9), y: places[n], words: `\u00d7${size}`, anchor: left ? "end" : "start", class: basinClass(basin) };
        }),
      );
      const stops = (r: readonly [number, number]) => ticks(r[0], r[1], 3);
      const step = (t: readonly number[]) => digitsFor(t.length > 1 ? t[1] - t[0] : 1);
      const [tx, ty] = [stops(rx), stops(ry)];
      const crowded = tx.length * fixed(tx[0], step(tx)).length > LETTERS;
      setAxes([
        ...tx.filter((_, n) => !crowded || n % 2 === 0).map((v) => ({ x: x(v), y: SIDE + 12, words: fixed(v, step(tx)) })),
        ...ty.map((v) => ({ x: LEFT - 6, y: y(v), words: fixed(v, step(ty)), anchor: "end" as const })),
        { x: LEFT + SIDE / 2, y: SIDE + BOTTOM - 4, words: `ch ${i}` },
      ]);
      yName.textContent = `ch ${j}`;
    },
  };
}
