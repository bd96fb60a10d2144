import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { MockModel } from "../dev/kernel";
import { World } from "../dev/world";
import type { Header } from "../src/protocol";
import { open, prepare, visible } from "./page";

beforeEach(prepare);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A kernel that has run nothing yet, or shows a saved result. */
function kernel(model: MockModel, more: object, state = "idle"): void {
  const world = new World({ classes: 8, channels: 24, positions: 40 });
  model.onSend = ({ type }) => {
    if (type !== "hello") return;
    const { header, buffers } = world.meta();
    model.deliver({ header: { ...header, l2_range: null, ...more } as Header, buffers });
    if (state === "done") return model.deliver(world.frame(1));
    const counts = { trials: 80, waiting: 80, running: 0, converged: 0, exhausted: 0, diverged: 0, stopped: 0 };
    model.deliver({ header: { v: 1, type: "frame", run: 1, seq: 2, state, message: null, elapsed: 0, rate: 0, n_restarts: 10, l2: null, rule: "fast", counts, arrays: [] }, buffers: [] });
  };
}

test("before the first run the classes are named and it is said what Run will do", () => {
  const { root, all, find, button } = open({}, (model) => kernel(model, {}));
  expect(root.dataset["state"]).toBe("idle");
  expect(all(".dre-class")).toHaveLength(8);
  expect(root.textContent).toContain("80 trials to run");
  expect(root.textContent).not.toMatch(/NaN|undefined|null/);
  expect(visible(button("More restarts"))).toBe(true);
  expect(visible(find("input[type=range]"))).toBe(false); // chosen when the run begins
});

test("a saved result can neither be run nor set, and says why", () => {
  const { find, all } = open({}, (model) => kernel(model, { fixed: true }, "done"));
  expect(find(".dre-saved").textContent).toBe("Saved result, no model");
  expect(visible(find(".dre-saved"))).toBe(true);
  expect(visible(find(".dre-buttons"))).toBe(false);
  expect(visible(find(".dre-settings"))).toBe(false);
  expect(all(".dre-row").length).toBeGreaterThan(0);
});
