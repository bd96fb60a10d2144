/** A page for tests: views of a made-up kernel, drawn when the test says so. */

import { vi } from "vitest";
import { MockKernel, MockModel } from "../dev/kernel";
import { World } from "../dev/world";
import type { Options } from "../dev/world";
import entry from "../src/index";
import type { Selection } from "../src/protocol";

/** Everything is as wide as this: a page of tests has no layout of its own. */
export const WIDTH = 800;

let waiting: FrameRequestCallback[] = [];

/** Call before each test: frames are drawn by `paint`, elements have a size, the clock stands still. */
export function prepare(): void {
  waiting = [];
  vi.useFakeTimers();
  vi.stubGlobal("requestAnimationFrame", (callback: FrameRequestCallback) => waiting.push(callback));
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(readonly report: (entries: unknown[]) => void) {}
      observe(target: Element) {
        this.report([{ target, contentRect: { width: WIDTH } }]);
      }
      unobserve() {}
      disconnect() {}
    },
  );
  document.body.replaceChildren();
}

/** The browser's next repaint. */
export function paint(): void {
  const now = waiting;
  waiting = [];
  for (const callback of now) callback(0);
}

export interface Opened {
  readonly model: MockModel;
  readonly kernel: MockKernel;
  readonly world: World;
  readonly root: HTMLElement;
  /** Another view of the same model. */
  view(): HTMLElement;
  /** Ends the model, as a closed comm does. */
  end(): void;
  /** Sends a frame at a share of the run and paints it. */
  at(t: number, state?: string): void;
  select(part: Partial<Selection>): void;
  find<E extends HTMLElement = HTMLElement>(selector: string): E;
  all(selector: string): HTMLElement[];
  panel(name: string): HTMLElement;
  button(name: string): HTMLButtonElement;
}

export function open(options: Partial<Options> = {}, before: (model: MockModel) => void = () => {}): Opened {
  const world = new World({ classes: 8, channels: 24, positions: 40, restarts: 5, ...options });
  const model = new MockModel();
  const kernel = new MockKernel(model, world);
  before(model);
  const held = entry();
  const close = held.initialize({ model });
  const closers: (() => void)[] = [];
  const view = () => {
    const el = document.createElement("div");
    document.body.append(el);
    closers.push(held.render({ model, el }));
    paint();
    return el.querySelector<HTMLElement>(".dr-explorer")!;
  };
  const root = view();
  const find = <E extends HTMLElement>(selector: string) => root.querySelector<E>(selector)!;
  return {
    model, kernel, world, root, view, find,
    end: () => {
      closers.forEach((c) => c());
      close();
    },
    at(t, state = t >= 1 ? "done" : "running") {
      kernel.t = t;
      kernel.state = state;
      kernel.frame();
      paint();
    },
    select(part) {
      model.set("selection", { ...kernel.selection, ...part });
      kernel.frame();
      paint();
    },
    all: (selector) => [...root.querySelectorAll<HTMLElement>(selector)],
    panel: (name) => find(`[data-panel=${name}]`),
    button: (name) => [...root.querySelectorAll<HTMLButtonElement>("button")].find((b) => (b.getAttribute("aria-label") ?? b.textContent) === name)!,
  };
}

export const visible = (node: Element): boolean => node.closest("[hidden]") === null;

export function press(node: Element, key: string, more: KeyboardEventInit = {}): KeyboardEvent {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  node.dispatchEvent(event);
  return event;
}

export const click = (node: Element, more: MouseEventInit = {}): boolean => node.dispatchEvent(new MouseEvent("click", { bubbles: true, ...more }));
