import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { decode } from "../src/protocol";
import type { Frame, Selection } from "../src/protocol";
import { gapLines, span } from "../src/panels/convergence";
import { byBasin } from "../src/panels/featurevector";
import { basinMeans, extent } from "../src/panels/importance";
import { asPython } from "../src/panels/selection";
import { NOTHING } from "../src/protocol";
import { bars } from "../src/bars";
import { rank, shared } from "../src/ranking";
import { csv, TABLES } from "../src/tables";
import { Store } from "../src/store";
import { World } from "../dev/world";
import { click, open, paint, prepare, press, visible } from "./page";

beforeEach(prepare);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const frameOf = (t: number, options = {}): Frame => {
  const sent = new World({ classes: 4, channels: 6, positions: 5, restarts: 5, ...options }).frame(t);
  return decode(sent.header, sent.buffers) as Frame;
};
const texts = (nodes: Iterable<Element>) => [...nodes].map((n) => n.textContent);

describe("controls", () => {
  const offered = (opened: ReturnType<typeof open>) => ["Run", "Pause", "Resume", "Stop"].filter((name) => visible(opened.button(name)));

  test("each state offers what can be done in it", () => {
    const opened = open();
    const seen: Record<string, string[]> = {};
    for (const state of ["idle", "running", "paused", "stopped", "done", "failed"]) {
      opened.at(0.5, state);
      expect(opened.root.dataset["state"]).toBe(state);
      seen[state] = offered(opened);
    }
    expect(seen).toEqual({ idle: ["Run"], running: ["Pause", "Stop"], paused: ["Resume", "Stop"], stopped: ["Run"], done: ["Run"], failed: ["Run"] });
  });

  test("space runs, pauses and goes on, but not while a field has the keyboard", () => {
    const { root, model, at, find } = open();
    at(0.5);
    press(root, " ");
    expect(model.sent.at(-1)).toMatchObject({ name: "pause" });
    paint();
    press(root, " ");
    expect(model.sent.at(-1)).toMatchObject({ name: "resume" });
    const sent = model.sent.length;
    press(find("input[type=search]"), " ");
    expect(model.sent.length).toBe(sent);
  });

  test("the restarts stepper asks for one more or less, and counts on while an answer is on its way", () => {
    const { model, at, button, kernel, world } = open();
    at(0.5);
    model.onSend = () => {};
    click(button("More restarts"));
    click(button("More restarts"));
    expect(model.sent.slice(-2)).toMatchObject([{ args: { n_restarts: 6 } }, { args: { n_restarts: 7 } }]);
    world.o.restarts = 7;
    kernel.frame();
    paint();
    click(button("Fewer restarts"));
    expect(model.sent.at(-1)).toMatchObject({ args: { n_restarts: 6 } });
  });

  test("the l2 slider is logarithmic, and dragging sends the newest value a few times a second", () => {
    const { model, at, find } = open();
    at(0.5);
    const slider = find<HTMLInputElement>("input[type=range]");
    expect([Number(slider.min), Number(slider.max)]).toEqual([-5, 1]);
    const before = model.sent.length;
    for (const value of ["-2", "-1.5", "-1"]) {
      slider.value = value;
      slider.dispatchEvent(new Event("input"));
    }
    vi.advanceTimersByTime(200);
    expect(model.sent.slice(before)).toMatchObject([{ name: "set", args: { l2: 0.1 } }]);
  });

  test("an arrow moves l2 by a tenth of a decade", () => {
    const { model, at, find } = open();
    at(0.5);
    const slider = find<HTMLInputElement>("input[type=range]");
    slider.value = "-2";
    press(slider, "ArrowRight");
    vi.advanceTimersByTime(200);
    expect((model.sent.at(-1) as any).args.l2).toBeCloseTo(10 ** -1.9, 5);
  });

  test("another layer is asked for by name; one that cannot be cut is not offered", () => {
    const { model, at, find } = open();
    at(0.5);
    const select = find<HTMLSelectElement>("select");
    expect([...select.options].filter((o) => o.disabled).map((o) => o.value)).toEqual(["softmax"]);
    model.set("selection", { ...NOTHING, target: 2, pair: [3, 7], channel: 3, restart: 1 });
    select.value = "conv1d_3";
    select.dispatchEvent(new Event("change"));
    expect(model.sent.at(-1)).toMatchObject({ name: "set", args: { layer: "conv1d_3" } });
    expect(model.get("selection")).toEqual({ ...NOTHING, target: 2 }); // another layer has other channels and restarts
  });

  test("a failed run says why in words", () => {
    const { kernel, find } = open();
    kernel.t = 0.4;
    kernel.state = "failed";
    kernel.frame({ message: "out of memory at batch size 1" });
    paint();
    expect(find(".dre-error").textContent).toBe("out of memory at batch size 1");
    expect(find(".dre-rate").textContent).toBe("failed");
  });
});

