/** Which channels the rows show, and in which order: the most important ones, positive first, the rest folded between. */

import { abs, finite } from "./draw/numbers";
import { bars } from "./bars";
import type { Frame } from "./protocol";
import type { View } from "./view";

export interface Ranking {
  /** Channels with a row of their own, top to bottom. */
  readonly shown: readonly number[];
  /** How many of them stand above the fold. */
  readonly above: number;
  /** Channels without a row; they are ticks in the fold. */
  readonly folded: readonly number[];
}

export const ROWS = 14; // rows that fit beside the class tree
const FEW = 4; // channels more than that are not worth a fold

/**
 * @param values what the rows are ordered by, one a channel; NaN last
 * @param must channels that get a row whatever their value (the selected ones)
 */
export function rank(values: ArrayLike<number>, must: readonly number[] = [], rows = ROWS): Ranking {
  const key = (k: number): number => (finite(values[k]) ? values[k] : 0);
  const all = Array.from({ length: values.length }, (_, k) => k);
  const descending = (a: number, b: number) => key(b) - key(a) || a - b;
  if (all.length <= rows + FEW) return { shown: all.sort(descending), above: all.length, folded: [] };
  const bySize = [...all].sort((a, b) => abs(key(b)) - abs(key(a)) || a - b);
  const wanted = new Set(bySize.slice(0, rows));
  for (const k of must) if (k >= 0 && k < all.length) wanted.add(k);
  const shown = [...wanted].sort(descending);
  return {
    shown,
    above: shown.filter((k) => key(k) >= 0).length,
    folded: bySize.filter((k) => !wanted.has(k)).sort(descending),
  };
}

/** The same with every channel in a row. */
export const rankAll = (values: ArrayLike<number>): Ranking => rank(values, [], values.length);

/** Channels that more than half of a clade's classes have among their most important. */
export const shared = ({ clade_sharing }: Frame, size: number): number[] => Array.from(clade_sharing?.keys() ?? []).filter((k) => 2 * clade_sharing![k] > size);

const SETTLE = 500; // ms between two re-orderings while values still move: faster cannot be followed by eye

/**
 * The rows of a view, kept up to date. While a run moves the values, rows change places seldom and never
 * under the pointer; a new class, choice or fold is followed at once.
 */
export function keepRanking(view: View): void {
  const { store } = view;
  let cause = "";
  let since = 0;
  view.effect(() => {
    const frame = store.frame.value;
    if (!frame) return;
    const { channel, pair, clade } = store.selection.value;
    const must = [...(channel === null ? [] : [channel]), ...(pair ?? []), ...(clade ? shared(frame, clade.length) : [])];
    const all = view.unfolded.value;
    const { value, difference } = bars(frame, view.byDifference.value);
    const held = view.holdRows.value;
    const next = JSON.stringify([frame.run, frame.target, frame.ofiv.length, must, all, difference && frame.other, frame.state]);
    const now = performance.now();
    if (next === cause && (held || (frame.state === "running" && now - since < SETTLE))) return;
    cause = next;
    since = now;
    const ranking = all ? rankAll(value) : rank(value, must);
    const before = view.ranking.peek();
    if (before.shown.join() !== ranking.shown.join() || before.folded.join() !== ranking.folded.join()) view.ranking.value = ranking;
  });
}
