/** Sequence logos as SVG path data: four paths a logo, one a base, letters as tall as their information. */

import { hundredth, max, min } from "./numbers";

export const BASES = ["A", "C", "G", "T"] as const;

/** Letters in the unit square, y downwards; drawn for this view from straight lines and a few curves (absolute M, L, C, Z). */
const GLYPHS = [
  "M0 1L.37 0L.63 0L1 1L.77 1L.69 .77L.31 .77L.23 1ZM.37 .6L.63 .6L.5 .2Z",
  "M1 .3C.94 .1 .77 0 .54 0C.2 0 0 .2 0 .5C0 .8 .2 1 .54 1C.77 1 .94 .9 1 .7L.79 .64C.75 .77 .67 .83 .54 .83C.33 .83 .22 .71 .22 .5C.22 .29 .33 .17 .54 .17C.67 .17 .75 .23 .79 .36Z",
  "M.98 .28C.91 .09 .75 0 .53 0C.2 0 0 .2 0 .5C0 .8 .2 1 .54 1C.74 1 .9 .95 1 .85L1 .46L.52 .46L.52 .62L.79 .62L.79 .76C.73 .81 .65 .83 .55 .83C.33 .83 .22 .71 .22 .5C.22 .29 .33 .17 .53 .17C.66 .17 .73 .22 .77 .33Z",
  "M0 0L1 0L1 .17L.61 .17L.61 1L.39 1L.39 .17L0 .17Z",
].map((d) => [...d.matchAll(/([MLCZ])([^MLCZ]*)/g)].map(([, letter, points]) => ({ letter, points: points ? points.split(" ").map(Number) : [] })));

function place(glyph: (typeof GLYPHS)[number], x: number, y: number, width: number, height: number): string {
  let d = "";
  for (const { letter, points } of glyph) {
    d += letter;
    for (let i = 0; i < points.length; i += 2) {
      d += `${i ? " " : ""}${hundredth(x + points[i] * width)} ${hundredth(y + points[i + 1] * height)}`;
    }
  }
  return d;
}

/** Bits of one position, `2 + sum p log2 p`, against a uniform background; NaN where a probability is. */
export function information(probabilities: ArrayLike<number>): number {
  let bits = 2;
  for (let b = 0; b < 4; b++) {
    const p = probabilities[b];
    if (Number.isNaN(p)) return NaN;
    if (p > 0) bits += p * Math.log2(p);
  }
  return max(0, bits);
}

/** A logo's letter heights in bits, (4, width): `p * information`. */
export function letterHeights(ppm: ArrayLike<number>, width: number): Float32Array {
  const out = new Float32Array(4 * width);
  for (let x = 0; x < width; x++) {
    const p = [0, 1, 2, 3].map((b) => ppm[b * width + x]);
    const bits = information(p);
    for (let b = 0; b < 4; b++) out[b * width + x] = Number.isNaN(bits) ? NaN : p[b] * bits;
  }
  return out;
}

/**
 * Path data of a logo, one string a base in the order ACGT.
 * @param ppm position probabilities, (4, width), row by row
 * @param box size in pixels; `bits` is the information that fills its height
 */
export function logoPaths(ppm: ArrayLike<number>, width: number, box: { width: number; height: number; bits: number }): string[] {
  const heights = letterHeights(ppm, width);
  const paths = ["", "", "", ""];
  const pitch = box.width / width;
  const gap = min(0.6, pitch * 0.06);
  for (let x = 0; x < width; x++) {
    const order = [0, 1, 2, 3].sort((a, b) => heights[a * width + x] - heights[b * width + x]); // tallest on top
    let y = box.height;
    for (const b of order) {
      const tall = (heights[b * width + x] / box.bits) * box.height;
      if (!(tall > 0.35)) continue; // below a third of a pixel a letter is only dirt
      y -= tall;
      paths[b] += place(GLYPHS[b], x * pitch + gap / 2, y, pitch - gap, tall);
    }
  }
  return paths;
}
