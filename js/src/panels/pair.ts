/** Pair detail: the logic of two channels in words, their truth tables in logits, and the restarts in their plane. */

import { attr, h, refill, show, text } from "../dom";
import { abs, digitsAt, finite, fixed, max, signed } from "../draw/numbers";
import type { Meta, Pair } from "../protocol";
import type { View } from "../view";
import { logo } from "./importance_row";
import { panel } from "./panel";
import { plane } from "./pair_plane";
import { strongestPairs } from "./strongest";
import { truthTable } from "./truth_table";

export function pair(view: View): HTMLElement {
  const { store } = view;
  const parts = panel("pair", "No pair selected");
  const [name, words] = [parts.head.children[0], parts.head.children[1]];
  const channels = [0, 1].map(() => {
    const [k, mark, motif, match] = [h("b"), h("span"), h("bdi.cut"), h("span.about.cut")];
    return { node: h("div.pair-channel", k, mark, h("span", motif, match)), k, mark, motif, match };
  });
  const facts = h("dl.facts");
  const tables = h("div.tables");
  const scatter = plane(view);
  const about = h("div.pair-about", ...channels.map((c) => c.node), facts);
  const [logic, notes] = [h("span"), h("span.about")];
  const line = h("p", logic, notes);
  const content = h("div.pair-content", line, about, tables, scatter.node);
  const strong = strongestPairs(view);
  const empty = h("p.empty");
  parts.body.append(content, strong.node, empty);
  let drawnFor: unknown[] = [];

  view.effect(() => {
    const chosen = store.selection.value.pair;
    const frame = store.frame.value;
    const meta = store.meta.value;
    const waiting = view.pairFrom.value;
    const ready = chosen !== null && frame !== null && meta !== null && max(...chosen) < frame.ofiv.length;
    show(content, ready);
    show(empty, !ready);
    const pairs = store.pairs.value;
    const listed = !ready && waiting === null && meta && pairs && pairs.target === store.target.value && pairs.channels.length > 1;
    show(strong.node, Boolean(listed));
    if (!ready) {
      text(name, listed ? "Strongest pairs" : "No pair selected");
      attr(words, { class: "dre-about" });
      parts.about(listed ? "non-linearity, logits" : "");
      parts.state("");
      if (listed) strong.draw(pairs, meta);
      refill(empty, ...(waiting === null ? [listed ? "Choose one, a cell of the matrix, or two channels with " : "Choose a cell, or two channels with ", h("kbd", "P")] : [`${waiting === "ask" ? "Choose the first channel" : `Channel ${waiting} and \u2026 : choose the second channel`}: click, or move and `, h("kbd", "Enter")]));
      return;
    }
    const read = store.pair.value;
    const known = read && read.target === store.target.value && [...read.pair].sort().join() === [...chosen].sort().join() ? read : null;
    const [i, j] = known?.pair ?? chosen;
    text(name, `${i} \u00d7 ${j}`);
    attr(words, { class: known ? "dre-conclusion" : "dre-about" });
    parts.about(known ? known.words || known.logic : "");
    parts.state(known ? `${known.agree[0]} of ${known.agree[1]} backgrounds agree` : "");
    scatter.draw(frame, [i, j], known?.others ?? null);
    const now = [known, meta, i, j, view.theme.value];
    if (now.every((v, n) => v === drawnFor[n])) return;
    drawnFor = now;
    [i, j].forEach((k, n) => {
      show(channels[n].node, Boolean(meta.logos ?? meta.motifs));
      described(channels[n], meta, k);
    });
    text(logic, known?.words && known.words !== known.logic ? known.logic : "");
    text(notes, known ? notesOf(known).join(" \u00b7 ") : "");
    show(line, line.textContent !== "");
    refill(facts, ...(known ? factsOf(known) : [fact("truth table", store.link.value === "saved" ? "none was saved for this pair" : "comes when the pair has been read")]));
    attr(content, { "data-several": known !== null && known.tables.length > 1 });
    refill(tables, ...(known ? known.tables.map((_, b) => truthTable(known, b, view.theme.value)) : []));
  });

  view.shortcut("p", () => {
    view.pairFrom.value = store.selection.value.channel ?? "ask";
    if (store.selection.value.pair) store.select({ pair: null });
    view.root.querySelector<HTMLElement>(".dre-rows")?.focus();
  });
  return parts.node;
}

function described(part: { k: HTMLElement; mark: HTMLElement; motif: HTMLElement; match: HTMLElement }, meta: Meta, k: number): void {
  const match = meta.motifs?.[k];
  text(part.k, String(k));
  refill(part.mark, ...(meta.logos ? [logo(meta, k)] : []));
  text(part.motif, meta.motifs ? (match?.name ?? "no match") : "");
  text(part.match, match ? `match p ${match.p.toExponential(0).replace("e-", "e\u2212")}` : "");
}

const confident = (read: Pair): boolean => read.confidence !== null && finite(read.confidence);

/** What is to be said beside the logic, in short. */
function notesOf(read: Pair): string[] {
  const notes = read.groups.some((g) => g.length > 1) ? [`groups ${read.groups.map((g) => g.join(" + ")).join(" and ")}`] : [];
  return read.tables.length > 1 && confident(read) ? [...notes, `confidence ${fixed(read.confidence!, 2)}`] : notes;
}

/** What the numbers say where there is one table; several say it themselves. */
function factsOf(read: Pair): HTMLElement[] {
  if (read.tables.length !== 1) return [];
  const c = read.corners;
  const digits = digitsAt(max(...Array.from(c, abs)));
  const lines = [fact("sum of parts", h("b", fixed(c[1] + c[2] - c[0], digits))), fact("together", h("b", fixed(c[3], digits))), nonlinearity(read, 0)];
  return confident(read) ? [...lines, fact("confidence", fixed(read.confidence!, 2))] : lines;
}

/** A number with its name. */
const fact = (name: string, ...value: (Node | string)[]): HTMLElement => h("div", h("dt.about", name), h("dd", ...value));

export function nonlinearity(read: Pair, b: number): HTMLElement {
  const { nonlinearity: value, low, high } = read.tables[b];
  if (value === null) return h("div");
  const digits = digitsAt(abs(value));
  const span = h("span.about", low === null || high === null ? "" : `[${fixed(low, digits)}, ${fixed(high, digits)}]`);
  return fact("non-linearity", h("b", { class: value < 0 ? "dre-less" : "dre-more" }, signed(value, digits)), " ", span);
}
