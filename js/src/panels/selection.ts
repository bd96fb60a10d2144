/** The selection bar: what all panels speak of, as chips, and the same as a line of Python. */

import { SILENT, attr, h, s, show, text } from "../dom";
import type { Selection } from "../protocol";
import { COARSE } from "../view";
import type { View } from "../view";

function arrow(name: string, d: string): HTMLButtonElement {
  return h(
    "button.step",
    { "aria-label": name },
    s("svg.icon", { viewBox: "0 0 6 10", width: 6, height: 10 }, s("path", { d })),
  );
}

/** The call that makes this selection; names are used where they name one class only (Python reads JSON's strings). */
export function asPython(selection: Selection, targets: readonly string[]): string {
  const name = (i: number): string =>
    targets[i] && targets.indexOf(targets[i]) === targets.lastIndexOf(targets[i]) ? JSON.stringify(targets[i]) : String(i);
  const parts: string[] = [];
  if (selection.target !== null) parts.push(`target=${name(selection.target)}`);
  if (selection.other !== null) parts.push(`other=${name(selection.other)}`);
  if (selection.clade) parts.push(`clade=[${selection.clade.join(", ")}]`);
  if (selection.pair) parts.push(`pair=(${selection.pair.join(", ")})`);
  else if (selection.channel !== null) parts.push(`channel=${selection.channel}`);
  if (selection.restart !== null) parts.push(`restart=${selection.restart}`);
  return `explorer.select(${parts.join(", ")})`;
}

/** What one field of the selection holds, with a button that lets go of it. */
function chip(view: View, field: keyof Selection) {
  const label = h("bdi");
  const close = h("button.x", "\u00d7");
  const node = h("span", { class: `dre-chip dre-chip-${field}` }, h("span.mark", SILENT), label, close);
  view.on(close, "click", () => view.store.select({ [field]: null }));
  return {
    node,
    set(words: string | null, closable = true) {
      show(node, words !== null);
      show(close, closable);
      text(label, words ?? "");
      attr(label, { title: words });
      attr(close, { "aria-label": `Clear ${words ?? ""}` });
    },
  };
}

export function selectionBar(view: View): HTMLElement {
  const { store } = view;
  const back = arrow("Back", "M5 1L1 5l4 4");
  const forward = arrow("Forward", "M1 1l4 4-4 4");
  back.title = "Back (Alt+Left)";
  forward.title = "Forward (Alt+Right)";
  const [target, other, clade, channel, pair, restart] = (["target", "other", "clade", "channel", "pair", "restart"] as const).map((field) => chip(view, field));
  const versus = h("span.about", "vs");
  const bar = h("span.rule");
  const hint = h("span.about.hint", ...(COARSE ? ["Hold a second class to compare"] : ["Shift-click a second class to compare, or ", h("kbd", "C")]));
  const clear = h("button.link", "Clear");
  const key = h("kbd", "Esc");
  const python = h("button.python", { title: "The same from Python: click copies" });
  const said = h("span.said", { role: "status" });
  const chips = h("span.chips", target.node, versus, other.node, clade.node, bar, channel.node, pair.node, restart.node, clear, key, hint);
  const node = h(
    "section.selection",
    { "data-panel": "selection", "aria-label": "Selection" },
    h("span.steps", back, forward),
    chips,
    said,
    python,
  );

  view.on(back, "click", () => store.back());
  view.on(forward, "click", () => store.forward());
  view.on(clear, "click", () => store.clear());
  view.on(python, "click", () => {
    const line = python.textContent ?? "";
    const told = (words: string) => {
      text(said, words);
      setTimeout(() => text(said, ""), 1500);
    };
    if (!navigator.clipboard) told("Copying needs a secure page");
    else navigator.clipboard.writeText(line).then(() => told("Copied"), () => told("The browser refused"));
  });
  view.on(view.root, "keydown", (event: KeyboardEvent) => {
    if (event.altKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      event.preventDefault();
      if (event.key === "ArrowLeft") store.back();
      else store.forward();
    }
  });
  view.keys(view.root, (key) => {
    if (key !== "Escape") return;
    if (view.pairFrom.value === null) return store.clearInnermost();
    view.pairFrom.value = null;
    return true;
  });

  view.effect(() => {
    const handOn = view.handOn(node, [back, forward]);
    const selection = store.selection.value;
    const names = store.names.value;
    const name = (i: number | null): string | null => (i === null ? null : (names[i] ?? `class ${i}`));
    const several = names.length > 1;
    target.set(names.length ? name(store.target.value) : null, selection.target !== null && several);
    other.set(name(selection.other));
    show(versus, selection.other !== null);
    clade.set(selection.clade ? `clade of ${selection.clade.length}` : null);
    channel.set(selection.channel === null || selection.pair ? null : `ch ${selection.channel}`);
    pair.set(selection.pair ? `${selection.pair[0]} \u00d7 ${selection.pair[1]}` : null);
    restart.set(selection.restart === null ? null : `restart ${selection.restart}`);
    show(bar, selection.channel !== null || selection.pair !== null || selection.restart !== null);
    show(hint, several && selection.other === null && selection.clade === null);
    const anything = Object.values(selection).some((v) => v !== null);
    show(clear, anything);
    show(key, anything);
    back.disabled = !store.canBack.value;
    forward.disabled = !store.canForward.value;
    handOn();
    // Nothing chosen: the class at hand is the one to start from.
    const call = several && !anything ? { ...selection, target: store.target.value } : selection;
    text(python, asPython(call, store.meta.value?.targets ?? []));
    show(python, Object.values(call).some((v) => v !== null));
  });
  return node;
}
