/** Convergence: for every restart of the class, how far below the best objective it still is. */

import { attr, h, keyed, s, show, text } from "../dom";
import { count, fixed, plural, short } from "../draw/numbers";
import { linear, niceCeil, ticks } from "../draw/scales";
import { DIVERGED, RUNNING, WAITING } from "../protocol";
import type { Frame } from "../protocol";
import type { View } from "../view";
import { basinClass, basinMark, panel } from "./panel";

const HEIGHT = 158;
const LEFT = 40; // room for the gap's labels
const RIGHT = 78; // room for the basins' names
const TOP = 8;
const BOTTOM = 22;
const DECADES = 5; // the gap's axis: finer than a hundred-thousandth of the start nobody compares
const FIRST_STEPS = 50; // the axis before anything is known of how long it takes
const LABEL_PITCH = 30;

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
      if (!Number.isFinite(y) || !Number.isFinite(frame.trace_step[t * points + p])) continue;
      if (y !== last) before = last;
      last = y;
    }
    const top = Math.max(Number.isFinite(frame.objective[t]) ? frame.objective[t] : -Infinity, Number.isFinite(last) ? last : -Infinity);
    if (top > best) {
      best = top;
      slack = frame.status[t] === RUNNING && Number.isFinite(before) ? Math.abs(last - before) : 0;
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
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
      steps.push(x);
      gaps.push(Math.max(0, best - y) + slack);
    }
    if (steps.length) lines.push({ restart: t, basin: frame.basin[t], moving: frame.status[t] === RUNNING, steps, gaps });
  }
  return lines;
}

