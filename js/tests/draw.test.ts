import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { entries, poolMatrix, poolRows } from "../src/draw/canvas";
import { clear, fromOklab, luminance, parse, ramp, toOklab } from "../src/draw/colour";
import { commonWords } from "../src/draw/common";
import { information, letterHeights, logoPaths } from "../src/draw/logo";
import { atLeast, count, digitsAt, digitsFor, duration, fixed, plural, short, signed } from "../src/draw/numbers";
import { apart, linear, niceCeil, niceStep, quantile, symmetricLimit, ticks } from "../src/draw/scales";
import { abscissa, fold, grow, layout } from "../src/draw/tree";

describe("numbers", () => {
  test("a size too small for its digits is not called zero", () => {
    expect([0, 4e-4, 6e-4, 0.5, NaN].map((v) => atLeast(v, 3))).toEqual(["0.000", "<0.001", "0.001", "0.500", "\u2013"]);
    expect(atLeast(4e-9, NaN)).toBe("4e\u22129");
  });

  test("a true minus sign, and no minus before zero", () => {
    expect(fixed(-0.25, 2)).toBe("\u22120.25");
    expect(fixed(-0.001, 2)).toBe("0.00");
    expect(signed(0.5, 1)).toBe("+0.5");
  });
  test("what is no number is a dash, never NaN", () => {
    expect([fixed(NaN, 2), short(Infinity), count(NaN), duration(NaN)]).toEqual(["\u2013", "\u2013", "\u2013", "\u2013"]);
  });
  test("counts, spans of time and plurals read as words", () => {
    expect(count(9190)).toBe("9,190");
    expect([duration(0.3), duration(7.2), duration(80), duration(11100)]).toEqual(["0.3 s", "7 s", "1 min 20 s", "3 h 5 min"]);
    expect([plural(1, "restart"), plural(4, "restart")]).toEqual(["1 restart", "4 restarts"]);
  });
  test("values too small or too large for digits are powers of ten", () => {
    expect([fixed(-0.00021, digitsAt(0.0005)), signed(2e-7, digitsAt(2e-7)), fixed(0, digitsAt(1e-9)), fixed(0.25, digitsAt(0.3))]).toEqual(["\u22122.1e\u22124", "+2e\u22127", "0", "0.25"]);
  });
  test("short keeps three digits and small powers readable", () => {
    expect([short(0.00125), short(2.8), short(1e-9), short(12000)]).toEqual(["0.00125", "2.8", "1e\u22129", "12,000"]);
  });
});

describe("scales", () => {
  test("a scale maps its domain's ends to its range's", () => {
    const x = linear([-1, 3], [0, 400]);
    expect([x(-1), x(0), x(3)]).toEqual([0, 100, 400]);
  });
  test("an empty domain does not divide by zero", () => {
    expect(linear([2, 2], [10, 90])(2)).toBe(10);
  });
  test("ticks are round, inside, and have an exact zero", () => {
    expect(ticks(-0.25, 0.25, 5)).toEqual([-0.2, -0.1, 0, 0.1, 0.2]);
    expect(ticks(0, 0, 4)).toEqual([0]);
    expect(ticks(NaN, 1, 4)).toEqual([]);
  });
  test("steps are 1, 2, 5 times a power of ten", () => {
    expect([niceStep(0.11), niceStep(0.3), niceStep(7)]).toEqual([0.2, 0.5, 10]);
    expect(digitsFor(0.05)).toBe(2);
  });
  test("an axis' end seldom moves", () => {
    expect([niceCeil(57), niceCeil(60), niceCeil(74)]).toEqual([75, 75, 75]);
  });
  test("a colour scale ends at the 99th percentile and leaves NaN out", () => {
    expect(quantile([1, NaN, 3], 0.5)).toBe(2);
    expect(symmetricLimit([...Array(200).fill(-1), 1000])).toBe(1);
    expect(symmetricLimit([NaN, 0])).toBe(1);
  });
});

