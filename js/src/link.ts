/** The comm of one model: greets the kernel, puts its messages into the store before a paint, acknowledges them. */

import { batch, effect } from "./signals";
import { decode, unpack, VERSION } from "./protocol";
import type { Bytes, Header, Message, Selection } from "./protocol";
import { normalise, same } from "./store";
import type { Store } from "./store";

/** The part of anywidget's model that the view uses. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(name: string, callback: (...args: any[]) => void): void;
  off(name: string, callback?: ((...args: any[]) => void) | null): void;
}

export interface Link {
  /** A view opened (`+1`) or closed (`-1`). Nothing is acknowledged while none is open: the kernel then rests. */
  views(change: 1 | -1): void;
  close(): void;
}

// ms after which an unanswered `hello` is said again. JupyterLab opens a page's own shell only after its first message, so
// the first `hello` waits for whatever cell is running (under Run All, the next one); a later one does not.
const AGAIN = [150, 300, 600, 1200, 2400];
const GREETING = 2500; // ms without an answer to `hello` before a saved view says so
const SILENCE = 5000; // ms without a frame of a live run before it is asked after

export function connect(model: Model, store: Store): Link {
  const controller = new AbortController();
  const { signal } = controller;
  const page = Math.random().toString(36).slice(2, 12);
  let open = 0;
  let pending: Message[] = [];
  let scheduled = false;
  let received = -1; // the newest message's number: drawn or not, it took a place among those in flight
  let nextId = 1;
  let heard = 0; // when the last message came, 0 before the first
  const born = Date.now();

  const send = (type: string, fields: object = {}): void => {
    try {
      model.send({ v: VERSION, type, page, ...fields });
    } catch {
      // JupyterLab throws where the kernel has gone in this very moment; that it is silent will be said soon enough.
    }
  };
  const listen = (name: string, callback: (...args: any[]) => void) => {
    model.on(name, callback);
    signal.addEventListener("abort", () => model.off(name, callback));
  };

  function draw(): void {
    scheduled = false;
    if (signal.aborted || open === 0 || received < 0) return;
    const [messages, seq] = [pending, received];
    pending = [];
    received = -1;
    store.put(messages); // effects run inside: when this returns, every view's DOM is up to date
    send("ack", { seq });
  }

  function schedule(): void {
    if (scheduled || open === 0) return;
    scheduled = true;
    requestAnimationFrame(draw);
  }

  listen("msg:custom", (header: Header, buffers: readonly Bytes[] = []) => {
    let message: Message;
    try {
      message = decode(header, buffers);
    } catch (error) {
      store.notice.value = (error as Error).message;
      return;
    }
    heard = Date.now();
    store.link.value = "live";
    if (message.type === "reply") {
      store.notice.value = message.ok ? null : (message.error ?? "the kernel refused, and did not say why");
    } else {
      pending = pending.filter((m) => m.type !== message.type); // only the newest of each kind is worth drawing
      pending.push(message);
    }
    received = message.seq ?? received;
    schedule();
  });

  listen("change:selection", () => {
    const wanted = normalise(model.get("selection") as Partial<Selection>);
    store.select(wanted);
  });
  // ipywidgets raises this when a kernel restarts or goes away under a live model.
  listen("comm_live_update", () => {
    store.link.value = store.frame.value ? "saved" : "connecting";
  });

  store.selection.value = normalise(model.get("selection") as Partial<Selection>);
  const written = effect(() => {
    const selection = store.selection.value;
    if (same(selection, normalise(model.get("selection") as Partial<Selection>))) return;
    model.set("selection", selection);
    model.save_changes();
  });
  signal.addEventListener("abort", written);

  store.command = (name, args = {}) => {
    store.notice.value = null;
    send("command", { id: nextId++, name, args });
  };

  const watch = setInterval(() => {
    const quiet = Date.now() - (heard || born);
    if (!heard && quiet > GREETING && store.link.value === "connecting" && store.frame.value) store.link.value = "saved";
    const running = heard && store.frame.value?.state === "running" && open > 0 && !document.hidden;
    if (running && quiet > SILENCE && store.link.value !== "saved") {
      store.link.value = "silent";
      send("hello");
    }
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(watch));

  // A hidden page draws nothing and so acknowledges nothing; the kernel stops until it is greeted again.
  document.addEventListener(
    "visibilitychange",
    () => {
      if (!document.hidden && heard && Date.now() - heard > 2000) send("hello");
    },
    { signal },
  );

  restore(model, store);
  send("hello");
  const greetings = AGAIN.map((after) => setTimeout(() => heard || send("hello"), after));
  signal.addEventListener("abort", () => greetings.forEach(clearTimeout));
  return {
    views(change) {
      const before = open;
      open += change;
      if (before === 0 && open === 1) {
        if (heard && Date.now() - heard > 2000) send("hello");
        schedule();
      }
    },
    close() {
      controller.abort();
      pending = [];
    },
  };
}

/** Shows what the notebook file holds, until a kernel answers. */
function restore(model: Model, store: Store): void {
  const snapshot = model.get("snapshot") as Bytes | null | undefined;
  if (!snapshot?.byteLength) return;
  try {
    batch(() => store.restore(unpack(snapshot)));
  } catch (error) {
    store.notice.value = `The saved view could not be read: ${(error as Error).message}`;
  }
}
