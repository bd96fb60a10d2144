import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { World } from "../dev/world";
import { inflate, read } from "../src/columns";
import { open, shared, show } from "../src/page";
import { decode } from "../src/protocol";
import type { Frame, Message } from "../src/protocol";
import { click, paint, prepare } from "./page";

const golden: { block: string; messages: Record<string, unknown>[]; clade: Record<string, number[]> } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../tests/golden/columns.json"), "utf8"),
);
const block = Buffer.from(golden.block, "base64");
const bytes = block.buffer.slice(block.byteOffset, block.byteOffset + block.length) as ArrayBuffer;

beforeEach(prepare);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const plain = (message: object) =>
  Object.fromEntries(Object.entries(message).map(([k, v]) => [k, ArrayBuffer.isView(v) ? Array.from(v as unknown as number[], (x) => (Number.isNaN(x) ? null : x)) : v]));

test("a block that Python wrote is read as Python reads it", () => {
  const { messages, selection } = read(bytes);
  expect(selection).toEqual({ target: 1 });
  expect(messages.map(plain)).toEqual(golden.messages);
});

test("the text of a page becomes the block again", async () => {
  vi.useRealTimers();
  const text = gzipSync(block).toString("base64");
  expect(Buffer.from(await inflate(`\n${text}\n`)).equals(block)).toBe(true);
});

test("what a clade shares is what the kernel would say", () => {
  const frames = read(bytes).messages.filter((m) => m.type === "frame");
  const { clade_sharing, clade_ofiv } = shared(frames);
  expect(Array.from(clade_sharing!)).toEqual(golden.clade["clade_sharing"]);
  golden.clade["clade_ofiv"].forEach((v, k) => expect(clade_ofiv![k]).toBeCloseTo(v, 6));
});

function saved(classes: number): { el: HTMLElement; messages: Message[] } {
  const world = new World({ classes, channels: 6, positions: 5 });
  const sent = [world.meta(), world.tree(), ...Array.from({ length: classes }, (_, target) => world.frame(1, { target }))];
  const el = document.createElement("div");
  document.body.append(el);
  return { el, messages: sent.map(({ header, buffers }) => decode(header, buffers)) };
}

test("every class that was saved can be looked at, with no kernel at all", () => {
  const { el, messages } = saved(3);
  show({ messages, selection: {} }, el);
  for (const row of el.querySelectorAll(".dre-class:not([data-branch])")) {
    click(row);
    expect(el.querySelector("[data-panel=importance]")!.hasAttribute("data-stale")).toBe(false);
  }
  expect(el.querySelector(".dre-saved")!.textContent).toBe("Saved view, no kernel");
});

test("the view opens on what was selected, and there is nothing to go back to", () => {
  const { el, messages } = saved(4);
  const store = show({ messages, selection: { target: 2, channel: 1 } }, el);
  expect(store.selection.value).toMatchObject({ target: 2, channel: 1, clade: null });
  expect((store.frame.value as Frame).target).toBe(2);
  expect(store.canBack.value).toBe(false);
});

test("a branch shows what its classes share, and another branch something else", () => {
  const { el, messages } = saved(4);
  const store = show({ messages, selection: {} }, el);
  const all = messages.filter((m): m is Frame => m.type === "frame");
  for (const clade of [[0, 1], [1, 2, 3]]) {
    store.select({ clade });
    paint();
    expect(store.frame.value!.clade_ofiv).toEqual(shared(clade.map((c) => all[c])).clade_ofiv);
  }
  store.select({ clade: null });
  expect(store.frame.value!.clade_ofiv).toBeUndefined();
});

test("a page that was cut short says so in words", async () => {
  vi.useRealTimers();
  const el = document.createElement("div");
  await open(gzipSync(block).toString("base64").slice(0, 100), el);
  expect(el.textContent).toMatch(/^The saved view could not be read: /);
});
