/** Convergence: for every restart of the class, how far below the best objective it still is. */

import { SILENT, attr, h, keyed, labels, s, show, text } from "../dom";
import { abs, count, finite, fixed, floor, max, min, plural, short } from "../draw/numbers";
import { apart, linear, niceCeil, ticks } from "../draw/scales";
import { DIVERGED, RUNNING, WAITING } from "../protocol";
import type { Frame } from "../protocol";
import { arrows } from "../view";
import type { View } from "../view";
import { basinClass, basinMark, panel } from "./panel";

const HEIGHT = 166;
const LEFT = 46; // room for the gap's labels
const RIGHT = 78; // room for the basins' names
const TOP = 8;
const BOTTOM = 22;
const FINE = 1e-4; // of the objective: where the rules stop climbing, so that a smaller gap means nothing, ...
const DECADES = [3, 7] as const; // ... if the gap's axis then has at least and at most so many
const FIRST_STEPS = 50; // the axis before anything is known of how long it takes
const LABELS = [30, 14] as const; // px a basin: its name over its count, or both on one line where there are many
const MANY = 9; // basins named at most

export interface Line {
  readonly restart: number;
  readonly basin: number;
  readonly moving: boolean;
  readonly steps: number[];
  /** Gap to the best objective of the class, logits, > 0. */
  readonly gaps: number[];
}

/**
 * The lines of a frame, diverged restarts left out. The best objective of a run that still climbs is not its
 * optimum: while its leader moves, the leader's last gain is added to every gap, so that it does not shoot to the top.
 */
export function gapLines(frame: Frame): Line[] {
  const T = frame.status.length;
  const points = T ? frame.trace_step.length / T : 0;
  let best = -Infinity;
  let slack = 0;
  for (let t = 0; t < T; t++) {
    if (frame.status[t] === DIVERGED) continue;
    let before = NaN;
    let last = NaN;
    for (let p = 0; p < points; p++) {
      const y = frame.trace_objective[t * points + p];
      if (!finite(y) || !finite(frame.trace_step[t * points + p])) continue;
      if (y !== last) before = last;
      last = y;
    }
    const top = max(finite(frame.objective[t]) ? frame.objective[t] : -Infinity, finite(last) ? last : -Infinity);
    if (top > best) {
      best = top;
      slack = frame.status[t] === RUNNING && finite(before) ? abs(last - before) : 0;
    }
  }
  const lines: Line[] = [];
  for (let t = 0; t < T; t++) {
    if (frame.status[t] === DIVERGED || frame.status[t] === WAITING) continue;
    const steps: number[] = [];
    const gaps: number[] = [];
    for (let p = 0; p < points; p++) {
      const x = frame.trace_step[t * points + p];
      const y = frame.trace_objective[t * points + p];
      if (!finite(x) || !finite(y)) continue;
      steps.push(x);
      gaps.push(max(0, best - y) + slack);
    }
    if (steps.length) lines.push({ restart: t, basin: frame.basin[t], moving: frame.status[t] === RUNNING, steps, gaps });
  }
  return lines;
}

/** The ends of the gap's axis, in decades: half of one at the bottom, so that it seldom moves; a whole one at the top. */
export function span(frame: Frame, lines: readonly Line[]): [number, number] {
  const widest = max(...(lines.length ? lines.flatMap((l) => l.gaps) : [100]), 1e-6);
  const best = max(...lines.map((l) => abs(frame.objective[l.restart])).filter(finite), 0);
  const low = floor(Math.log10(FINE * best) + 1e-6);
  const high = max(Math.ceil(2 * Math.log10(widest) - 1e-6) / 2, low + DECADES[0]);
  return [high, max(low, floor(high) - DECADES[1])];
}

