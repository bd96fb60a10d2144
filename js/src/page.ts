/** The stand-alone page: a saved view in a file of its own, every class and pair of it, with no kernel and no network. */

import { effect } from "./signals";
import { inflate, read } from "./columns";
import type { Saved } from "./columns";
import { mount } from "./index";
import type { Frame } from "./protocol";
import { normalise, Store } from "./store";

const TOP = 5; // a class "has" a channel that is among its five most favoured, as in frames.py

/** What the classes of a clade have in common, as a kernel would say: classes with each channel among their top, and its mean. */
export function shared(frames: readonly Frame[]): Pick<Frame, "clade_sharing" | "clade_ofiv"> {
  const known = frames.filter((f) => f.ofiv.every(Number.isFinite));
  if (!known.length) return {};
  const sharing = new Uint16Array(known[0].ofiv.length);
  const mean = new Float32Array(sharing.length);
  for (const { ofiv } of known) {
    const best: number[] = []; // channels, the most favoured first; of equal ones the first
    ofiv.forEach((v, k) => {
      mean[k] += v / known.length;
      if (!(v > 0) || (best.length === TOP && v <= ofiv[best[TOP - 1]])) return;
      const place = best.findIndex((b) => v > ofiv[b]);
      best.splice(place < 0 ? best.length : place, 0, k);
      best.length = Math.min(best.length, TOP);
    });
    for (const k of best) sharing[k]++;
  }
  return { clade_sharing: sharing, clade_ofiv: mean };
}

/** Draws a saved view into an element of any page. */
export function show({ messages, selection }: Saved, el: HTMLElement): Store {
  const store = new Store();
  const frames = new Map(messages.flatMap((m) => (m.type === "frame" ? [[m.target, m] as const] : [])));
  store.link.value = "saved";
  store.selection.value = normalise(selection);
  store.restore(messages);
  effect(() => {
    const { clade } = store.selection.value;
    const frame = store.frame.value;
    if (!frame || !clade || frame.clade_ofiv) return;
    store.frame.value = { ...frame, ...shared(clade.flatMap((c) => frames.get(c) ?? [])) };
  });
  mount(store, el, new AbortController().signal);
  return store;
}

/** Reads what the page carries and draws it; says in words what went wrong. */
export async function open(data: string, el: HTMLElement): Promise<void> {
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser is older than 2023; a newer one can");
    const saved = read(await inflate(data));
    el.replaceChildren();
    show(saved, el);
  } catch (error) {
    el.textContent = `The saved view could not be read: ${(error as Error).message}.`;
  }
}

const data = document.getElementById("saved");
const el = document.getElementById("view");
if (data && el) void open(data.textContent ?? "", el);
