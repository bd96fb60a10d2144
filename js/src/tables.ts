/** What the panels show, as tables: the first row names the columns. */

import { bars } from "./bars";
import { finite } from "./draw/numbers";
import { fromByte } from "./protocol";
import type { Store } from "./store";

export type Table = (string | number)[][];

/** By name; null where there is nothing to put in it. */
export const TABLES: Record<string, (store: Store) => Table | null> = {
  importance({ frame: { value: f }, names: { value: names } }) {
    if (!f?.ofiv.length) return null;
    const other = f.other === null ? null : f.other_ofiv;
    const { value, low, high } = bars(f, true);
    return [
      ["class", "channel", "importance", "low", "high", "deviation", "inconsistent", "sharing", ...(other ? [`importance in ${names[f.other!]}`, "difference", "difference low", "difference high"] : [])],
      ...Array.from(f.ofiv, (v, k) => [names[f.target], k, v, f.ofiv_low[k], f.ofiv_high[k], f.deviation[k], f.inconsistent[k], f.sharing[k], ...(other ? [other[k], value[k], low[k], high[k]] : [])]),
    ];
  },
  restarts({ frame: { value: f } }) {
    if (!f?.status.length) return null;
    const K = f.ofiv.length;
    return [
      ["restart", "basin", "objective", "score", "steps", ...Array.from(f.ofiv, (_, k) => `channel ${k}`)],
      ...Array.from(f.objective, (v, t) => [t, f.basin[t], v, f.score[t], f.steps[t], ...f.fiv.subarray(t * K, (t + 1) * K)]),
    ];
  },
  similarity({ tree: { value: tree }, names: { value: names } }) {
    if (!tree) return null;
    const C = tree.order.length;
    return [["class", ...names], ...names.map((name, c) => [name, ...Array.from(tree.similarity.subarray(c * C, (c + 1) * C), fromByte)])];
  },
  pairs({ pairs: { value: p } }) {
    if (!p) return null;
    const M = p.channels.length;
    return [["channel", ...p.channels], ...Array.from(p.channels, (k, i) => [k, ...p.nonlinearity.subarray(i * M, (i + 1) * M)])];
  },
};

/** Comma-separated text. A name that a spreadsheet would take for a formula is kept from being one by an apostrophe. */
export function csv(table: Table): string {
  const cell = (value: string | number): string =>
    typeof value === "number" ? (finite(value) ? String(value) : "") : `"${value.replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
  return table.map((row) => row.map(cell).join(",")).join("\r\n");
}
