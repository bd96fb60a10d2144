/** One view of a model: its root element, what it hovers, its theme, and the end of everything it started. */

import { round } from "./draw/numbers";
import { effect, signal } from "./signals";
import type { ReadonlySignal, Signal } from "./signals";
import { readTheme } from "./draw/theme";
import type { Theme } from "./draw/theme";
import type { Ranking } from "./ranking";
import { same } from "./store";
import type { Store } from "./store";

export interface View {
  readonly store: Store;
  readonly root: HTMLElement;
  /** Aborted when the view closes. */
  readonly signal: AbortSignal;
  readonly theme: ReadonlySignal<Theme>;
  /** The restart or channel under the pointer, shared by the panels of this view. */
  readonly hoverRestart: Signal<number | null>;
  readonly hoverChannel: Signal<number | null>;
  /** Which channels have a row, in importance and feature map alike. */
  readonly ranking: Signal<Ranking>;
  /** True while the pointer is on a row: rows then keep their places. */
  readonly holdRows: Signal<boolean>;
  /** All channels unfolded (importance and feature map together). */
  readonly unfolded: Signal<boolean>;
  /** Whether the importance rows are ordered by the difference to the compared class. */
  readonly byDifference: Signal<boolean>;
  /** First channel of a pair being chosen by keyboard. */
  readonly pairFrom: Signal<number | "ask" | null>;
  /** The node of the page, or of the shadow tree the view is in, that has the keyboard. */
  focused(): Element | null | undefined;
  /** Call it before a change and what it returns after: where the node with the keyboard has gone, one of `to` takes it. */
  handOn(from: Element, to: readonly HTMLButtonElement[]): () => void;
  /** Runs now and whenever a signal it read changes; an error stays in its panel. */
  effect(run: () => void): void;
  on<T extends EventTarget>(target: T, type: string, handler: (event: any) => void, options?: AddEventListenerOptions): void;
  /** Follows a pointer over a node; told null when it leaves. A finger reads where it touches, and what it read stays. */
  hover(target: EventTarget, at: (event: PointerEvent | null) => void): void;
  /** Keys pressed without Alt, Ctrl or Meta; the handler says whether it used the key, which then does nothing else. */
  keys(target: EventTarget, handler: (key: string, event: KeyboardEvent) => boolean | undefined): void;
  /** A single letter or sign that acts wherever in the view the keyboard is, but in no text field. */
  shortcut(key: string, run: () => void): void;
  /** Width of an element in CSS pixels, 0 while it is not laid out. */
  width(element: Element): ReadonlySignal<number>;
}

/** By how many rows and columns an arrow key moves. */
export const arrows = (key: string): readonly [number, number] | undefined =>
  ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] } as const)[key];

/** Fingers need larger targets than a mouse. */
export const COARSE = matchMedia("(pointer: coarse)").matches;

/** How long things glide to a new place, and whether the reader wants nothing to move. */
export const GLIDE = 200; // ms: long enough to follow a row by eye
export const still = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Puts a node at a height in its parent; from another height it glides there. */
export function glide(node: HTMLElement, from: number | null, to: number): void {
  const place = (y: number) => `translateY(${y}px)`;
  node.style.transform = place(to);
  if (from !== null && from !== to && !still()) node.animate?.([{ transform: place(from) }, { transform: place(to) }], { duration: GLIDE, easing: "ease-out" });
}

const REDRAWN_FOR = ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)", "print"];
const LATE = 400; // ms after which a theme's style sheet has come, where a host names the theme before it is there

export function createView(store: Store, root: HTMLElement, ended: AbortSignal): View {
  const theme = signal(readTheme(root));
  const widths = new Map<Element, Signal<number>>();
  const observer = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const width = widths.get(entry.target);
      if (width) width.value = round(entry.contentRect.width);
    }
  });
  const retheme = () => {
    const next = readTheme(root);
    if (!same(next, theme.value)) theme.value = next;
  };
  const marks = ["class", "style", "data-jp-theme-light", "data-jp-theme-name", "data-theme", "data-vscode-theme-kind"];
  const restyled = new MutationObserver(() => {
    requestAnimationFrame(retheme);
    setTimeout(retheme, LATE);
  });
  for (const node of [document.documentElement, document.body]) {
    restyled.observe(node, { attributes: true, attributeFilter: marks });
  }
  for (const query of REDRAWN_FOR) {
    matchMedia(query).addEventListener(
      "change",
      () => {
        for (const [element, width] of widths) width.value = element.clientWidth; // paper has a width of its own, and no time to observe it
        retheme();
      },
      { signal: ended },
    );
  }
  requestAnimationFrame(retheme); // the host may attach the root, and with it its colours, only after render
  ended.addEventListener("abort", () => {
    observer.disconnect();
    restyled.disconnect();
    widths.clear();
  });

  const view: View = {
    store,
    root,
    signal: ended,
    theme,
    hoverRestart: signal(null),
    hoverChannel: signal(null),
    ranking: signal({ shown: [], above: 0, folded: [] }),
    holdRows: signal(false),
    unfolded: signal(false),
    byDifference: signal(false),
    pairFrom: signal(null),
    effect(run) {
      const stop = effect(() => {
        try {
          run();
        } catch (error) {
          console.error("dr_explorer: a panel could not be drawn", error);
        }
      });
      if (ended.aborted) stop();
      else ended.addEventListener("abort", stop);
    },
    on(target, type, handler, options = {}) {
      target.addEventListener(type, handler, { ...options, signal: ended });
    },
    focused: () => (root.getRootNode() as Document).activeElement,
    handOn(from, to) {
      const usable = (node: Element) => !node.closest("[hidden]") && !(node as HTMLButtonElement).disabled;
      const held = view.focused(); // a browser may let go of it at once
      return () => {
        if (held && from.contains(held) && !usable(held)) to.find(usable)?.focus();
      };
    },
    hover(target, at) {
      for (const type of ["pointerdown", "pointermove"]) view.on(target, type, at);
      view.on(target, "pointerleave", (event: PointerEvent) => event.pointerType === "touch" || at(null));
    },
    keys(target, handler) {
      view.on(target, "keydown", (event: KeyboardEvent) => {
        if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
        if (handler(event.key, event)) event.preventDefault();
      });
    },
    shortcut(key, run) {
      view.keys(root, (pressed, { target }) => {
        if (pressed.toLowerCase() !== key || target instanceof HTMLInputElement) return;
        run();
        return true;
      });
    },
    width(element) {
      let width = widths.get(element);
      if (!width) {
        widths.set(element, (width = signal(0)));
        observer.observe(element);
      }
      return width;
    },
  };
  return view;
}
