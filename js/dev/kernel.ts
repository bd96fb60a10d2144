/** A kernel made of nothing: speaks the wire for a `World`, answers commands, respects credit. */

import type { Model } from "../src/link";
import type { Header, Selection } from "../src/protocol";
import { decode, NOTHING } from "../src/protocol";
import type { Frame } from "../src/protocol";
import { World } from "./world";
import type { Sent } from "./world";

/** The model that anywidget would hand over, without a kernel behind it. */
export class MockModel implements Model {
  readonly traits: Record<string, unknown> = { selection: NOTHING, snapshot: new DataView(new ArrayBuffer(0)) };
  readonly sent: { type: string; [key: string]: unknown }[] = [];
  readonly #listeners = new Map<string, Set<(...args: any[]) => void>>();
  onSend: (message: any) => void = () => {};

  get(name: string): unknown {
    return this.traits[name];
  }
  set(name: string, value: unknown): void {
    this.traits[name] = value;
    this.emit(`change:${name}`);
  }
  save_changes(): void {}
  send(content: any): void {
    this.sent.push(content);
    this.onSend(content);
  }
  on(name: string, callback: (...args: any[]) => void): void {
    this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(callback));
  }
  off(name: string, callback?: ((...args: any[]) => void) | null): void {
    if (callback) this.#listeners.get(name)?.delete(callback);
    else this.#listeners.delete(name);
  }
  emit(name: string, ...args: unknown[]): void {
    for (const callback of [...(this.#listeners.get(name) ?? [])]) callback(...args);
  }
  listeners(): number {
    return [...this.#listeners.values()].reduce((n, set) => n + set.size, 0);
  }
  /** The kernel sends: buffers as DataViews, like a comm's. */
  deliver({ header, buffers }: Sent): void {
    this.emit("msg:custom", JSON.parse(JSON.stringify(header)) as Header, buffers.map((b) => new DataView(b)));
  }
}

export class MockKernel {
  t = 0;
  state = "idle";
  /** Share of the run between two frames. */
  pace = 0.01;
  #credit = 2;
  #sentPairs = "";
  #sentTree = -1;
  #sentPair = "";

  constructor(readonly model: MockModel, readonly world: World) {
    model.onSend = (message) => this.#receive(message);
  }

  #receive(message: any): void {
    if (message.type === "hello") {
      this.model.deliver(this.world.meta());
      this.#sentPairs = this.#sentPair = "";
      this.#sentTree = -1;
      this.frame();
    } else if (message.type === "ack") this.#credit = Math.min(2, this.#credit + 1);
    else if (message.type === "command") {
      const { name, args } = message;
      if (name === "run") {
        this.world.run++;
        this.t = 0;
        this.state = "running";
        this.model.deliver(this.world.meta());
      } else if (name === "pause") this.state = "paused";
      else if (name === "resume") this.state = "running";
      else if (name === "stop") this.state = "stopped";
      else if (name === "set") {
        if (args.l2) this.world.l2 = args.l2;
        if (args.n_restarts) this.world.o.restarts = args.n_restarts;
      }
      this.model.deliver({ header: { v: 1, type: "reply", run: this.world.run, seq: ++this.world.seq, id: message.id, ok: true, error: null }, buffers: [] });
      this.frame();
    }
  }

  get selection(): Selection {
    return this.model.get("selection") as Selection;
  }

  frame(extra: Record<string, unknown> = {}): void {
    const sent = this.world.frame(this.t, this.selection, this.state, extra);
    this.model.deliver(sent);
    const frame = decode(sent.header, sent.buffers) as Frame;
    if (this.t > 0.45 && this.world.o.classes > 1 && this.#sentTree !== this.world.run) {
      this.#sentTree = this.world.run;
      this.model.deliver(this.world.tree());
    }
    const target = this.selection.target ?? 0;
    const pairs = `${this.world.run} ${target}`;
    if (this.t > 0.5 && pairs !== this.#sentPairs) {
      this.#sentPairs = pairs;
      this.model.deliver(this.world.pairs(target, frame.ofiv));
    }
    const { pair } = this.selection;
    if (pair && this.#sentPair !== `${pairs} ${pair}`) {
      this.#sentPair = `${pairs} ${pair}`;
      this.model.deliver(this.world.pair(target, pair));
    }
  }

  /** One beat: moves the run on and sends a frame if there is credit. */
  beat(): void {
    if (this.state === "running") {
      this.t = Math.min(1, this.t + this.pace);
      if (this.t >= 1) this.state = "done";
    }
    if (this.#credit > 0) {
      this.#credit--;
      this.frame();
    }
  }
}
