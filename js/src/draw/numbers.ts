/** Numbers as the view writes them: true minus sign, no unit, as many digits as say something. */

// Under names of their own these cost the bundle a letter each time.
export const { abs, floor, max, min, round } = Math;
export const finite = Number.isFinite;

/** Pixels as precise as a screen can show, so that path data stays short. */
export const hundredth = (value: number): number => round(value * 100) / 100;

const minus = (text: string): string => text.replaceAll("-", "\u2212");

/** A power of ten with one digit or two: `2e\u22124`. */
const power = (value: number): string => minus(value.toExponential(1).replace(".0e", "e").replace("e+", "e"));

/** Fixed digits after the point, or a power of ten where no number of digits is good; a dash for what is not a number. */
export function fixed(value: number, digits: number): string {
  if (!finite(value)) return "\u2013";
  if (!finite(digits)) return value ? power(value) : "0";
  const text = value.toFixed(digits);
  return minus(Number(text) === 0 ? text.replace("-", "") : text);
}

/** A size with these digits; one that is smaller than they tell is not called zero: `<0.001`. */
export const atLeast = (value: number, digits: number): string =>
  value > 0 && value < 10 ** -digits / 2 ? `<${fixed(10 ** -digits, digits)}` : fixed(value, digits);

export const signed = (value: number, digits: number): string =>
  finite(value) && (finite(digits) ? Number(value.toFixed(digits)) : value) > 0 ? `+${fixed(value, digits)}` : fixed(value, digits);

/** Digits after the point that tell steps of this size apart; NaN where a power of ten is shorter. */
export function digitsFor(step: number): number {
  if (!(step > 0) || !finite(step)) return 0;
  return step < 1e-4 || step > 1e6 ? NaN : max(0, -floor(Math.log10(step) + 1e-9));
}

/** Digits after the point that leave two or three significant ones at `scale`; none is good below a thousandth or above a million. */
export const digitsAt = (scale: number): number =>
  (scale > 0 && scale < 1e-3) || scale >= 1e6 ? NaN : scale >= 100 ? 0 : scale >= 10 ? 1 : max(2, digitsFor(scale / 10));

/** Three significant digits: `0.00125`, `2.8`, `1,200`; powers of ten where that is shorter. */
export function short(value: number): string {
  if (!finite(value)) return "\u2013";
  if (value === 0) return "0";
  const size = abs(value);
  if (size < 1e-5 || size >= 1e7) return power(value);
  return size >= 1000 ? count(round(value)) : minus(String(Number(value.toPrecision(3))));
}

/** Whole numbers with a comma at the thousands. */
export const count = (value: number): string =>
  finite(value) ? minus(round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",")) : "\u2013";

/** A span of time in words: `2 s`, `1 min 20 s`, `3 h 5 min`. */
export function duration(seconds: number): string {
  if (!finite(seconds) || seconds < 0) return "\u2013";
  if (seconds < 10) return `${seconds < 0.95 ? max(0.1, round(seconds * 10) / 10) : round(seconds)} s`;
  const s = round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  return `${floor(s / 3600)} h ${floor((s % 3600) / 60)} min`;
}

/** `1 restart`, `4 restarts`. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;
