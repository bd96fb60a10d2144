/** What the page knows of one model, and the one selection that links all panels. No DOM, no comm. */

import { batch, computed, signal } from "./signals";
import { NOTHING } from "./protocol";
import type { Frame, Message, Meta, Pair, Pairs, Selection, Tree } from "./protocol";

/** `connecting`: no message yet; `silent`: a live run whose kernel stopped answering; `saved`: nobody to ask. */
export type LinkState = "connecting" | "live" | "silent" | "saved";

const HISTORY = 100; // selections kept for going back

export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** A selection with every field, from whatever a trait holds. */
export function normalise(value: Partial<Selection> | null | undefined): Selection {
  return { ...NOTHING, ...value };
}

export class Store {
  readonly meta = signal<Meta | null>(null);
  readonly frame = signal<Frame | null>(null);
  readonly tree = signal<Tree | null>(null);
  readonly pairs = signal<Pairs | null>(null);
  readonly pair = signal<Pair | null>(null);
  readonly selection = signal<Selection>(NOTHING);
  readonly link = signal<LinkState>("connecting");
  /** The last thing that went wrong, in words; null when all is well. */
  readonly notice = signal<string | null>(null);
  /** Set by the link: asks the kernel; does nothing in a saved view. */
  command: (name: string, args?: Record<string, unknown>) => void = () => {};

  readonly #past = signal<readonly Selection[]>([]);
  readonly #future = signal<readonly Selection[]>([]);
  readonly canBack = computed(() => this.#past.value.length > 0);
  readonly canForward = computed(() => this.#future.value.length > 0);

  /** The class all panels speak of: the selected one, else the one the kernel details. */
  readonly target = computed(() => this.selection.value.target ?? this.frame.value?.target ?? 0);
  /** Whether the frame at hand details that class; false between a click and the next frame. */
  readonly current = computed(() => this.frame.value !== null && this.frame.value.target === this.target.value);
  /** Names shown for the classes: as given, duplicates told apart by their column. */
  readonly names = computed(() => distinct(this.meta.value?.targets ?? []));

  /** Messages of a saved view by what they answer, so that a page without a kernel can still be explored. */
  readonly #archive = new Map<string, Frame | Pairs | Pair>();
  #run = -1;
  #series = "";

  /** Takes decoded messages in their order; those of an older run than the newest seen are dropped. */
  put(messages: readonly Message[]): void {
    batch(() => {
      for (const message of messages) {
        if (message.type === "reply" || message.run < this.#run) continue;
        if (message.run > this.#run) {
          this.#run = message.run;
          this.tree.value = null;
          this.pairs.value = null;
          this.pair.value = null;
        }
        if (message.type === "meta") this.meta.value = message;
        else if (message.type === "frame") this.frame.value = message;
        else if (message.type === "tree") this.tree.value = message;
        else if (message.type === "pairs") this.pairs.value = message;
        else this.pair.value = message;
      }
    });
  }

  /** Takes the messages of a snapshot: the first of each type is shown, the others answer later selections. */
  restore(messages: readonly Message[]): void {
    const shown = new Set<string>();
    const first = messages.filter((m) => !shown.has(m.type) && shown.add(m.type));
    for (const m of messages) {
      if (m.type === "frame" || m.type === "pairs") this.#archive.set(`${m.type} ${m.target}`, m);
      if (m.type === "pair") this.#archive.set(`pair ${m.target} ${m.pair.join()}`, m);
    }
    this.put(first);
    this.#run = -1; // a kernel that answers later counts its own runs
    this.#recall();
  }

  /**
   * Changes some fields of the selection; dependent fields that no longer hold are cleared. A `step` is one of
   * a series (an arrow key held down): the series is one place to go back to.
   */
  select(change: Partial<Selection>, { step = false } = {}): void {
    const before = this.selection.value;
    const next = { ...before, ...change };
    if (next.target !== before.target) {
      if (change.restart === undefined) next.restart = null;
      if (next.other === next.target) next.other = null;
    }
    if (change.pair) next.channel = change.channel ?? change.pair[0];
    if (same(before, next)) return;
    const series = step ? Object.keys(change).sort().join() : "";
    const going = series !== "" && series === this.#series;
    batch(() => {
      if (!going) this.#past.value = [...this.#past.value.slice(1 - HISTORY), before];
      this.#series = series;
      this.#future.value = [];
      this.#show(next);
    });
  }

  back(): void {
    this.#step(this.#past, this.#future);
  }

  forward(): void {
    this.#step(this.#future, this.#past);
  }

  /** Clears the innermost choice: restart, pair, channel, clade, comparison, then the class. */
  clearInnermost(): boolean {
    const s = this.selection.value;
    const field = (["restart", "pair", "channel", "clade", "other", "target"] as const).find((f) => s[f] !== null);
    if (field) this.select({ [field]: null });
    return field !== undefined;
  }

  clear(): void {
    this.select(NOTHING);
  }

  #step(from: Stack, to: Stack): void {
    const next = from.value.at(-1);
    if (!next) return;
    this.#series = "";
    batch(() => {
      to.value = [...to.value, this.selection.value];
      from.value = from.value.slice(0, -1);
      this.#show(next);
    });
  }

  #show(selection: Selection): void {
    this.selection.value = selection;
    this.#recall();
  }

  #recall(): void {
    if (!this.#archive.size || this.link.value === "live") return;
    const { pair } = this.selection.value;
    const target = this.target.value;
    const frame = this.#archive.get(`frame ${target}`) as Frame | undefined;
    const other = this.#archive.get(`frame ${this.selection.value.other}`) as Frame | undefined;
    batch(() => {
      if (frame) {
        const { other_ofiv: _, ...alone } = frame; // it may have been saved beside another class
        const compared = other && { other_ofiv: other.ofiv, other_low: other.ofiv_low, other_high: other.ofiv_high };
        const kept = frame.other === this.selection.value.other;
        this.frame.value = compared || !kept ? { ...alone, other: other?.target ?? null, ...compared } : frame;
      }
      this.pairs.value = (this.#archive.get(`pairs ${target}`) as Pairs | undefined) ?? null;
      if (pair) {
        const read = this.#archive.get(`pair ${target} ${pair.join()}`) ?? this.#archive.get(`pair ${target} ${pair[1]},${pair[0]}`);
        this.pair.value = (read as Pair | undefined) ?? null;
      }
    });
  }
}

type Stack = { value: readonly Selection[] };

/** Names that look like one another have this in common: what is not seen of them is left out. */
const look = (name: string): string => name.normalize("NFKC").replace(/[\s\p{C}]+/gu, " ").trim();

/** Names that can be told apart: one that looks like another, or like none, gets its column's number, which alone is a class's. */
export function distinct(given: readonly string[]): string[] {
  const names = given.map((name, i) => (name === String(i) ? `class ${i}` : name));
  const seen = new Map<string, number>();
  for (const name of names) seen.set(look(name), (seen.get(look(name)) ?? 0) + 1);
  return names.map((name, i) => {
    if (!look(name)) return `(no name, column ${i})`;
    return seen.get(look(name))! > 1 || /column \d+\)$/.test(name) ? `${name} (column ${i})` : name;
  });
}
