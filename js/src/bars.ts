/** What the importance rows draw: the class's importance, or how it differs from that of the compared class. */

import type { Frame } from "./protocol";

export interface Bars {
  readonly value: Float32Array;
  /** The 95 % interval over restarts. */
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly difference: boolean;
}

/**
 * The restarts of two classes are independent, so that the intervals combine as squares on each side, as in
 * `dr_explorer.similarity.difference`.
 */
export function bars(frame: Frame, difference: boolean): Bars {
  const { ofiv: value, ofiv_low: low, ofiv_high: high, other_ofiv: other, other_low, other_high } = frame;
  if (!difference || !other || !other_low || !other_high) return { value, low, high, difference: false };
  const less = value.map((v, k) => v - other[k]);
  return {
    value: less,
    low: less.map((d, k) => d - Math.hypot(value[k] - low[k], other_high[k] - other[k])),
    high: less.map((d, k) => d + Math.hypot(high[k] - value[k], other[k] - other_low[k])),
    difference: true,
  };
}
