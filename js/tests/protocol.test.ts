import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { decode, unpack } from "../src/protocol";
import type { Bytes, Header } from "../src/protocol";
import { World } from "../dev/world";

const GOLDEN = join(import.meta.dirname, "../../tests/golden");

interface Golden {
  header: Header;
  buffers: string[];
  expect: { arrays: Record<string, (number | null)[]> };
}

const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

/** The same bytes at every place a host may put them. */
const places: Record<string, (b: Uint8Array) => Bytes> = {
  "an ArrayBuffer": (b) => b.slice().buffer as ArrayBuffer,
  "a DataView at an odd offset": (b) => {
    const room = new Uint8Array(b.length + 8);
    room.set(b, 3);
    return new DataView(room.buffer, 3, b.length);
  },
  "a Uint8Array within a larger block": (b) => {
    const room = new Uint8Array(b.length + 16);
    room.set(b, 8);
    return room.subarray(8, 8 + b.length);
  },
};

describe("messages that both sides must read alike", () => {
  const names = readdirSync(GOLDEN).filter((n) => n.startsWith("wire-"));
  test("there is one of every type that carries arrays", () => {
    expect(names.map((n) => n.slice(5, -5)).sort()).toEqual(["frame", "idle", "meta", "pair", "pairs", "tree"]);
  });
  for (const name of names) {
    const golden: Golden = JSON.parse(readFileSync(join(GOLDEN, name), "utf8"));
    for (const [place, put] of Object.entries(places)) {
      test(`${name} from ${place}`, () => {
        const message = decode(golden.header, golden.buffers.map((b) => put(bytes(b)))) as unknown as Record<string, ArrayLike<number>>;
        for (const [array, values] of Object.entries(golden.expect.arrays)) {
          const got = Array.from(message[array], (v) => (Number.isNaN(v) ? null : v));
          expect(got).toEqual(values);
        }
        expect(message["type"]).toBe(golden.header.type);
      });
    }
  }
  test("the packed snapshot", () => {
    const golden: { block: string; types: string[]; ofiv: number[] } = JSON.parse(readFileSync(join(GOLDEN, "snapshot.json"), "utf8"));
    const messages = unpack(bytes(golden.block));
    expect(messages.map((m) => m.type)).toEqual(golden.types);
    const frame = messages.find((m) => m.type === "frame")!;
    expect(frame.type === "frame" && Array.from(frame.ofiv)).toEqual(golden.ofiv);
  });
});

describe("what is refused, and how", () => {
  const { header, buffers } = new World({ classes: 3, channels: 4, positions: 6 }).frame(0.5);
  test("another version asks for a reload", () => {
    expect(() => decode({ ...header, v: 2 }, buffers)).toThrow("expected protocol version 1, got 2: reload the page");
  });
  test("a buffer of the wrong length names its array", () => {
    expect(() => decode(header, [new ArrayBuffer(1), ...buffers.slice(1)])).toThrow(/class_finished: expected 3 uint16 values, got 1 bytes/);
  });
  test("a missing array is named", () => {
    const without = header.arrays!.slice(1);
    expect(() => decode({ ...header, arrays: without }, buffers.slice(1))).toThrow("array class_finished is missing");
  });
  test("a dtype that is not the table's", () => {
    const arrays = header.arrays!.map((a) => (a.name === "status" ? { ...a, dtype: "float32" } : a));
    expect(() => decode({ ...header, arrays }, buffers)).toThrow("array status: expected uint8, got float32");
  });
  test("a type nobody knows", () => {
    expect(() => decode({ v: 1, type: "gossip" }, [])).toThrow(/unknown message type "gossip"/);
  });
  test("fewer buffers than arrays", () => {
    expect(() => decode(header, buffers.slice(1))).toThrow(/expected \d+ buffers, got \d+/);
  });
});

test("an empty snapshot holds no messages", () => {
  expect(unpack(new ArrayBuffer(0))).toEqual([]);
});