describe("labels", () => {
  test("too near, they move apart, down first, and up where the end is reached", () => {
    expect(apart([0, 3, 50], 10, 100)).toEqual([0, 10, 50]);
    expect(apart([80, 90, 95], 10, 100)).toEqual([80, 90, 100]);
    expect(apart([98, 98, 98], 10, 100)).toEqual([80, 90, 100]);
  });
});

describe("colour", () => {
  test("OKLab and back", () => {
    for (const rgb of [[0, 0, 0], [255, 255, 255], [106, 61, 179], [230, 155, 4]] as const) expect(fromOklab(toOklab(rgb))).toEqual(rgb);
  });
  test("CSS colours are read, alpha is laid over what is behind", () => {
    expect(parse("#6a3db3")).toEqual([106, 61, 179]);
    expect(parse("rgba(0, 0, 0, 0.5)")).toEqual([128, 128, 128]);
    expect(parse("color(srgb 1 0 0.5)")).toEqual([255, 0, 128]);
    expect(parse("currentColor")).toBeNull();
    expect(["rgba(0, 0, 0, 0)", "transparent", "rgb(0, 0, 0)", "rgba(0, 0, 0, 0.5)"].map(clear)).toEqual([true, true, false, false]);
  });
  test("zero is the background, and the ends are their colours", () => {
    const colours = ramp([0, 0, 255], [20, 23, 27], [255, 0, 0], { exponent: 0.62, strength: 1 });
    expect(colours.at(0, 1)).toEqual([20, 23, 27]);
    expect(colours.at(NaN, 1)).toEqual([20, 23, 27]);
    expect(colours.at(-5, 1)).toEqual([0, 0, 255]);
    expect(colours.lut[128]).toBe(((255 << 24) | (27 << 16) | (23 << 8) | 20) >>> 0);
  });
  test("in the dark nothing near zero shines", () => {
    const colours = ramp([111, 170, 240], [20, 23, 27], [242, 135, 111], { exponent: 1, strength: 1 });
    expect(luminance(colours.at(0.1, 1))).toBeLessThan(0.05);
  });
});

describe("logos", () => {
  const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, "../../tests/golden/information_content.json"), "utf8"));
  for (const { name, ppm, bits, heights } of cases as { name: string; ppm: number[][]; bits: number[]; heights: number[][] }[]) {
    test(`heights agree with the publication figures: ${name}`, () => {
      const width = bits.length;
      bits.forEach((b, x) => expect(information(ppm.map((row) => row[x]))).toBeCloseTo(b, 10));
      const flat = letterHeights(ppm.flat(), width);
      heights.flat().forEach((h, i) => expect(flat[i]).toBeCloseTo(h, 6)); // float32
    });
  }
  test("a certain base stands alone and full", () => {
    const paths = logoPaths([1, 0, 0, 0], 1, { width: 10, height: 20, bits: 2 });
    expect(paths.map((d) => d.length > 0)).toEqual([true, false, false, false]);
    const ys = [...paths[0].matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((m) => Number(m[1]));
    expect([Math.min(...ys), Math.max(...ys)]).toEqual([0, 20]);
  });
  test("a channel without a logo draws nothing", () => {
    expect(logoPaths(new Float32Array(8).fill(NaN), 2, { width: 10, height: 20, bits: 2 })).toEqual(["", "", "", ""]);
  });
});

