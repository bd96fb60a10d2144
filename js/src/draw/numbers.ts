/** Numbers as the view writes them: true minus sign, no unit, as many digits as say something. */

const minus = (text: string): string => text.replace("-", "\u2212");

/** Fixed digits after the point; a dash for what is not a number. */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return "\u2013";
  const text = value.toFixed(digits);
  return minus(Number(text) === 0 ? text.replace("-", "") : text);
}

export const signed = (value: number, digits: number): string =>
  Number.isFinite(value) && Number(value.toFixed(digits)) > 0 ? `+${fixed(value, digits)}` : fixed(value, digits);

/** Digits after the point that tell steps of this size apart. */
export function digitsFor(step: number): number {
  if (!(step > 0) || !Number.isFinite(step)) return 0;
  return Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

/** Digits after the point that leave two significant ones at `scale`, at most four. */
export const digitsAt = (scale: number): number => Math.min(4, Math.max(2, digitsFor(scale / 10)));

/** Three significant digits: `0.00125`, `2.8`, `1,200`; powers of ten where that is shorter. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "\u2013";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-5 || size >= 1e7) return minus(value.toExponential(1).replace(/\.0e/, "e").replace("e+", "e"));
  return size >= 1000 ? count(Math.round(value)) : minus(String(Number(value.toPrecision(3))));
}

/** Whole numbers with a comma at the thousands. */
export const count = (value: number): string =>
  Number.isFinite(value) ? minus(Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",")) : "\u2013";

/** A span of time in words: `2 s`, `1 min 20 s`, `3 h 5 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "\u2013";
  if (seconds < 10) return `${seconds < 0.95 ? Math.max(0.1, Math.round(seconds * 10) / 10) : Math.round(seconds)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

/** `1 restart`, `4 restarts`. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;
