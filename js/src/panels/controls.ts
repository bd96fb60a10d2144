/** The control bar: what runs, on what, how far, and the few things one may change while it does. */

import { SILENT, attr, h, refill, s, show, text } from "../dom";
import { abs, count, duration, finite, max, min, plural, round, short } from "../draw/numbers";
import type { Frame, Layer, Meta } from "../protocol";
import { arrows } from "../view";
import type { View } from "../view";
import { help } from "./help";
import { keepMenu } from "./keep";

const ICONS = {
  run: "M3 1.5v11l9-5.5z",
  pause: "M2.5 1.5h3v11h-3zM8.5 1.5h3v11h-3z",
  stop: "M2 2h10v10H2z",
} as const;

const DECADE_STEP = 0.1; // arrow keys move l2 by a tenth of a decade
const SAME = 1e-3; // two values of l2 that differ by less are one
const QUIET = 80; // ms between two `set` commands while the slider is dragged

function button(name: string, icon: keyof typeof ICONS, title: string): HTMLButtonElement {
  return h(
    "button.button",
    { title },
    s("svg", { viewBox: "0 0 14 14", width: 12, height: 12 }, s("path", { d: ICONS[icon] })),
    h("span", name),
  );
}

export function controls(view: View): HTMLElement {
  const { store } = view;
  const model = h("strong.model");
  const layer = layerMenu(view);
  const device = h("span.about");
  const all = [
    button("Run", "run", "Start from new random feature maps (Space)"),
    button("Pause", "pause", "Pause (Space)"),
    button("Resume", "run", "Go on (Space)"),
    button("Stop", "stop", "Stop and keep what there is"),
  ] as const;
  const [run, pause, resume, stop] = all;
  for (const b of all) view.on(b, "click", () => store.command(b.textContent!.toLowerCase()));
  const buttons = h("span.buttons", ...all);
  const settings = h("span.settings", restarts(view), l2(view));
  const bar = progressBar();
  const done = h("span.count");
  const rate = h("span.about.rate");
  const left = h("span.about.left");
  const saved = h("span.saved");
  const error = h("span.error", { role: "alert" });
  const status = h("span.status", bar.node, done, rate, left);
  const node = h(
    "section.controls",
    { "data-panel": "controls", "aria-label": "Controls" },
    h("span.what", model, layer, device),
    saved,
    buttons,
    settings,
    error,
    status,
    h("span.extras", keepMenu(view), help(view)),
  );

  view.keys(view.root, (key, { target }) => {
    if (key !== " " || (target as Element).closest("button, input, select, summary")) return;
    [run, pause, resume].find((b) => !b.hidden && !b.disabled)?.click();
    return true;
  });

  view.effect(() => {
    const meta = store.meta.value;
    text(model, meta?.model ?? "");
    text(device, meta?.device ?? "");
  });
  view.effect(() => {
    const frame = store.frame.value;
    const link = store.link.value;
    const gone = link === "saved";
    const fixed = store.meta.value?.fixed;
    show(saved, gone || fixed || link !== "live");
    text(saved, gone ? `Saved view, no kernel${store.current.value ? "" : ": this class is not in it"}` : link === "silent" ? "No answer from the kernel" : fixed ? "Saved result, no model" : frame ? "" : "Waiting for the kernel");
    show(buttons, !gone && !fixed);
    show(settings, !gone && !fixed && store.meta.value !== null);
    const state = frame?.state ?? "idle";
    const live = state === "running" || state === "paused";
    const handOn = view.handOn(buttons, [pause, resume, run]); // the button that is pressed gives its place to one of these
    show(run, !live);
    show(pause, state === "running");
    show(resume, state === "paused");
    show(stop, live);
    for (const b of all) b.disabled = !frame || gone;
    handOn();
    show(status, frame !== null);
    if (frame) progress(frame, { bar, done, rate, left });
  });
  view.effect(() => {
    const frame = store.frame.value;
    const words = store.notice.value ?? (frame?.state === "failed" || frame?.message ? frame?.message : null);
    text(error, words ?? "");
    attr(error, { "data-failed": store.notice.value !== null || frame?.state === "failed" });
    show(error, Boolean(words));
  });
  return node;
}

interface ProgressParts {
  bar: ReturnType<typeof progressBar>;
  done: HTMLElement;
  rate: HTMLElement;
  left: HTMLElement;
}

function progress(frame: Frame, { bar, done, rate, left }: ProgressParts): void {
  const { trials, converged, exhausted, running, diverged } = frame.counts;
  const ended = converged + exhausted + diverged;
  show(bar.node, trials > 0 && frame.state !== "idle");
  show(done, trials > 0);
  bar.set(ended / trials || 0, running / trials || 0, `${count(ended)} of ${plural(trials, "trial")} ended`);
  const idle = frame.state === "idle";
  refill(done, ...(idle ? [`${plural(trials, "trial")} to run`] : [h("b", count(converged)), ` / ${count(trials)} converged`]));
  const live = frame.state === "running";
  const still = frame.state === "done" ? `${count(frame.step)} steps` : idle ? "not started" : frame.state;
  text(rate, live ? `${count(frame.rate)} steps/s` : still);
  attr(rate, { "data-state": frame.state });
  const ahead = frame.eta === null || !finite(frame.eta) ? "" : `${duration(frame.eta)} left`;
  text(left, live ? ahead : idle ? "" : duration(frame.elapsed));
}