describe("the class tree", () => {
  // ((0 1) 2) (3 4): two close pairs, one outlier
  const message = {
    linkage: [0, 1, 0.1, 2, 3, 4, 0.2, 2, 5, 2, 0.4, 3, 7, 6, 0.9, 5],
    order: [4, 3, 2, 0, 1],
    support: [1, 0.9, 0.6, 0.5],
  };
  test("a node covers its classes in leaf order", () => {
    const { root, nodes } = grow(message);
    expect([root.first, root.size]).toEqual([0, 5]);
    expect([nodes[6].first, nodes[6].size]).toEqual([0, 2]);
    expect(nodes[7].children!.map((c) => c.id)).toEqual([2, 5]);
    expect(nodes[0].depth).toBe(3);
  });
  test("a tree that comes again upside down is turned round", () => {
    const before = grow(message);
    const after = grow({ ...message, order: [...message.order].reverse() }, before);
    expect([...after.place]).toEqual([...before.place]);
  });
  test("rows are the leaf order when nothing is folded", () => {
    const grown = grow(message);
    const { rows, height, branches } = layout(grown, new Set(), 10);
    expect(rows.map((r) => r.node.id)).toEqual([4, 3, 2, 0, 1]);
    expect(height).toBe(50);
    expect(branches.map((b) => b.id)).toEqual([8, 6, 7, 5]);
  });
  test("with little room the widest clades open first, and a selected class is always seen", () => {
    const grown = grow(message);
    const tight = { rows: 2, keep: [] as number[], opened: new Set<number>(), closed: new Set<number>() };
    expect(layout(grown, fold(grown, tight), 10).rows.map((r) => r.node.id)).toEqual([6, 7]);
    const kept = layout(grown, fold(grown, { ...tight, keep: [3] }), 10).rows.map((r) => r.node.id);
    expect(kept).toEqual([4, 3, 7]);
  });
  test("what the reader closes stays closed", () => {
    const grown = grow(message);
    const folded = fold(grown, { rows: Infinity, keep: [0], opened: new Set(), closed: new Set([7]) });
    expect([...folded]).toEqual([7]);
  });
  test("classes of a folded clade share its row", () => {
    const grown = grow(message);
    const { edges, rows } = layout(grown, new Set([7]), 10);
    expect(rows[2].height).toBeGreaterThan(10);
    expect(edges[5]).toBeCloseTo(20 + rows[2].height);
    expect(edges[3] - edges[2]).toBeCloseTo(rows[2].height / 3);
  });
  test("abscissae are square roots of heights, the root at zero", () => {
    const { root, nodes } = grow(message);
    const x = abscissa(root, 60);
    expect([x(root), x(nodes[0])]).toEqual([0, 60]);
    expect(x(nodes[7])).toBeCloseTo(60 * (1 - Math.sqrt(0.4 / 0.9)));
  });
});

describe("pixels", () => {
  const side = { order: [0, 1], edges: [0, 1, 2] };
  test("a pixel knows the entries it shows", () => {
    expect([...entries([0, 10, 20, 40], 4)]).toEqual([0, 1, 2, 2, 3]);
  });
  test("entries wider than a pixel are blocks, narrower ones are averaged", () => {
    const matrix = new Uint8Array([255, 1, 1, 255]);
    expect([...poolMatrix(matrix, side, side, 4, 2)]).toEqual([255, 255, 1, 1, 1, 1, 255, 255]);
    expect([...poolMatrix(matrix, side, side, 1, 1)]).toEqual([128]);
  });
  test("rows and columns follow the tree's order", () => {
    const matrix = new Uint8Array([10, 20, 20, 30]);
    expect([...poolMatrix(matrix, { ...side, order: [1, 0] }, { ...side, order: [1, 0] }, 2, 2)]).toEqual([30, 20, 20, 10]);
  });
  test("positions finer than the screen are averaged, coarser ones kept", () => {
    const map = new Uint8Array([0, 100, 200, 100, 7, 7, 7, 7]);
    expect([...poolRows(map, [0, 1], 4, 2).bytes]).toEqual([50, 150, 7, 7]);
    expect(poolRows(map, [1], 4, 300)).toEqual({ bytes: new Uint8Array([7, 7, 7, 7]), columns: 4 });
  });
});

describe("the common word of a clade", () => {
  const names = ["K562 CTCF", "HepG2 CTCF", "GM12878 CTCF", "K562 GATA1", "K562 DNase", "HepG2 DNase"];
  const common = commonWords(names);

  test("is held by most of its classes, and by few others", () => {
    expect(common([0, 1, 2])).toEqual({ word: "CTCF", among: 3 });
    expect(common([0, 3, 4, 1])).toEqual({ word: "K562", among: 3 });
  });

  test("is not one that all classes hold, nor one of a few of the clade", () => {
    expect(commonWords(["brain A", "brain B", "brain C"])([0, 1])).toBeNull();
    expect(common([1, 3])).toBeNull();
  });
});
