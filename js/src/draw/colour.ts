/** Colours: CSS to numbers, OKLab, and the diverging ramps that run from the background at zero. */

import { abs, finite, max, min, round } from "./numbers";

export type Rgb = readonly [number, number, number]; // 0 to 255

/** `#rrggbb`, `#rgb`, `rgb()` or `rgba()`; an alpha is laid over `under`. Null for what it cannot read. */
export function parse(css: string, under: Rgb = [255, 255, 255]): Rgb | null {
  const text = css.trim();
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text)?.[1];
  if (hex) {
    const full = hex.length === 3 ? [...hex].map((c) => c + c).join("") : hex;
    return [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16)) as unknown as Rgb;
  }
  const inside = /^rgba?\(([^)]*)\)$/i.exec(text)?.[1];
  if (inside) {
    const parts = inside.split(/[\s,/]+/).filter(Boolean).map((p) => (p.endsWith("%") ? parseFloat(p) / 100 : parseFloat(p)));
    const alpha = parts[3] ?? 1;
    if (parts.length >= 3) return [0, 1, 2].map((i) => round(parts[i] * alpha + under[i] * (1 - alpha))) as unknown as Rgb;
  }
  const mixed = /^color\(srgb ([\d.e+-]+) ([\d.e+-]+) ([\d.e+-]+)/i.exec(text);
  if (mixed) return [1, 2, 3].map((i) => round(Number(mixed[i]) * 255)) as unknown as Rgb;
  return null;
}

/** Whether a computed colour lets everything behind it through. */
export const clear = (css: string): boolean => !css || css === "transparent" || /^rgba.*, 0\)$/.test(css);

const linear = (c: number): number => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const gamma = (c: number): number => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);

/** sRGB to OKLab (Ottosson 2020). */
export function toOklab([r8, g8, b8]: Rgb): [number, number, number] {
  const [r, g, b] = [linear(r8 / 255), linear(g8 / 255), linear(b8 / 255)];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

export function fromOklab([L, a, b]: readonly [number, number, number]): Rgb {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const rgb = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return rgb.map((c) => round(255 * min(1, max(0, gamma(max(0, c)))))) as unknown as Rgb;
}

/** Between two colours, in OKLab; `t` from 0 to 1. */
export function mix(from: Rgb, to: Rgb, t: number): Rgb {
  const [a, b] = [toOklab(from), toOklab(to)];
  return fromOklab([a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]);
}

export const css = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

/** WCAG relative luminance, 0 to 1. */
export const luminance = ([r, g, b]: Rgb): number =>
  0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);

export interface Ramp {
  /** 256 colours as canvas pixels; entry 128 is zero, 1 and 255 the ends (the wire's byte). */
  readonly lut: Uint32Array;
  /** The colour of `value` on a symmetric scale of half width `limit`. */
  at(value: number, limit: number): Rgb;
}

/** Which curve a ramp follows: below 1 small values stay visible, `strength` keeps large blocks quiet. */
export interface Curve {
  readonly exponent: number;
  readonly strength: number;
}
export const IMPORTANCE: Curve = { exponent: 1, strength: 1 };
export const FEATURE_MAP: Curve = { exponent: 0.62, strength: 1 };
export const PAIRS: Curve = { exponent: 0.55, strength: 1 };
export const SIMILARITY: Curve = { exponent: 1.15, strength: 0.85 };

const made = new Map<string, Ramp>(); // a handful a theme

/** A diverging ramp through `middle` at zero. */
export function ramp(negative: Rgb, middle: Rgb, positive: Rgb, curve: Curve): Ramp {
  const key = [negative, middle, positive, curve.exponent, curve.strength].join();
  let known = made.get(key);
  if (!known) made.set(key, (known = makeRamp(negative, middle, positive, curve)));
  return known;
}

function makeRamp(negative: Rgb, middle: Rgb, positive: Rgb, { exponent, strength }: Curve): Ramp {
  const colour = (x: number): Rgb =>
    mix(middle, x < 0 ? negative : positive, strength * min(1, abs(x)) ** exponent);
  const lut = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const [r, g, b] = colour((byte - 128) / 127);
    lut[byte] = (255 << 24) | (b << 16) | (g << 8) | r; // RGBA in memory on little-endian machines
  }
  return { lut, at: (value, limit) => (finite(value) && limit > 0 ? colour(value / limit) : middle) };
}