test("the layout knows how much room the classes take, from the network alone: nothing moves while it runs", () => {
  const layouts = [1, 4, 12, 13, 26, 27].map((classes) => {
    const { root, at } = open({ classes });
    return [0, 0.5, 1].map((t) => (at(t), root.dataset["classes"]));
  });
  expect(layouts).toEqual(["one", "few", "few", "some", "some", "many"].map((name) => [name, name, name]));
});

describe("selection bar", () => {
  test("writes the same selection as Python", () => {
    const names = ["GATA1", "twin", "twin", 'q"uote'];
    expect(asPython({ ...NOTHING, target: 0, pair: [3, 17], channel: 3 }, names)).toBe('explorer.select(target="GATA1", pair=(3, 17))');
    expect(asPython({ ...NOTHING, target: 1, other: 3 }, names)).toBe('explorer.select(target=1, other="q\\"uote")');
    expect(asPython({ ...NOTHING, clade: [0, 2], channel: 5, restart: 1 }, names)).toBe("explorer.select(clade=[0, 2], channel=5, restart=1)");
  });

  test("with nothing chosen, the line of Python starts from the class that is shown; of one class there is nothing to write", () => {
    const several = open();
    several.at(1);
    expect(several.find(".dre-python").textContent).toBe(`explorer.select(target="${several.world.names[0]}")`);
    const one = open({ classes: 1 });
    one.at(1);
    expect(visible(one.find(".dre-python"))).toBe(false);
  });

  test("alt and arrows go back and forward; escape clears the innermost", () => {
    const { root, select, kernel, at } = open();
    at(1);
    select({ target: 2 });
    select({ channel: 4 });
    press(root, "ArrowLeft", { altKey: true });
    expect(kernel.selection).toMatchObject({ target: 2, channel: null });
    press(root, "ArrowRight", { altKey: true });
    expect(kernel.selection.channel).toBe(4);
    press(root, "Escape");
    expect(kernel.selection).toMatchObject({ target: 2, channel: null });
  });

  test("each chip can be cleared by its own button", () => {
    const { select, kernel, button, at } = open();
    at(1);
    select({ target: 1, other: 3, pair: [2, 5] });
    click(button("Clear 2 \u00d7 5"));
    expect(kernel.selection).toMatchObject({ other: 3, pair: null });
  });
});

