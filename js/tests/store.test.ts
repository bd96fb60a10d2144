import { expect, test } from "vitest";
import { decode } from "../src/protocol";
import type { Frame, Message } from "../src/protocol";
import { distinct, Store } from "../src/store";
import { World } from "../dev/world";
import type { Sent } from "../dev/world";

const read = ({ header, buffers }: Sent): Message => decode(header, buffers);
const world = () => new World({ classes: 5, channels: 6, positions: 4, restarts: 3 });

test("a frame of an older run is dropped", () => {
  const store = new Store();
  const w = world();
  const old = read(w.frame(0.9));
  w.run = 2;
  store.put([read(w.meta()), read(w.frame(0.1))]);
  store.put([old]);
  expect(store.frame.value!.run).toBe(2);
});

test("a new run forgets the tree and the pairs of the old one", () => {
  const store = new Store();
  const w = world();
  store.put([read(w.meta()), read(w.frame(1)), read(w.tree()), read(w.pairs(0, w.ofiv)), read(w.pair(0, [1, 2]))]);
  w.run++;
  store.put([read(w.frame(0))]);
  expect([store.tree.value, store.pairs.value, store.pair.value]).toEqual([null, null, null]);
});

test("going back and forward walks the selections, and a new choice ends the way forward", () => {
  const store = new Store();
  store.select({ target: 1 });
  store.select({ target: 2, channel: 4 });
  store.back();
  expect(store.selection.value.target).toBe(1);
  store.forward();
  expect(store.selection.value).toMatchObject({ target: 2, channel: 4 });
  store.back();
  store.select({ other: 3 });
  expect(store.canForward.value).toBe(false);
});

test("a held arrow key is one place to go back to", () => {
  const store = new Store();
  store.select({ target: 0 });
  for (const target of [1, 2, 3]) store.select({ target }, { step: true });
  store.back();
  expect(store.selection.value.target).toBe(0);
});

test("a new class drops the restart, which was the old class's, and keeps the channel", () => {
  const store = new Store();
  store.select({ target: 1, restart: 4, channel: 2 });
  store.select({ target: 3 });
  expect(store.selection.value).toMatchObject({ target: 3, restart: null, channel: 2 });
});

test("a class is never compared with itself", () => {
  const store = new Store();
  store.select({ target: 1, other: 2 });
  store.select({ target: 2 });
  expect(store.selection.value.other).toBeNull();
});

test("escape clears from the inside out", () => {
  const store = new Store();
  store.select({ target: 1, other: 2, pair: [3, 4] });
  const left = [];
  while (store.clearInnermost()) left.push(Object.entries(store.selection.value).filter(([, v]) => v !== null).map(([k]) => k).join(" "));
  expect(left).toEqual(["target other channel", "target other", "target", ""]);
});

test("between a click and the next frame the frame at hand is not the selected class's", () => {
  const store = new Store();
  const w = world();
  store.put([read(w.meta()), read(w.frame(1))]);
  store.select({ target: 3 });
  expect(store.current.value).toBe(false);
  store.put([read(w.frame(1, { target: 3 }))]);
  expect(store.current.value).toBe(true);
});

test("equal names and empty ones are told apart by their column", () => {
  expect(distinct(["a", "twin", "", "twin"])).toEqual(["a", "twin (column 1)", "(no name, column 2)", "twin (column 3)"]);
});

test("names that only look alike are told apart too, and no given name can pass for another column's", () => {
  const given = ["a b", "a  b", "a\u00a0b", "a b\u200b", "\u202ea b", "caf\u00e9", "cafe\u0301", "\u200b", "twin", "twin", "twin (column 8)", "(no name, column 7)", "class 13", "13", " "];
  const shown = distinct(given);
  const look = (name: string) => name.normalize("NFKC").replace(/[\u200b\u202e]/g, "").replace(/\s+/g, " ").trim();
  expect(new Set(shown.map(look)).size).toBe(given.length);
});

test("a class that has its column's number for a name is called a class", () => {
  expect(distinct(["0", "1", "3"])).toEqual(["class 0", "class 1", "3"]);
});

test("a saved view answers a selection from what was saved", () => {
  const store = new Store();
  const w = world();
  store.link.value = "saved";
  store.restore([read(w.meta()), read(w.frame(1, { target: 0 })), read(w.frame(1, { target: 2 })), read(w.pair(2, [1, 4]))]);
  expect(store.frame.value!.target).toBe(0);
  store.select({ target: 2, other: 0, pair: [4, 1] });
  expect(store.frame.value!.target).toBe(2);
  expect(Array.from(store.frame.value!.other_ofiv!)).toEqual(Array.from((read(w.frame(1, { target: 0 })) as Frame).ofiv));
  expect(store.pair.value!.pair).toEqual([1, 4]);
});

test("a kernel that answers after a saved view was shown is believed, whatever its run number", () => {
  const store = new Store();
  const w = world();
  w.run = 7;
  store.restore([read(w.meta()), read(w.frame(1))]);
  w.run = 1;
  store.link.value = "live";
  store.put([read(w.frame(0.2))]);
  expect(store.frame.value!.run).toBe(1);
});
