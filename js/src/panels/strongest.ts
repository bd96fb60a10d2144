/** The strongest pairs of a class, as long as none is chosen: the cells most worth a look, with their logos. */

import { h, keyed, refill } from "../dom";
import { abs, digitsAt, signed } from "../draw/numbers";
import type { Meta, Pairs } from "../protocol";
import { arrows } from "../view";
import type { View } from "../view";
import { logo } from "./importance_row";

const MOST = 6; // rows, as many as stand beside the matrix

export interface Strong {
  readonly pair: readonly [number, number];
  readonly value: number;
}

/** Pairs by the size of their non-linearity, the largest first; those without one left out. */
export function strongest({ channels, nonlinearity }: Pairs, most = MOST): Strong[] {
  const all: Strong[] = [];
  channels.forEach((k, i) => {
    for (let j = 0; j < i; j++) {
      const value = nonlinearity[i * channels.length + j];
      if (abs(value) > 0) all.push({ pair: [k, channels[j]], value });
    }
  });
  return all.sort((a, b) => abs(b.value) - abs(a.value)).slice(0, most);
}

export function strongestPairs(view: View) {
  const node = h("div.strongest", { role: "group", "aria-label": "Strongest pairs" });
  const setRows = keyed<number, { node: HTMLButtonElement }>(node, (i) => ({ node: h("button", { tabindex: i ? -1 : 0 }) }));
  let rows: Strong[] = [];
  let drawn: unknown[] = [];
  const at = ({ target }: Event): number => [...node.children].indexOf((target as Element).closest("button")!);
  view.on(node, "click", (event: Event) => {
    const row = rows[at(event)];
    if (row) view.store.select({ pair: [...row.pair] });
  });
  view.keys(node, (key, event) => {
    const by = arrows(key)?.[0];
    if (!by) return;
    (node.children[at(event) + by] as HTMLElement | undefined)?.focus();
    return true;
  });
  return {
    node,
    draw(pairs: Pairs, meta: Meta): void {
      if (drawn[0] === pairs && drawn[1] === meta) return; // frames come more often than pairs
      drawn = [pairs, meta];
      rows = strongest(pairs);
      setRows([...rows.keys()], ({ node: row }, i) => {
        const { pair, value } = rows[i];
        const named = (k: number) => (meta.logos ? logo(meta, k) : h("bdi.cut", meta.motifs?.[k]?.name ?? ""));
        const [sign, words] = value < 0 ? ["less", "less than sum"] : ["more", "more than sum"];
        row.title = words;
        refill(row, h("b", pair.join(" \u00d7 ")), ...pair.map(named), h(`b.${sign}`, signed(value, digitsAt(abs(rows[0].value)))));
      });
    },
  };
}