export function convergence(view: View): HTMLElement {
  const { store } = view;
  const parts = panel("convergence", "Convergence", "gap to the best, logits");
  const ahead = s("rect", { class: "dre-ahead", y: TOP, height: HEIGHT - TOP - BOTTOM });
  const grid = s("path", { class: "dre-grid" });
  const yLabels = s("g", { class: "dre-axis", "text-anchor": "end" });
  const xLabels = s("g", { class: "dre-axis", "text-anchor": "middle" });
  const lineGroup = s("g", {});
  const ends = s("g", {});
  const moving = s("text", { class: "dre-axis" });
  const svg = s(
    "svg",
    { class: "dre-plot", height: HEIGHT, role: "listbox", tabindex: 0, "aria-label": "Restarts, by convergence" },
    s("g", { "aria-hidden": "true" }, ahead, grid, yLabels, xLabels, ends, moving),
    lineGroup,
  );
  const read = h("p", { class: "dre-read" });
  parts.body.append(svg, read);
  const width = view.width(parts.body);

  const setLines = keyed<number, { node: SVGGElement; path: SVGPathElement }>(lineGroup, (restart) => {
    const path = s("path", {});
    return { node: s("g", { role: "option", id: `${parts.node.getAttribute("aria-labelledby")}-${restart}`, class: "dre-line" }, path), path };
  });
  const setY = keyed<number, { node: SVGTextElement }>(yLabels, () => ({ node: s("text", { x: LEFT - 6, dy: "0.32em" }) }));
  const setX = keyed<number, { node: SVGTextElement }>(xLabels, () => ({ node: s("text", { y: HEIGHT - BOTTOM + 15 }) }));
  const setEnds = keyed<number, { node: SVGGElement; mark: SVGPathElement; name: SVGTextElement; size: SVGTextElement }>(ends, (basin) => {
    const mark = s("path", { d: basinMark(basin, 3.4) });
    const name = s("text", { class: "dre-strong", x: 9 });
    const size = s("text", { class: "dre-axis", x: 9 });
    return { node: s("g", { class: `dre-end ${basinClass(basin)}` }, mark, name, size), mark, name, size };
  });

  /** What is on screen, for the pointer: pixel positions of every line. */
  let drawn: { restart: number; x: number[]; y: number[] }[] = [];

  view.effect(() => {
    const frame = store.frame.value;
    const w = width.value;
    show(svg, frame !== null && w > 0);
    if (!frame || w === 0) return;
    attr(parts.node, { "data-stale": !store.current.value });
    const lines = gapLines(frame);
    const longest = Math.max(1, ...lines.map((l) => l.steps[l.steps.length - 1]));
    const running = lines.length === 0 || lines.some((l) => l.moving);
    const end = running ? Math.max(FIRST_STEPS, niceCeil(longest * 1.15)) : Math.max(longest, 1);
    const widest = Math.max(...lines.flatMap((l) => l.gaps), 1e-6);
    const high = Math.ceil(Math.log10(widest) - 1e-6);
    const x = linear([0, end], [LEFT, w - RIGHT]);
    const y = linear([high, high - DECADES], [HEIGHT - BOTTOM, TOP]);
    const at = (gap: number) => Math.max(TOP, y(Math.log10(Math.max(gap, 1e-300))));

    attr(svg, { width: w });
    const now = x(Math.min(longest, end));
    attr(ahead, { x: now, width: running ? Math.max(0, x(end) - now) : 0 });
    const decades = Array.from({ length: DECADES }, (_, i) => high - i);
    attr(grid, { d: decades.map((d) => `M${LEFT} ${y(d).toFixed(1)}H${(w - RIGHT).toFixed(1)}`).join("") });
    setY(decades, ({ node }, d) => {
      attr(node, { y: y(d).toFixed(1) });
      text(node, short(10 ** d));
    });
    const xs = ticks(0, end, Math.max(2, Math.floor((w - LEFT - RIGHT) / 44)));
    setX(xs, ({ node }, step, i) => {
      attr(node, { x: x(step).toFixed(1) });
      text(node, `${count(step)}${i === xs.length - 1 ? " step" : ""}`);
      attr(node, { "text-anchor": i === xs.length - 1 && x(step) > w - RIGHT - 30 ? "start" : null, dx: i === xs.length - 1 && x(step) > w - RIGHT - 30 ? -8 : null });
    });

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
        d += `${d ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`;
      });
      if (!line.moving) {
        d += `H${x(end > longest ? longest : end).toFixed(1)}`;
        px.push(x(longest));
        py.push(py[py.length - 1]);
      }
      drawn.push({ restart, x: px, y: py });
      attr(item.path, { d });
      attr(item.node, {
        class: `dre-line ${line.basin ? basinClass(line.basin) : "dre-basin-0"}`,
        "data-hover": hovered === restart,
        "aria-selected": String(chosen === restart),
        "aria-label": `restart ${restart}${line.basin ? `, basin ${line.basin}` : ""}, objective ${fixed(frame.objective[restart], 3)}, ${count(frame.steps[restart])} steps`,
      });
    });

    const basins = running && !lines.some((l) => l.basin && !l.moving) ? [] : [...new Set(lines.map((l) => l.basin).filter((b) => b > 0))].sort((a, b) => a - b);
    const edge = x(Math.min(longest, end));
    let low = -Infinity;
    setEnds(basins, (item, basin) => {
      const members = lines.filter((l) => l.basin === basin);
      const top = Math.min(...members.map((l) => at(l.gaps[l.gaps.length - 1])));
      const label = Math.max(top, low + LABEL_PITCH);
      low = label;
      attr(item.mark, { transform: `translate(${edge.toFixed(1)} ${top.toFixed(1)})` });
      text(item.name, `basin ${basin}`);
      text(item.size, plural(members.length, "restart"));
      attr(item.name, { x: w - RIGHT + 9, y: label + 4 });
      attr(item.size, { x: w - RIGHT + 9, y: label + 18 });
    });
    show(moving, basins.length === 0);
    attr(moving, { x: w - RIGHT + 9, y: HEIGHT / 2 });
    text(moving, lines.length ? `step ${count(longest)}` : "");

    const diverged = frame.status.reduce((n, v) => n + Number(v === DIVERGED), 0);
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
      const j = Math.max(0, i - 1);
      const t = line.x[i] === line.x[j] ? 1 : Math.min(1, Math.max(0, (px - line.x[j]) / (line.x[i] - line.x[j])));
      const distance = Math.abs(line.y[j] + t * (line.y[i] - line.y[j]) - py);
      if (distance < best) [best, found] = [distance, line.restart];
    }
    return found;
  };
  view.on(svg, "pointermove", (event: PointerEvent) => (view.hoverRestart.value = nearest(event)));
  view.on(svg, "pointerleave", () => (view.hoverRestart.value = null));
  view.on(svg, "click", (event: PointerEvent) => {
    const restart = nearest(event);
    if (restart !== null) store.select({ restart: store.selection.value.restart === restart ? null : restart });
  });
  view.on(svg, "keydown", (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (by && !event.altKey && drawn.length) {
      const i = drawn.findIndex((l) => l.restart === view.hoverRestart.value);
      const next = drawn[i < 0 ? 0 : (i + by + drawn.length) % drawn.length].restart;
      view.hoverRestart.value = next;
      attr(svg, { "aria-activedescendant": `${parts.node.getAttribute("aria-labelledby")}-${next}` });
    } else if (event.key === "Enter" && view.hoverRestart.value !== null) {
      store.select({ restart: view.hoverRestart.value });
    } else return;
    event.preventDefault();
  });
  view.on(svg, "blur", () => (view.hoverRestart.value = null));
  return parts.node;
}

const STATUS = ["waiting", "running", "converged", "out of steps", "diverged", "stopped"];

function readout(frame: Frame, restart: number): string {
  const basin = frame.basin[restart] ? `, basin ${frame.basin[restart]}` : "";
  return `restart ${restart}${basin}: objective ${fixed(frame.objective[restart], 3)}, ${count(frame.steps[restart])} steps, ${STATUS[frame.status[restart]] ?? ""}`;
}
