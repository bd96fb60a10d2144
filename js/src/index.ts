/** The anywidget entry: one store and one link a model, any number of views of it. */

import { crowd } from "./crowd";
import { attr, refill } from "./dom";
import { connect } from "./link";
import type { Link, Model } from "./link";
import { PANELS } from "./panels";
import { keepRanking } from "./ranking";
import { Store } from "./store";
import { createView } from "./view";

interface Held {
  store: Store;
  link: Link;
}

function start(model: Model): Held {
  const store = new Store();
  return { store, link: connect(model, store) };
}

/** anywidget calls this once a model, which is why `initialize` and `render` share what they hold. */
export default () => {
  let held: Held | null = null;
  return {
    /** Must stay synchronous and small: a widget whose initialisation is slow renders and never hears a message. */
    initialize({ model }: { model: Model }): () => void {
      const made = (held = start(model));
      return () => {
        made.link.close();
        if (held === made) held = null;
      };
    },

    render({ model, el, signal }: { model: Model; el: HTMLElement; signal?: AbortSignal }): () => void {
      const { store, link } = (held ??= start(model));
      const end = new AbortController();
      const close = () => {
        if (end.signal.aborted) return;
        end.abort();
        link.views(-1);
        refill(el);
      };
      signal?.addEventListener("abort", close);
      mount(store, el, end.signal);
      link.views(1);
      return close;
    },
  };
};

/** Draws one view of a store into an element, until `ended`. */
export function mount(store: Store, el: HTMLElement, ended: AbortSignal): HTMLElement {
  const root = document.createElement("div");
  root.className = "dr-explorer";
  el.append(root);
  const view = createView(store, root, ended);
  keepRanking(view);
  const grid = document.createElement("div");
  grid.className = "dre-panels";
  grid.append(...PANELS.map((panel) => panel(view)));
  root.append(grid);

  let frames = 0;
  view.effect(() => {
    const frame = store.frame.value;
    attr(root, {
      "data-state": frame?.state ?? "waiting",
      "data-link": store.link.value,
      "data-run": frame?.run,
      "data-seq": frame?.seq,
      "data-frames": frame ? ++frames : 0,
      "data-classes": crowd(store.names.value.length),
    });
  });
  // A notebook's own single-key commands must not act on keys meant for the view (`x` would cut the cell).
  view.on(root, "keydown", (event: KeyboardEvent) => {
    if (!event.ctrlKey && !event.metaKey && event.key !== "Tab" && !(event.key === "Enter" && event.shiftKey)) event.stopPropagation();
  });
  return root;
}
