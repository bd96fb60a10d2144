/** Scales: from values to pixels (to the hundredth), and the round numbers on an axis. */

import { abs, finite, floor, hundredth, max, min } from "./numbers";

export type Scale = (value: number) => number;

export function linear([d0, d1]: readonly [number, number], [r0, r1]: readonly [number, number]): Scale {
  const slope = d1 === d0 ? 0 : (r1 - r0) / (d1 - d0);
  return (value) => hundredth(r0 + (value - d0) * slope);
}

/** 1, 2 or 5 times a power of ten, at least `rough`. */
export function niceStep(rough: number): number {
  if (!(rough > 0) || !finite(rough)) return 1;
  const power = 10 ** floor(Math.log10(rough));
  const unit = rough / power;
  // The small slack keeps 0.1 + 0.2 from jumping to the next step.
  return power * (unit <= 1 + 1e-9 ? 1 : unit <= 2 + 1e-9 ? 2 : unit <= 5 + 1e-9 ? 5 : 10);
}

/** Round values within `[low, high]`, about `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  if (!(high > low)) return finite(low) ? [low] : [];
  const step = niceStep((high - low) / max(1, count));
  const out: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(i === 0 ? 0 : i * step);
  return out;
}

/** Smallest round number at or above `value`, from 1, 1.5, 2, 3, 5, 7.5 times a power of ten: an axis end that seldom moves. */
export function niceCeil(value: number): number {
  if (!(value > 0) || !finite(value)) return 1;
  const power = 10 ** floor(Math.log10(value));
  return power * ([1, 1.5, 2, 3, 5, 7.5, 10].find((m) => m * power >= value * (1 - 1e-9)) ?? 10);
}

/** Moves sorted places apart to at least `pitch`, none beyond `end` as long as there is room. */
export function apart(places: readonly number[], pitch: number, end: number): number[] {
  const out = [...places];
  out.forEach((v, i) => (out[i] = i ? max(v, out[i - 1] + pitch) : v));
  for (let i = out.length - 1, limit = end; i >= 0; i--, limit -= pitch) out[i] = min(out[i], limit);
  return out;
}

/** The share `q` of the sorted finite values of an array lies below the result; NaN for none. */
export function quantile(values: ArrayLike<number>, q: number): number {
  const sorted = Array.from(values).filter(finite).sort((a, b) => a - b);
  if (sorted.length === 0) return NaN;
  const at = q * (sorted.length - 1);
  const low = floor(at);
  return sorted[low] + (sorted[min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

/** Half width of a symmetric colour scale: the 99th percentile of the sizes, so one outlier does not wash out the rest. */
export function symmetricLimit(values: ArrayLike<number>): number {
  const limit = quantile(Array.from(values, abs), 0.99);
  return limit > 0 ? limit : 1;
}
