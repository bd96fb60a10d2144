/** The class tree by pointer: a click chooses, Shift or a long press compares; the heat map's cells are read and chosen. */

import type { Signal } from "../signals";
import type { Node } from "../draw/tree";
import type { ClassActions } from "./class_keys";

const LONG_PRESS = 500; // ms a finger rests on a class to compare it

interface Places {
  readonly rows: HTMLElement;
  readonly heat: HTMLElement;
  /** Holds both. */
  readonly inner: HTMLElement;
  /** Whether the heat map has only the selected columns. */
  narrow(): boolean;
}

interface Pointing {
  /** The rows whose cell of the heat map is under the pointer. */
  readonly hover: Signal<readonly [Node, Node] | null>;
  /** Whether a mouse is over the tree at all. */
  readonly pointed: Signal<boolean>;
}

export function classPointer(act: ClassActions, { rows, heat, inner, narrow }: Places, { hover, pointed }: Pointing): void {
  const { view } = act;
  const { store } = view;
  const idAt = (event: Event): number | null => {
    const id = (event.target as Element).closest("[role=treeitem]")?.id;
    return id ? Number(id.slice(id.lastIndexOf("-") + 1)) : null;
  };
  let press: ReturnType<typeof setTimeout> | undefined;
  let pressed = false;
  view.on(rows, "pointerdown", (event: PointerEvent) => {
    pressed = false;
    const id = idAt(event);
    if (event.pointerType !== "touch" || id === null) return;
    press = setTimeout(() => {
      pressed = true;
      act.choose(id, { compare: true });
    }, LONG_PRESS);
  });
  for (const end of ["pointerup", "pointercancel", "pointermove"]) view.on(rows, end, () => clearTimeout(press));
  view.on(rows, "click", (event: MouseEvent) => {
    const id = idAt(event);
    if (id !== null && !pressed) act.choose(id, { compare: event.shiftKey || event.ctrlKey || event.metaKey });
  });
  view.hover(inner, (event) => (pointed.value = event !== null && event.pointerType !== "touch"));

  const cell = (event: PointerEvent): readonly [Node, Node] | null => {
    const { layout } = act.shown();
    if (!layout || narrow()) return null;
    const box = heat.getBoundingClientRect();
    const find = (y: number) => layout.rows.find((r) => y >= r.top && y < r.top + r.height)?.node;
    const [a, b] = [find(event.clientY - box.top), find(((event.clientX - box.left) * layout.height) / box.width)];
    return a && b ? [a, b] : null;
  };
  view.hover(heat, (event) => (hover.value = event && cell(event)));
  view.on(heat, "click", (event: PointerEvent) => {
    const at = cell(event);
    const folded = at?.filter((node) => node.children);
    if (!at || !folded) return;
    if (folded.length) folded.forEach(act.open);
    else if (event.shiftKey || at[0] === at[1]) store.select({ other: at[1].id === store.target.value ? null : at[1].id });
    else store.select({ target: at[0].id, other: at[1].id });
  });
}