function progressBar() {
  const solid = h("i.solid");
  const pale = h("i.pale");
  const node = h("span.progress", { role: "progressbar", "aria-label": "Trials ended", "aria-valuemin": 0, "aria-valuemax": 100 }, solid, pale);
  return {
    node,
    set(ended: number, running: number, words: string) {
      solid.style.width = `${100 * ended}%`;
      pale.style.width = `${100 * min(running, 1 - ended)}%`;
      attr(node, { "aria-valuenow": round(100 * ended), "aria-valuetext": words });
    },
  };
}

export const shapeWords = (shape: readonly number[]): string => shape.map((n) => count(n)).join(" \u00d7 ");

function layerMenu(view: View): HTMLElement {
  const { store } = view;
  const name = h("span");
  const shape = h("span.about");
  const select = h("select", { "aria-label": "Layer" });
  const chevron = s("svg.chevron.icon", { viewBox: "0 0 10 6", width: 9, height: 6 }, s("path", { d: "M1 1l4 4 4-4" }));
  const node = h("label.layer", name, shape, chevron, select);
  view.on(select, "change", () => {
    store.select({ channel: null, pair: null, restart: null }); // another layer has other ones
    store.command("set", { layer: select["value"] });
    text(name, select["value"]);
    attr(node, { "data-asked": true });
  });
  let listed: Layer[] | null = null;
  view.effect(() => {
    const meta: Meta | null = store.meta.value;
    void store.notice.value; // a refusal: what was asked for is taken back
    attr(node, { "data-asked": false });
    show(node, meta !== null);
    if (!meta) return;
    text(name, meta.layer);
    text(shape, shapeWords(meta.positions ? [meta.channels, meta.positions] : [meta.channels]));
    if (listed !== meta.layers) {
      listed = meta.layers;
      refill(select, 
        ...meta.layers.map((l) =>
          h("option", { "value": l.name, disabled: l.cut === "no" }, `${l.name}  ${l.type}  ${shapeWords(l.shape)}${l.suggested ? "  suggested" : ""}${l.cut === "shared" ? "  other branches held" : ""}`),
        ),
      );
    }
    select["value"] = meta.layer;
    select.disabled = store.link.value === "saved" || meta.layers.length < 2;
    show(chevron, !select.disabled);
  });
  return node;
}

function restarts(view: View): HTMLElement {
  const { store } = view;
  const value = h("output");
  const less = h("button", { "aria-label": "Fewer restarts" }, "\u2212");
  const more = h("button", { "aria-label": "More restarts" }, "+");
  const node = h("span.setting", h("span.about", "restarts"), h("span.stepper", { role: "group", "aria-label": "Restarts" }, less, value, more));
  let wanted: number | null = null; // what was asked for and not confirmed yet
  const change = (by: number) => {
    const next = max(1, (wanted ?? store.frame.value?.n_restarts ?? 1) + by);
    wanted = next;
    text(value, String(next));
    store.command("set", { n_restarts: next });
    attr(node, { "data-asked": true });
  };
  view.on(less, "click", () => change(-1));
  view.on(more, "click", () => change(1));
  view.effect(() => {
    const n = store.frame.value?.n_restarts ?? NaN;
    if (n === wanted || store.notice.value) wanted = null;
    if (finite(n) && wanted === null) text(value, String(n));
    attr(node, { "data-asked": wanted !== null });
    less.disabled = !(n > 1);
    more.disabled = !finite(n);
  });
  return node;
}

function l2(view: View): HTMLElement {
  const { store } = view;
  const slider = h("input", { type: "range", step: "any", "aria-label": "l2, the penalty on the size of the feature map" });
  const value = h("output.l2");
  const symbol = h("span.about", SILENT, "\u03bb", h("sub", "2"));
  const node = h("span.setting", symbol, slider, value);
  node.title = "l2: a larger penalty keeps only what the class needs most";
  let held = false;
  let wanted: number | null = null; // what was asked for and not confirmed yet
  let timer: ReturnType<typeof setTimeout> | undefined;
  const asked = () => 10 ** Number(slider["value"]);
  const ask = () => {
    timer = undefined;
    store.command("set", { l2: Number(asked().toPrecision(4)) });
  };
  view.on(slider, "input", () => {
    held = true;
    text(value, short(asked()));
    attr(slider, { "aria-valuetext": short(asked()) });
    wanted = asked();
    attr(node, { "data-asked": true });
    fillTrack();
    timer ??= setTimeout(ask, QUIET); // dragging sends the newest value, a dozen times a second at most
  });
  view.on(slider, "change", () => {
    held = false;
  });
  view.keys(slider, (key) => {
    const by = arrows(key);
    if (!by) return;
    slider["value"] = String(Number(slider["value"]) + (by[1] - by[0]) * DECADE_STEP);
    slider.dispatchEvent(new Event("input"));
    held = false;
    return true;
  });
  const fillTrack = () => {
    const [low, high] = [Number(slider.min), Number(slider.max)];
    slider.style.setProperty("--at", `${(100 * (Number(slider["value"]) - low)) / (high - low || 1)}%`);
  };
  view.effect(() => {
    const range = store.meta.value?.l2_range;
    const now = store.frame.value?.l2;
    show(node, Boolean(range)); // chosen when a run begins, unless it was given
    if (!range || !now) return;
    if (wanted !== null && (abs(now / wanted - 1) < SAME || store.notice.value)) wanted = null;
    attr(node, { "data-asked": wanted !== null });
    if (held || wanted !== null) return;
    const [low, high] = range.map((x) => String(Math.log10(x)));
    attr(slider, { min: low, max: high, "aria-valuetext": short(now) });
    slider["value"] = String(Math.log10(now));
    text(value, short(now));
    fillTrack();
  });
  return node;
}