export function convergence(view: View): HTMLElement {
  const { store } = view;
  const parts = panel("convergence", "Convergence", "gap to the best, logits");
  const ahead = s("rect.ahead", { y: TOP, height: HEIGHT - TOP - BOTTOM });
  const grid = s("path.grid");
  const axes = s("g");
  const lineGroup = s("g");
  const ends = s("g");
  const moving = s("text.axis");
  const svg = s(
    "svg.plot",
    { height: HEIGHT, role: "listbox", tabindex: 0, "aria-label": "Restarts, by convergence" },
    s("g", SILENT, ahead, grid, axes, ends, moving),
    lineGroup,
  );
  const read = h("p.read");
  const empty = h("p.empty", "Lines come with a run.");
  parts.body.append(svg, read, empty);
  const width = view.width(parts.body);

  const setLines = keyed<number, { node: SVGGElement; path: SVGPathElement }>(lineGroup, (restart) => {
    const path = s("path");
    return { node: s("g", { role: "option", id: `${parts.key}-${restart}`, class: "dre-line" }, path), path };
  });
  const setAxes = labels(axes);
  const setEnds = keyed(ends, (basin: number) => {
    const mark = s("path", { d: basinMark(basin, 3.4) });
    const name = s("tspan.strong");
    const size = s("tspan.axis");
    const label = s("text", name, size);
    return { node: s("g", { class: `dre-end ${basinClass(basin)}` }, mark, label), mark, label, name, size };
  });

  /** What is on screen, for the pointer: pixel positions of every line. */
  let drawn: { restart: number; x: number[]; y: number[] }[] = [];

  view.effect(() => {
    const frame = store.frame.value;
    const w = width.value;
    const some = Boolean(frame?.status.length);
    show(svg, some);
    show(empty, !some);
    attr(parts.node, { "data-stale": some && !store.current.value });
    if (!frame || !some || w === 0) return;
    const lines = gapLines(frame);
    const longest = max(1, ...lines.map((l) => l.steps[l.steps.length - 1]));
    const running = lines.length === 0 || lines.some((l) => l.moving);
    const end = running ? max(FIRST_STEPS, niceCeil(longest * 1.15)) : max(longest, 1);
    const [high, low] = span(frame, lines);
    const x = linear([0, end], [LEFT, w - RIGHT]);
    const y = linear([high, low], [HEIGHT - BOTTOM, TOP]);
    const at = (gap: number) => max(TOP, y(Math.log10(max(gap, 1e-300))));

    attr(svg, { width: w });
    const now = x(min(longest, end));
    attr(ahead, { x: now, width: running ? max(0, x(end) - now) : 0 });
    const decades = Array.from({ length: floor(high) - low + 1 }, (_, i) => low + i);
    attr(grid, { d: decades.map((d) => `M${LEFT} ${y(d)}H${(w - RIGHT)}`).join("") });
    const xs = ticks(0, end, max(2, floor((w - LEFT - RIGHT) / 44)));
    const last = xs[xs.length - 1];
    setAxes([
      ...decades.map((d) => ({ x: LEFT - 6, y: y(d), words: `${d === low ? "\u2264" : ""}${short(10 ** d)}`, anchor: "end" as const })),
      ...xs.map((v) => ({ x: x(v), y: HEIGHT - BOTTOM + 12, words: count(v) })),
      { x: x(last) + 4 + 3.5 * count(last).length, y: HEIGHT - BOTTOM + 12, words: "steps", anchor: "start" },
    ]);

    const chosen = store.selection.value.restart;
    const hovered = view.hoverRestart.value;
    drawn = [];
    setLines(lines.map((l) => l.restart), (item, restart, i) => {
      const line = lines[i];
      const px: number[] = [];
      const py: number[] = [];
      let d = "";
      line.steps.forEach((step, p) => {
        const [a, b] = [x(step), at(line.gaps[p])];
        if (px.length && a - px[px.length - 1] < 0.75 && p < line.steps.length - 1) return; // less than a pixel on
        px.push(a);
        py.push(b);
        d += `${d ? "L" : "M"}${a} ${b}`;
      });
      if (!line.moving) {
        d += `H${x(end > longest ? longest : end)}`;
        px.push(x(longest));
        py.push(py[py.length - 1]);
      }
      drawn.push({ restart, x: px, y: py });
      attr(item.path, { d });
      attr(item.node, {
        class: `dre-line ${line.basin ? basinClass(line.basin) : "dre-basin-0"}`,
        "data-hover": hovered === restart,
        "aria-selected": chosen === restart,
        "aria-label": readout(frame, restart),
      });
    });

    const basins = running && !lines.some((l) => l.basin && !l.moving) ? [] : [...new Set(lines.map((l) => l.basin).filter((b) => b > 0))].sort((a, b) => a - b);
    const edge = x(min(longest, end));
    const members = basins.map((basin) => lines.filter((l) => l.basin === basin));
    const tops = members.map((own) => min(...own.map((l) => at(l.gaps[l.gaps.length - 1]))));
    const few = basins.length <= (HEIGHT - TOP - BOTTOM) / LABELS[0];
    const named = basins.length > MANY ? MANY - 1 : basins.length; // the last line then counts the others
    const middles = apart(tops.slice(0, MANY), few ? LABELS[0] : LABELS[1], HEIGHT - BOTTOM - (few ? LABELS[1] : 0));
    const left = w - RIGHT + 9;
    setEnds(basins, ({ mark, label, name, size }, basin, i) => {
      const y = middles[i];
      const last = named < basins.length && i === named;
      attr(mark, { transform: `translate(${edge} ${tops[i]})` });
      show(label, y !== undefined);
      if (y === undefined) return;
      text(name, last ? "" : `basin ${basin}`);
      text(size, last ? `and ${basins.length - named} more` : few ? plural(members[i].length, "restart") : ` \u00d7${members[i].length}`);
      attr(label, { x: left, y: y + 4 });
      attr(size, few && !last ? { x: left, dy: 14 } : { x: null, dy: null });
    });
    show(moving, basins.length === 0);
    attr(moving, { x: w - RIGHT + 9, y: HEIGHT / 2 });
    text(moving, lines.length ? `step ${count(longest)}` : "");

    const diverged = frame.status.filter((v) => v === DIVERGED).length;
    parts.state(diverged ? `${plural(diverged, "restart")} diverged, left out` : "");
    const shown = hovered ?? chosen;
    text(read, shown === null || shown >= frame.status.length ? "" : readout(frame, shown));
  });

  const nearest = (event: PointerEvent): number | null => {
    const box = svg.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let best = 12; // pixels: farther away nothing is meant
    let found: number | null = null;
    for (const line of drawn) {
      let i = line.x.findIndex((v) => v >= px);
      if (i < 0) i = line.x.length - 1;
      const j = max(0, i - 1);
      const t = line.x[i] === line.x[j] ? 1 : min(1, max(0, (px - line.x[j]) / (line.x[i] - line.x[j])));
      const distance = abs(line.y[j] + t * (line.y[i] - line.y[j]) - py);
      if (distance < best) [best, found] = [distance, line.restart];
    }
    return found;
  };
  view.hover(svg, (event) => (view.hoverRestart.value = event && nearest(event)));
  view.on(svg, "click", (event: PointerEvent) => {
    const restart = nearest(event);
    if (restart !== null) store.select({ restart: store.selection.value.restart === restart ? null : restart });
  });
  view.keys(svg, (key) => {
    const by = arrows(key);
    if (by && drawn.length) {
      const i = drawn.findIndex((l) => l.restart === view.hoverRestart.value);
      const next = drawn[i < 0 ? 0 : (i + by[0] + by[1] + drawn.length) % drawn.length].restart;
      view.hoverRestart.value = next;
      attr(svg, { "aria-activedescendant": `${parts.key}-${next}` });
    } else if (key === "Enter" && view.hoverRestart.value !== null) store.select({ restart: view.hoverRestart.value });
    else return;
    return true;
  });
  view.on(svg, "blur", () => (view.hoverRestart.value = null));
  return parts.node;
}

const STATUS = ["waiting", "running", "converged", "out of steps", "diverged", "stopped"];

function readout(frame: Frame, restart: number): string {
  const basin = frame.basin[restart] ? `, basin ${frame.basin[restart]}` : "";
  return `restart ${restart}${basin}: objective ${fixed(frame.objective[restart], 3)}, ${count(frame.steps[restart])} steps, ${STATUS[frame.status[restart]] ?? ""}`;
}