describe("classes", () => {
  const rows = (opened: ReturnType<typeof open>) => opened.all(".dre-class:not([data-branch])");

  test("stand in the network's order until there is a tree, and say what they wait for", () => {
    const opened = open();
    opened.at(0.1);
    expect(texts(rows(opened).map((r) => r.querySelector("bdi")!))).toEqual(opened.world.names);
    expect(opened.find(".dre-waiting").textContent).toContain("of 8 so far");
    opened.at(0.9);
    expect(visible(opened.find(".dre-waiting"))).toBe(false);
    expect(opened.all("[data-branch]")).toHaveLength(7);
  });

  test("a click chooses a class, a shift-click compares, a second one on it ends the comparison", () => {
    const opened = open();
    opened.at(0.9);
    const [a, b] = rows(opened);
    click(a);
    click(b, { shiftKey: true });
    expect(opened.kernel.selection.other).not.toBeNull();
    click(b, { shiftKey: true });
    expect(opened.kernel.selection.other).toBeNull();
  });

  test("a click on a branch chooses its clade", () => {
    const opened = open();
    opened.at(0.9);
    const branch = opened.all("[data-branch]")[0];
    expect(branch.getAttribute("aria-label")).toMatch(/^branch of 8 classes, support/);
    click(branch);
    expect([...opened.kernel.selection.clade!].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("the whole tree works by keyboard", () => {
    const opened = open();
    opened.at(0.9);
    const tree = opened.find(".dre-class-rows");
    const order = () => rows(opened).map((r) => Number(r.id.split("-").at(-1)));
    tree.dispatchEvent(new FocusEvent("focus"));
    press(tree, "Home");
    expect(opened.kernel.selection.target).toBe(order()[0]);
    press(tree, "ArrowDown");
    expect(opened.kernel.selection.target).toBe(order()[1]);
    press(tree, "ArrowUp");
    press(tree, "End");
    expect(opened.kernel.selection.target).toBe(order()[7]);
    press(tree, "ArrowUp");
    press(tree, "c");
    expect(opened.kernel.selection.other).toBeNull(); // the selected class is not compared with itself
    press(tree, "ArrowLeft"); // to the branch
    expect(tree.getAttribute("aria-activedescendant")).toMatch(/-(8|9|1\d)$/);
    const before = rows(opened).length;
    press(tree, "ArrowLeft"); // folds it
    expect(rows(opened).length).toBeLessThan(before);
    expect(opened.all("[aria-expanded=false]")).toHaveLength(1);
    press(tree, "ArrowRight"); // opens it
    expect(rows(opened).length).toBe(before);
    press(tree, "Enter");
    expect(opened.kernel.selection.clade!.length).toBeGreaterThan(1);
  });

  test("a slash goes to the search; what matches stays, and Enter chooses it", () => {
    const opened = open({ names: ["alpha", "beta", "gamma", "alphabet", "x", "y", "z", "w"] });
    opened.at(0.9);
    press(opened.root, "/");
    const search = opened.find<HTMLInputElement>("input[type=search]");
    expect(document.activeElement).toBe(search);
    search.value = "bet";
    search.dispatchEvent(new Event("input"));
    expect(texts(rows(opened).map((r) => r.querySelector("bdi")!))).toEqual(["beta", "alphabet"]);
    expect(texts(opened.all("mark"))).toEqual(["bet", "bet"]);
    press(search, "Enter");
    expect(opened.kernel.selection.target).toBe(1);
    expect(search.value).toBe("");
  });

  test("of 919 classes some dozen rows are drawn, and the selected class is one of them", () => {
    const opened = open({ classes: 919, channels: 12 }, (m) => (m.traits["selection"] = { ...NOTHING, target: 444 }));
    opened.at(0.9);
    expect(rows(opened).length).toBeGreaterThan(20);
    expect(rows(opened).length).toBeLessThan(90);
    expect(opened.all(".dre-class[data-mark=target]")).toHaveLength(1);
    const classesIn = (row: Element): number => {
      const folded = row.querySelector(".dre-more-classes:not([hidden])")?.textContent ?? "+0";
      return folded.startsWith("+") ? 1 + Number(folded.slice(1)) : Number(folded.split(" of ")[1]);
    };
    expect(rows(opened).reduce((n, row) => n + classesIn(row), 0)).toBe(919);
  });

  test("a folded clade is called by the word that most of its names and few others hold, with how many do", () => {
    const names = Array.from({ length: 90 }, (_, c) => `Cell ${c} ${["CTCF", "DNase", "GATA1"][c % 3]}`);
    const opened = open({ names, classes: 90, channels: 12 });
    opened.at(0.9);
    const folded = rows(opened).filter((row) => row.hasAttribute("data-folded"));
    expect(folded.length).toBeGreaterThan(0);
    const called = folded.map((row) => [row.querySelector("bdi")!.textContent!, row.querySelector(".dre-more-classes")!.textContent!]);
    for (const [name, more] of called) {
      if (more.startsWith("+")) expect(names).toContain(name);
      else expect(["CTCF", "DNase", "GATA1"]).toContain(name);
    }
    expect(folded.every((row) => /^\d+ classes: Cell/.test(row.querySelector("bdi")!.title))).toBe(true);
  });

  test("names are text, whatever is in them", () => {
    const names = ["<img src=x onerror=alert(1)>", "x".repeat(300), "\u05d0\u05d1\u05d2", "\ud83e\uddec", "twin", "twin", "", "&amp;"];
    const opened = open({ names });
    opened.at(0.9);
    opened.select({ target: 0, other: 1 });
    expect(opened.root.querySelector("img")).toBeNull();
    const shown = texts(rows(opened).map((r) => r.querySelector("bdi")!));
    expect(new Set(shown)).toEqual(new Set(["<img src=x onerror=alert(1)>", "x".repeat(300), "\u05d0\u05d1\u05d2", "\ud83e\uddec", "twin (column 4)", "twin (column 5)", "(no name, column 6)", "&amp;"]));
  });

  test("the last word of a long name stands apart: it is kept where the name is cut short", () => {
    const opened = open({ names: ["Lower, sun exposed (leg) \u2013 Heart", "Lower, sun exposed (leg) \u2013 Brain", "CTCF", "x".repeat(40)] });
    opened.at(0.9);
    const last = rows(opened).map((r) => r.querySelector("bdi .dre-cut + span")?.textContent ?? null);
    expect(new Set(last)).toEqual(new Set([" Heart", " Brain", null]));
  });

  test("one class needs no panel of classes", () => {
    const opened = open({ classes: 1 });
    opened.at(0.9);
    expect(visible(opened.panel("classes"))).toBe(false);
  });
});

describe("convergence", () => {
  test("a line is the gap to the best objective; a diverged restart has none", () => {
    const frame = frameOf(1);
    frame.status[1] = 4;
    const lines = gapLines(frame);
    expect(lines.map((l) => l.restart)).toEqual([0, 2, 3, 4]);
    expect(Math.min(...lines.map((l) => l.gaps.at(-1)!))).toBeCloseTo(0, 5);
  });

  test("while the leader climbs its last gain stands for what is still to come", () => {
    const frame = frameOf(0.2);
    const leader = gapLines(frame).reduce((a, b) => (a.gaps.at(-1)! < b.gaps.at(-1)! ? a : b));
    expect(leader.gaps.at(-1)).toBeGreaterThan(0.01);
  });

  test("the gap's axis ends at a ten-thousandth of the objective, where the rules stop, and says so; nor is it all or nothing", () => {
    const frame = frameOf(1);
    const lines = gapLines(frame);
    const at = (objective: number, start: number) => span({ ...frame, objective: frame.objective.map(() => objective) }, lines.map((l) => ({ ...l, gaps: [start] })));
    expect(at(42, 900)).toEqual([3, -3]); // 4e-3 of logits is fine enough
    expect(at(-42, 300)).toEqual([2.5, -3]);
    expect(at(1e-3, 900)).toEqual([3, -4]); // seven decades at most
    expect(at(1e6, 900)).toEqual([5, 2]); // three at least
    expect(at(4.2, 0)).toEqual([-1, -4]); // also where nothing had to be climbed
    expect(span({ ...frame, objective: new Float32Array(0) }, [])).toEqual([2, -5]);
    const { panel, at: show } = open();
    show(1);
    expect(panel("convergence").textContent).toContain("\u22640.0001");
  });

  test("basins are named with their restarts, diverged ones counted in words", () => {
    const { kernel, panel, at, world } = open({ restarts: 10 });
    at(1);
    expect(panel("convergence").textContent).toContain("basin 1");
    expect(panel("convergence").textContent).toContain("4 restarts");
    const sent = world.frame(1);
    const status = sent.header.arrays!.findIndex((a) => a.name === "status");
    new Uint8Array(sent.buffers[status])[0] = 4;
    kernel.model.deliver(sent);
    paint();
    expect(panel("convergence").textContent).toContain("1 restart diverged, left out");
  });

  test("many basins are named on lines that do not touch, and the rest are counted", () => {
    const { panel, at } = open({ restarts: 30, basins: 14 });
    at(1);
    const labels = [...panel("convergence").querySelectorAll(".dre-end text")].filter(visible);
    expect(texts(labels).slice(0, 2)).toEqual(["basin 1 \u00d73", "basin 2 \u00d73"]);
    expect(labels.at(-1)!.textContent).toBe("and 6 more");
    const y = labels.map((node) => Number(node.getAttribute("y")));
    expect(Math.min(...y.slice(1).map((v, i) => v - y[i]))).toBeGreaterThanOrEqual(14);
  });

  test("arrows walk the restarts and Enter shows one's map", () => {
    const { panel, at, kernel } = open();
    at(1);
    const plot = panel("convergence").querySelector("[role=listbox]")!;
    press(plot, "ArrowDown");
    press(plot, "ArrowDown");
    press(plot, "Enter");
    expect(kernel.selection.restart).toBe(1);
  });
});

describe("two classes", () => {
  const frame = (): Frame => ({
    ...frameOf(1, { channels: 3 }),
    ofiv: Float32Array.of(3, 1, NaN), ofiv_low: Float32Array.of(2.7, 0.5, NaN), ofiv_high: Float32Array.of(3.4, 1.5, NaN),
    other: 2, other_ofiv: Float32Array.of(1, 2, 0), other_low: Float32Array.of(0.6, NaN, 0), other_high: Float32Array.of(1.4, NaN, 0),
  });

  test("their difference has the interval of independent restarts, and none where one of them has none", () => {
    const { value, low, high, difference } = bars(frame(), true);
    expect(difference).toBe(true);
    expect([...value]).toEqual([2, -1, NaN]);
    expect(low[0]).toBeCloseTo(2 - Math.hypot(0.3, 0.4), 6);
    expect(high[0]).toBeCloseTo(2 + Math.hypot(0.4, 0.4), 6);
    expect([low[1], high[1], low[2]]).toEqual([NaN, NaN, NaN]);
    const { other_ofiv: _, ...alone } = frame();
    expect(bars(alone, true).difference).toBe(false);
  });

  test("are shown as their difference by a button or S, the largest first, each end named after a class", () => {
    const { panel, at, select, button, world, find } = open();
    at(1);
    expect(visible(button("Difference"))).toBe(false);
    select({ target: 1, other: 3 });
    expect(panel("importance").querySelector(".dre-keys")!.textContent).toContain(world.names[3]);
    click(button("Difference"));
    expect(button("Difference").getAttribute("aria-pressed")).toBe("true");
    expect(texts(panel("importance").querySelectorAll(".dre-col-bars > bdi"))).toEqual([`\u25c2 more in ${world.names[3]}`, `more in ${world.names[1]} \u25b8`]);
    expect(panel("importance").querySelector(".dre-row .dre-hush")!.textContent).toMatch(/^difference/);
    expect([...panel("importance").querySelectorAll(".dre-tick")].filter(visible)).toEqual([]);
    press(find(".dre-rows"), "s");
    expect(panel("importance").querySelector(".dre-row .dre-hush")!.textContent).toMatch(/^importance/);
    click(button("Difference"));
    select({ other: null });
    expect(panel("importance").querySelector(".dre-row .dre-hush")!.textContent).toMatch(/^importance/);
  });
});

test("a clade shows what its classes share: such channels have rows, their counts stand out, and its mean is beside the bars", () => {
  const { panel, at, select, kernel, world } = open({ channels: 60 });
  at(1);
  const clade = [0, 1, 2];
  select({ target: 5, clade });
  const frame = decode(...(({ header, buffers }) => [header, buffers] as const)(world.frame(1, kernel.selection))) as Frame;
  const common = shared(frame, clade.length);
  expect(common.length).toBeGreaterThan(3);
  const row = (k: number) => panel("importance").querySelector(`[data-channel="${k}"]`)!;
  for (const k of common) expect(row(k).querySelector(".dre-col-sharing")!.hasAttribute("data-high")).toBe(true);
  expect(panel("importance").querySelector(".dre-keys")!.textContent).toContain("mean of the clade of 3");
  expect(visible(row(common[0]).querySelector(".dre-tick")!)).toBe(true);
});

describe("feature map", () => {
  test("the profile of a channel is drawn on the scale of all: a weak one looks weak, and what is unfavoured is blue", () => {
    const opened = open({ channels: 12 });
    opened.at(1);
    const rows = () => opened.all(".dre-row").map((row) => Number(row.dataset["channel"]));
    const [strongest, weakest] = [rows()[0], rows().reduce((a, b) => (Math.abs(opened.world.ofiv[a]) < Math.abs(opened.world.ofiv[b]) ? a : b))];
    const heights = (channel: number) => {
      opened.select({ channel });
      return ["pos", "neg"].map((sign) => {
        const y = [...opened.panel("featuremap").querySelector(`.dre-profile.dre-${sign}`)!.getAttribute("d")!.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((m) => Number(m[1]));
        return Math.max(...y) - Math.min(...y);
      });
    };
    expect(Math.max(...heights(weakest))).toBeLessThan(0.5 * Math.max(...heights(strongest)));
    expect(heights(strongest)[0]).toBeGreaterThan(heights(strongest)[1]);
  });
});

describe("importance", () => {
  test("the important rows stand in order, positive first, and the selected channel is always one", () => {
    const { shown, above, folded } = rank([0.5, -0.9, 0.01, 0.3, -0.02, 0.2, 0.001, NaN], [6], 3);
    expect(shown).toEqual([0, 3, 6, 1]);
    expect(above).toBe(3);
    expect([...folded].sort()).toEqual([2, 4, 5, 7]);
  });

  test("few channels are not folded", () => {
    expect(rank([1, 2, 3], [], 2).folded).toEqual([]);
  });

  test("a disagreement shows the mean of each basin, diverged restarts left out", () => {
    const frame = { ofiv: new Float32Array(1), basin: Uint8Array.of(1, 2, 1, 2), status: Uint8Array.of(2, 2, 2, 4), fiv: Float32Array.of(1, 5, 3, 100) } as unknown as Frame;
    expect(basinMeans(frame).map((m) => m[0])).toEqual([2, 5]);
  });

  test("the axis holds everything drawn, and zero", () => {
    const frame = frameOf(1);
    const [low, high] = extent(frame, basinMeans(frame));
    for (const v of [...frame.ofiv, ...frame.ofiv_low, ...frame.ofiv_high, 0]) {
      expect(v).toBeGreaterThanOrEqual(low);
      expect(v).toBeLessThanOrEqual(high);
    }
  });

  test("a row chooses its channel everywhere; a second click lets it go", () => {
    const { all, kernel, at } = open();
    at(1);
    const row = all(".dre-row")[2];
    click(row);
    const channel = Number(row.dataset["channel"]);
    expect(kernel.selection.channel).toBe(channel);
    expect(row.getAttribute("aria-selected")).toBe("true");
    click(row);
    expect(kernel.selection.channel).toBeNull();
  });

  test("bars are faint until a restart has ended", () => {
    const { all, at } = open();
    at(0.1);
    expect(all(".dre-pale-bar").length).toBeGreaterThan(5);
    at(1);
    expect(all(".dre-bar .dre-pale-bar")).toHaveLength(0);
  });

  test("the fold opens to every channel, and Enter closes it again", () => {
    const { all, find, at } = open();
    at(1);
    expect(all(".dre-row").length).toBe(14);
    click(find(".dre-fold"));
    expect(all(".dre-row").length).toBe(24);
    press(find(".dre-rows"), "Enter");
    expect(all(".dre-row").length).toBe(14);
  });

  test("rows keep their nodes when they change places", () => {
    const { all, at } = open();
    at(1);
    const before = new Set(all(".dre-row"));
    at(0.99, "running");
    expect(all(".dre-row").filter((r) => before.has(r)).length).toBeGreaterThan(10);
  });

  test("a row that changes places glides there, unless the reader wants nothing to move", () => {
    const moves = vi.fn();
    Element.prototype.animate = moves;
    const still = vi.spyOn(window, "matchMedia");
    for (const reduce of [false, true]) {
      still.mockImplementation((query) => ({ matches: reduce && query.includes("reduced-motion"), addEventListener() {} }) as unknown as MediaQueryList);
      const { at } = open();
      at(0.3);
      moves.mockClear();
      vi.advanceTimersByTime(5000);
      at(0.8);
      if (reduce) expect(moves).not.toHaveBeenCalled();
      else expect(moves.mock.contexts.map((row) => (row as Element).className)).toContain("dre-row");
    }
    still.mockRestore();
    delete (Element.prototype as Partial<Element>).animate;
  });

  test("under the pointer rows do not change places while values move", () => {
    const { all, find, at } = open();
    at(0.3);
    find(".dre-rows").dispatchEvent(new Event("pointermove"));
    const order = all(".dre-row").map((r) => r.dataset["channel"]);
    vi.advanceTimersByTime(5000);
    at(0.8);
    expect(all(".dre-row").map((r) => r.dataset["channel"])).toEqual(order);
    find(".dre-rows").dispatchEvent(new Event("pointerleave"));
    vi.advanceTimersByTime(5000);
    at(0.81);
    expect(all(".dre-row").map((r) => r.dataset["channel"])).not.toEqual(order);
  });

  test("a comparison adds its ticks and its name, and goes without leaving a key", () => {
    const { select, at, panel, all } = open();
    at(1);
    select({ target: 0, other: 3 });
    expect(all(".dre-bar .dre-tick:not([hidden])")).toHaveLength(14);
    select({ other: null });
    expect(all(".dre-bar .dre-tick:not([hidden])")).toHaveLength(0);
    expect([...panel("importance").querySelectorAll(".dre-key")].filter(visible)).toHaveLength(2);
  });

  test("without motifs and logos their columns are not there", () => {
    const { panel, at } = open({ motifs: false, logos: false });
    at(1);
    expect(panel("importance").hasAttribute("data-motifs")).toBe(false);
    expect(panel("importance").hasAttribute("data-logos")).toBe(false);
  });
});

describe("feature map", () => {
  test("says which trial it is of and which channel stands above", () => {
    const { panel, at, select } = open();
    at(1);
    select({ channel: 7, restart: 2 });
    expect(panel("featuremap").querySelector(".dre-about")!.textContent).toMatch(/^restart 2, basin \d, ch 7 above$/);
  });

  test("arrows move from channel to channel in the order of importance", () => {
    const { panel, at, kernel, all } = open();
    at(1);
    const order = all(".dre-row").map((r) => Number(r.dataset["channel"]));
    const map = panel("featuremap").querySelector(".dre-map")!;
    press(map, "ArrowDown");
    press(map, "ArrowDown");
    expect(kernel.selection.channel).toBe(order[1]);
  });

  test("a layer without positions shows its vectors, restarts side by side by basin", () => {
    const { panel, at } = open({ positions: 0 });
    at(1);
    expect(panel("featuremap").querySelector("h2")!.textContent).toBe("Feature vector");
    expect(panel("featuremap").textContent).toContain("basin 1, 2 restarts");
    const frame = frameOf(1);
    expect(byBasin(frame).map((g) => g.basin)).toEqual([1, 2]);
  });
});

describe("pairs", () => {
  test("before there are any, the panel says what they wait for", () => {
    const { panel, at } = open();
    at(0.2);
    expect(panel("pairs").textContent).toMatch(/\d of 5 so far/);
  });

  test("where there are none, the reason given by the kernel stands there", () => {
    const { panel, at, kernel, world } = open();
    at(1);
    const { header, buffers } = world.pairs(0, []);
    const none = { ...header, message: "no input of this network is a one-hot sequence", arrays: header.arrays!.map((a) => ({ ...a, shape: a.shape.map(() => 0) })) };
    kernel.model.deliver({ header: none, buffers: buffers.map(() => new ArrayBuffer(0)) });
    paint();
    expect(panel("pairs").querySelector(".dre-empty")!.textContent).toBe("no input of this network is a one-hot sequence");
  });

  test("a matrix with gaps is being read as long as there is a kernel; without one it says how much was", () => {
    const { panel, at, kernel, model, world } = open();
    at(1);
    const { header, buffers } = world.pairs(0, new Float32Array(24));
    const table = new Float32Array(buffers[1]);
    table[1] = table[14] = NaN;
    kernel.model.deliver({ header, buffers });
    paint();
    expect(panel("pairs").querySelector(".dre-state")!.textContent).toBe("reading \u2026");
    model.emit("comm_live_update");
    expect(panel("pairs").querySelector(".dre-state")!.textContent).toBe("90 of 91 pairs read");
  });

  test("a lower triangle, each cell with its channels and value; a click opens the pair", () => {
    const { panel, at, kernel } = open();
    at(1);
    const cells = [...panel("pairs").querySelectorAll("[role=option]")];
    expect(cells).toHaveLength((14 * 13) / 2);
    expect(cells[0].getAttribute("aria-label")).toMatch(/^channels \d+ and \d+, [\u22120-9.]+$/);
    click(cells[5]);
    expect(kernel.selection.pair).toHaveLength(2);
    paint();
    kernel.frame();
    paint();
    expect(panel("pair").querySelectorAll(".dre-truth").length).toBeGreaterThan(0);
  });

  test("the ends of a tiny scale are powers of ten, and never run into each other", () => {
    const { panel, at } = open({ scale: 2e-4 });
    at(1);
    const ends = [...panel("pairs").querySelectorAll("text.dre-axis")].filter((t) => t.textContent && visible(t)).slice(-3);
    expect(texts(ends).join(" ")).toMatch(/^(\u2212\de\u2212\d 0 \+\de\u2212\d|.*\u00b1\d\.\de\u2212\d)$/);
  });

  test("arrows move from cell to cell, Enter opens", () => {
    const { panel, at, kernel } = open();
    at(1);
    const plot = panel("pairs").querySelector("[role=listbox]")!;
    press(plot, "ArrowDown");
    press(plot, "ArrowDown");
    press(plot, "ArrowRight");
    press(plot, "Enter");
    expect(plot.querySelector("[aria-selected=true]")).not.toBeNull();
    expect(kernel.selection.pair).not.toBeNull();
  });
});

describe("pair detail", () => {
  test("without pairs one line says how to choose one", () => {
    const { panel, at } = open();
    at(0.4);
    expect(panel("pair").textContent).toBe("No pair selectedChoose a cell, or two channels with P");
  });

  test("without a pair the strongest ones are offered, by size, and one tab stop with arrows reaches them all", () => {
    const { panel, at, model } = open();
    at(1);
    const number = (words: string) => Number(words.replace("\u2212", "-"));
    const cells = [...panel("pairs").querySelectorAll("[data-cell]")].map((cell) => Math.abs(number(cell.getAttribute("aria-label")!.split(", ")[1])));
    const offered = [...panel("pair").querySelectorAll("button")].filter(visible);
    const sizes = offered.map((row) => Math.abs(number(row.querySelectorAll("b")[1].textContent!)));
    expect(sizes).toEqual(cells.sort((a, b) => b - a).slice(0, sizes.length));
    expect(offered.map((row) => row.tabIndex)).toEqual([0, -1, -1, -1, -1, -1]);
    offered[0].focus();
    press(offered[0], "ArrowDown");
    expect(document.activeElement).toBe(offered[1]);
    click(offered[1]);
    expect((model.get("selection") as Selection).pair!.join(" \u00d7 ")).toBe(offered[1].querySelector("b")!.textContent);
    expect(visible(offered[1])).toBe(false);
  });

  test("P and two channels make a pair", () => {
    const { root, all, at, kernel, panel } = open();
    at(1);
    press(root, "p");
    const [a, b] = all(".dre-row");
    click(a);
    expect(panel("pair").textContent).toContain(`Channel ${a.dataset["channel"]} and`);
    click(b);
    expect(kernel.selection.pair).toEqual([Number(a.dataset["channel"]), Number(b.dataset["channel"])]);
  });

  test("two basins are two tables, each with its own words, never an average", () => {
    const { select, at, panel } = open();
    at(1);
    select({ target: 0, pair: [3, 5] });
    const tables = [...panel("pair").querySelectorAll(".dre-tables > div")];
    expect(tables).toHaveLength(2);
    expect(texts(tables.map((t) => t.querySelector("bdi")!))).toEqual(["either absence is enough", "either is enough"]);
    expect(panel("pair").querySelector(".dre-truth")!.getAttribute("aria-label")).toBe("Logit with neither \u22120.01, channel 3 alone 0.64, channel 5 alone 0.40, both 0.85");
  });

  test("one basin: the sum of the parts beside what they do together", () => {
    const { select, at, panel } = open();
    at(1);
    select({ target: 1, pair: [3, 5] });
    const facts = [...panel("pair").querySelectorAll("dl > div")].map((row) => texts(row.children).join(": "));
    expect(facts).toEqual(expect.arrayContaining(["sum of parts: 1.05", "together: 0.85", "non-linearity: \u22120.21 [\u22120.23, \u22120.19]"]));
  });

  test("a pair nobody has read yet shows its restarts and says so", () => {
    const { at, panel, kernel, model } = open();
    at(0.3);
    model.onSend = () => {};
    model.set("selection", { ...kernel.selection, pair: [1, 2] });
    paint();
    expect(panel("pair").textContent).toContain("comes when the pair has been read");
    expect(panel("pair").querySelectorAll("[data-restart]")).toHaveLength(5);
  });
});

describe("what one selection does", () => {
  test("between the click and the class's frame, panels with the old class's values are marked as such", () => {
    const { model, at, all, panel, kernel } = open();
    at(0.9);
    model.onSend = () => {};
    const row = all(".dre-class:not([data-branch]):not([data-mark=target])")[0];
    click(row);
    expect(row.dataset["mark"]).toBe("target");
    expect(panel("importance").hasAttribute("data-stale")).toBe(true);
    kernel.frame();
    paint();
    expect(panel("importance").hasAttribute("data-stale")).toBe(false);
  });

  test("two views of one model show one selection and one frame", () => {
    const { view, root, at, all } = open();
    const second = view();
    at(0.9);
    click(all(".dre-row")[3]);
    expect(second.querySelector("[data-main]")!.getAttribute("data-channel")).toBe(all(".dre-row")[3].dataset["channel"]);
    expect(second.dataset["seq"]).toBe(root.dataset["seq"]);
  });

  test("keys meant for the view do not reach the notebook, its own shortcuts do", () => {
    const { root, at } = open();
    at(0.9);
    const heard: string[] = [];
    const listen = (event: KeyboardEvent) => heard.push(event.key);
    document.addEventListener("keydown", listen);
    press(root, "x");
    press(root, "s", { ctrlKey: true });
    press(root, "Enter", { shiftKey: true });
    document.removeEventListener("keydown", listen);
    expect(heard).toEqual(["s", "Enter"]);
  });
});

describe("tables to keep", () => {
  const store = new Store();
  const world = new World({ classes: 3, channels: 4, positions: 4, restarts: 2, names: ["=cmd()", 'a "b"', "c"] });
  store.put([world.meta(), world.frame(1, { target: 1, other: 2 }), world.tree(), world.pairs(1, world.ofiv)].map(({ header, buffers }) => decode(header, buffers)));

  test("importance has a row a channel, the compared class beside it", () => {
    const table = TABLES["importance"](store)!;
    expect(table).toHaveLength(5);
    expect(table[0]).toContain("importance in c");
    expect(table[1].slice(0, 3)).toEqual(['a "b"', 0, store.frame.value!.ofiv[0]]);
  });

  test("similarity is square with the names on both sides", () => {
    const table = TABLES["similarity"](store)!;
    expect(table.map((row) => row.length)).toEqual([4, 4, 4, 4]);
    expect(table[1][1]).toBe(1);
  });

  test("quotes are doubled, what is no number is empty, and a name is never a formula", () => {
    expect(csv([['a "b"', NaN, -1.5], ["=cmd()", 0, 1]])).toBe('"a ""b""",,-1.5\r\n"\'=cmd()",0,1');
  });

  test("what is not there makes no table", () => {
    expect(Object.values(TABLES).map((make) => make(new Store()))).toEqual([null, null, null, null]);
  });
});
