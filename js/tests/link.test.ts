import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MockModel } from "../dev/kernel";
import { pack, World } from "../dev/world";
import entry from "../src/index";
import { click, open, paint, prepare, visible } from "./page";

beforeEach(prepare);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const acks = (model: MockModel) => model.sent.filter((m) => m.type === "ack").map((m) => m["seq"]);

test("a page greets the kernel the moment it opens", () => {
  const model = new MockModel();
  entry().initialize({ model });
  expect(model.sent).toMatchObject([{ v: 1, type: "hello" }]);
});

test("a message is acknowledged after it was drawn, once for all views", () => {
  const { model, kernel, world, view } = open();
  view();
  const before = acks(model).length;
  kernel.frame();
  expect(acks(model)).toHaveLength(before);
  paint();
  expect(acks(model).slice(before)).toEqual([world.seq]);
});

test("of several frames between two repaints the newest is drawn, and its number covers all", () => {
  const { model, kernel, root, world } = open();
  const drawn = Number(root.dataset["frames"]);
  kernel.frame();
  kernel.frame();
  kernel.frame();
  paint();
  expect(Number(root.dataset["frames"])).toBe(drawn + 1);
  expect(acks(model).at(-1)).toBe(world.seq);
});

test("a reply takes a place among the messages in flight, so it is acknowledged too", () => {
  const { model, world } = open();
  model.deliver({ header: { v: 1, type: "reply", run: 1, seq: ++world.seq, id: 1, ok: true, error: null }, buffers: [] });
  paint();
  expect(acks(model).at(-1)).toBe(world.seq);
});

test("with no view open nothing is acknowledged, and the next view greets the kernel again if it waited long", () => {
  const world = new World({ classes: 3, channels: 4, positions: 4 });
  const model = new MockModel();
  const held = entry();
  held.initialize({ model });
  model.deliver(world.meta());
  model.deliver(world.frame(0.5));
  paint();
  expect(acks(model)).toEqual([]);
  vi.advanceTimersByTime(3000);
  held.render({ model, el: document.createElement("div") });
  paint();
  expect(model.sent.filter((m) => m.type === "hello")).toHaveLength(2);
  expect(acks(model)).toEqual([world.seq]);
});

test("an error in the reply to a command is shown in words, and a later success takes it away", () => {
  const { model, find, world } = open();
  const reply = (ok: boolean, error: string | null) => model.deliver({ header: { v: 1, type: "reply", run: 1, seq: ++world.seq, id: 1, ok, error }, buffers: [] });
  reply(false, "expected l2 > 0, got \u22121: drag it to the right");
  expect(find(".dre-error").textContent).toContain("expected l2 > 0");
  expect(visible(find(".dre-error"))).toBe(true);
  reply(true, null);
  expect(visible(find(".dre-error"))).toBe(false);
});

test("a message that cannot be read says why and leaves the view standing", () => {
  const { model, find, at, root } = open();
  model.deliver({ header: { v: 9, type: "frame" }, buffers: [] });
  expect(find(".dre-error").textContent).toContain("reload the page");
  at(0.5);
  expect(root.dataset["state"]).toBe("running");
});

test("a selection made here is written to the trait, one made in Python is shown", () => {
  const { model, find, select, at } = open();
  at(0.6);
  click(find(".dre-class:not([data-branch])"));
  expect((model.get("selection") as { target: number }).target).toBeTypeOf("number");
  select({ target: 3, channel: 5 });
  expect(find(".dre-python").textContent).toMatch(/channel=5/);
});

test("closing a view leaves no listener behind on the page, closing the model none on the model", () => {
  const live = new Set<unknown>();
  for (const target of [document, window]) {
    const [add, remove] = [target.addEventListener.bind(target), target.removeEventListener.bind(target)];
    vi.spyOn(target, "addEventListener").mockImplementation(((type: string, listener: any, options: any) => {
      live.add(listener);
      options?.signal?.addEventListener("abort", () => live.delete(listener));
      add(type, listener, options);
    }) as typeof target.addEventListener);
    vi.spyOn(target, "removeEventListener").mockImplementation(((type: string, listener: any, options: any) => {
      live.delete(listener);
      remove(type, listener, options);
    }) as typeof target.removeEventListener);
  }
  const { model, end, view } = open();
  view();
  end();
  expect([...live]).toEqual([]);
  expect(model.listeners()).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("a closed view draws no more", () => {
  const opened = open();
  const frames = opened.root.dataset["frames"];
  opened.end();
  opened.kernel.frame();
  paint();
  expect(opened.root.dataset["frames"]).toBe(frames);
});

test("a notebook reopened without a kernel shows the saved view and says so", () => {
  const world = new World({ classes: 4, channels: 6, positions: 5 });
  const block = pack([world.meta(), world.frame(1), world.tree()]);
  const { root, find, panel } = open({}, (model) => {
    model.onSend = () => {};
    model.traits["snapshot"] = new DataView(block.buffer);
  });
  expect(root.dataset["state"]).toBe("done");
  vi.advanceTimersByTime(4000);
  expect(find(".dre-saved").textContent).toBe("Saved view, no kernel");
  expect(visible(find(".dre-buttons"))).toBe(false);
  expect(panel("importance").querySelectorAll(".dre-row").length).toBe(6);
});

test("without a kernel and without anything saved it says what it waits for", () => {
  const { find } = open({}, (model) => (model.onSend = () => {}));
  expect(find(".dre-saved").textContent).toBe("Waiting for the kernel");
});

test("a running kernel that falls silent is asked after, and the view says so", () => {
  const { model, at, find } = open();
  at(0.5);
  const hellos = () => model.sent.filter((m) => m.type === "hello").length;
  const before = hellos();
  model.onSend = () => {};
  vi.advanceTimersByTime(7000);
  expect(hellos()).toBeGreaterThan(before);
  expect(find(".dre-saved").textContent).toBe("No answer from the kernel");
});

test("a kernel that goes away leaves its last picture as a saved view", () => {
  const { model, at, find } = open();
  at(0.5);
  model.emit("comm_live_update");
  expect(find(".dre-saved").textContent).toBe("Saved view, no kernel");
});

test("a class that a saved view does not hold is said not to be in it", () => {
  const world = new World({ classes: 4, channels: 6, positions: 5 });
  const block = pack([world.meta(), world.frame(1), world.tree()]);
  const { find, all } = open({}, (model) => {
    model.onSend = () => {};
    model.traits["snapshot"] = new DataView(block.buffer);
  });
  vi.advanceTimersByTime(4000);
  click(all(".dre-class:not([data-branch]):not([data-mark=target])")[0]);
  expect(find(".dre-saved").textContent).toBe("Saved view, no kernel: this class is not in it");
});

test("before anything has run the view is idle and can be told to run", () => {
  const { model, root, button } = open({}, (m) => {
    m.onSend = (message) => {
      if (message.type === "hello") m.deliver({ header: { v: 1, type: "frame", run: 0, seq: 1, state: "idle", message: null, elapsed: 0, rate: 0, arrays: [] }, buffers: [] });
    };
  });
  expect(root.dataset["state"]).toBe("idle");
  expect(root.textContent).not.toMatch(/NaN|undefined|null/);
  expect(visible(root.querySelector("input[type=range]")!)).toBe(false); // nothing to set yet
  click(button("Run"));
  expect(model.sent.at(-1)).toMatchObject({ type: "command", name: "run", args: {} });
});
