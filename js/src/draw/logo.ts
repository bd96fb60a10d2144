/** Sequence logos as SVG path data: four paths a logo, one a base, letters as tall as their information. */

export const BASES = ["A", "C", "G", "T"] as const;

type Command = readonly [string, ...number[]];

/** Letters in the unit square, y downwards; drawn for this view from straight lines and a few curves. */
const GLYPHS: readonly (readonly Command[])[] = [
  [
    ["M", 0, 1], ["L", 0.37, 0], ["L", 0.63, 0], ["L", 1, 1], ["L", 0.77, 1], ["L", 0.69, 0.77], ["L", 0.31, 0.77],
    ["L", 0.23, 1], ["Z"], ["M", 0.37, 0.6], ["L", 0.63, 0.6], ["L", 0.5, 0.2], ["Z"],
  ],
  [
    ["M", 1, 0.3], ["C", 0.94, 0.1, 0.77, 0, 0.54, 0], ["C", 0.2, 0, 0, 0.2, 0, 0.5], ["C", 0, 0.8, 0.2, 1, 0.54, 1],
    ["C", 0.77, 1, 0.94, 0.9, 1, 0.7], ["L", 0.79, 0.64], ["C", 0.75, 0.77, 0.67, 0.83, 0.54, 0.83],
    ["C", 0.33, 0.83, 0.22, 0.71, 0.22, 0.5], ["C", 0.22, 0.29, 0.33, 0.17, 0.54, 0.17],
    ["C", 0.67, 0.17, 0.75, 0.23, 0.79, 0.36], ["Z"],
  ],
  [
    ["M", 0.98, 0.28], ["C", 0.91, 0.09, 0.75, 0, 0.53, 0], ["C", 0.2, 0, 0, 0.2, 0, 0.5], ["C", 0, 0.8, 0.2, 1, 0.54, 1],
    ["C", 0.74, 1, 0.9, 0.95, 1, 0.85], ["L", 1, 0.46], ["L", 0.52, 0.46], ["L", 0.52, 0.62], ["L", 0.79, 0.62],
    ["L", 0.79, 0.76], ["C", 0.73, 0.81, 0.65, 0.83, 0.55, 0.83], ["C", 0.33, 0.83, 0.22, 0.71, 0.22, 0.5],
    ["C", 0.22, 0.29, 0.33, 0.17, 0.53, 0.17], ["C", 0.66, 0.17, 0.73, 0.22, 0.77, 0.33], ["Z"],
  ],
  [
    ["M", 0, 0], ["L", 1, 0], ["L", 1, 0.17], ["L", 0.61, 0.17], ["L", 0.61, 1], ["L", 0.39, 1], ["L", 0.39, 0.17],
    ["L", 0, 0.17], ["Z"],
  ],
];

const round = (x: number): string => (Math.round(x * 100) / 100).toString();

function place(glyph: readonly Command[], x: number, y: number, width: number, height: number): string {
  let d = "";
  for (const [letter, ...points] of glyph) {
    d += letter;
    for (let i = 0; i < points.length; i += 2) {
      d += `${i ? " " : ""}${round(x + points[i] * width)} ${round(y + points[i + 1] * height)}`;
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
  return Math.max(0, bits);
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
  const gap = Math.min(0.6, pitch * 0.06);
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
