/**
 * Values that tell those who read them when they change. A change doubts every reader; once nobody is in the middle of
 * something, a doubting effect asks whether anything it read is really another value, and only then runs again.
 */

/** One who reads, and what it found: the version of every value. */
interface Reader {
  readonly seen: Map<Signal<unknown>, number>;
  doubt(): void;
}

export interface ReadonlySignal<T> {
  readonly value: T;
  /** The value, of which the reader is then not told. */
  peek(): T;
}

let reader: Reader | null = null; // who reads at this moment
let open = 0; // batches and effects under way
const due = new Set<Effect>();
const ROUNDS = 100; // of effects that change what effects read; more means that they go in a circle

export class Signal<T> implements ReadonlySignal<T> {
  readonly readers = new Set<Reader>();
  version = 0;

  constructor(protected held: T) {}

  get value(): T {
    this.refresh();
    if (reader) {
      reader.seen.set(this, this.version);
      this.readers.add(reader);
    }
    return this.held;
  }

  set value(next: T) {
    if (next === this.held) return;
    this.held = next;
    this.version++;
    batch(() => this.doubt());
  }

  peek(): T {
    this.refresh();
    return this.held;
  }

  /** Brings the value up to date. */
  refresh(): void {}

  doubt(): void {
    for (const one of [...this.readers]) one.doubt();
  }
}

/** Runs for a reader, which from now on depends on what was read in it and on nothing else. */
function follow<T>(who: Reader, run: () => T): T {
  forget(who);
  const before = reader;
  reader = who;
  try {
    return run();
  } finally {
    reader = before;
  }
}

function forget(who: Reader): void {
  for (const source of who.seen.keys()) source.readers.delete(who);
  who.seen.clear();
}

const changed = ({ seen }: Reader): boolean =>
  [...seen].some(([source, version]) => {
    source.refresh();
    return source.version !== version;
  });

class Computed<T> extends Signal<T> implements Reader {
  readonly seen = new Map<Signal<unknown>, number>();
  #sure = false;

  constructor(readonly run: () => T) {
    super(undefined as T);
  }

  override refresh(): void {
    if (this.#sure) return;
    if (!this.seen.size || changed(this)) {
      const next = follow(this, this.run);
      if (next !== this.held) this.version++;
      this.held = next;
    }
    this.#sure = true;
  }

  override doubt(): void {
    const was = this.#sure;
    this.#sure = false;
    if (!this.readers.size) forget(this); // nobody asks any more: a closed view leaves nothing behind in what outlives it
    else if (was) super.doubt();
  }
}

class Effect implements Reader {
  readonly seen = new Map<Signal<unknown>, number>();

  constructor(readonly run: () => void) {}

  doubt(): void {
    due.add(this);
  }
}

/** Runs; those who depend on what it changes are told at its end. An error of one of them keeps no other from running. */
export function batch(run: () => void): void {
  open++;
  try {
    run();
  } finally {
    const failures: unknown[] = [];
    for (let round = 0; open === 1 && due.size; round++) {
      const now = [...due];
      due.clear();
      if (round > ROUNDS) failures.push(Error("effects change what they depend on, and come to no end"));
      else for (const one of now) attempt(one, failures);
    }
    open--;
    if (failures.length) throw failures[0];
  }
}

function attempt(one: Effect, failures: unknown[]): void {
  try {
    if (changed(one)) follow(one, one.run);
  } catch (error) {
    failures.push(error);
  }
}

export const signal = <T>(value: T): Signal<T> => new Signal(value);

/** A value made from others, when it is asked for and they have changed. */
export const computed = <T>(run: () => T): ReadonlySignal<T> => new Computed(run);

/** Runs now and after every change of what it read; the function it gives ends that. */
export function effect(run: () => void): () => void {
  const one = new Effect(run);
  batch(() => follow(one, run));
  return () => {
    forget(one);
    due.delete(one);
  };
}
