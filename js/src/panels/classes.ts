/** Classes: for now in the network's order, with the progress of each. */

import { attr, h, keyed, s, show, text } from "../dom";
import type { View } from "../view";
import { classRow } from "./class_row";
import type { ClassRow } from "./class_row";
import { panel } from "./panel";

const PITCH = 15.6; // px a class

export function classes(view: View): HTMLElement {
  const { store } = view;
  const parts = panel("classes", "Classes", "in the network\u2019s order");
  const search = h("input", { type: "search", placeholder: "Find a class", "aria-label": "Find a class", autocomplete: "off", spellcheck: "false" });
  const glass = s("svg", { viewBox: "0 0 14 14", width: 13, height: 13, "aria-hidden": "true" }, s("path", { d: "M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9M9.3 9.3L13 13" }));
  const field = h("label", { class: "dre-search" }, glass, search, h("kbd", { "aria-hidden": "true" }, "/"));
  const rows = h("div", { class: "dre-class-rows", role: "tree", tabindex: 0, "aria-label": "Classes" });
  parts.body.append(h("div", { class: "dre-find" }, field), rows);
  const base = parts.node.getAttribute("aria-labelledby");
  const setRows = keyed<number, ClassRow>(rows, (c) => classRow(`${base}-${c}`));

  const order = () => {
    const query = search.value.trim().toLowerCase();
    const all = store.names.value.map((_, i) => i);
    return query ? all.filter((i) => store.names.value[i].toLowerCase().includes(query)) : all;
  };
  const draw = () => {
    const names = store.names.value;
    const frame = store.frame.value;
    const query = search.value.trim().toLowerCase();
    const shown = order();
    parts.state(String(names.length));
    rows.style.height = `${shown.length * PITCH}px`;
    setRows(shown, (row, c, i) => {
      const at = query ? names[c].toLowerCase().indexOf(query) : -1;
      row.update({
        top: i * PITCH, height: PITCH, name: names[c], active: false, progress: frame?.class_progress[c] ?? 0, line: true,
        mark: c === store.target.value ? "target" : c === store.selection.value.other ? "other" : "none",
        level: 1, position: i + 1, size: shown.length, folded: null, inClade: false, match: at < 0 ? null : [at, query.length], more: "",
      });
    });
    attr(rows, { "aria-activedescendant": shown.includes(store.target.value) ? `${base}-${store.target.value}` : null });
  };
  view.effect(() => {
    show(parts.node, store.names.value.length !== 1);
    draw();
  });
  view.on(search, "input", draw);
  view.on(rows, "click", (event: MouseEvent) => {
    const id = (event.target as Element).closest(".dre-class")?.id;
    if (!id) return;
    const c = Number(id.slice(id.lastIndexOf("-") + 1));
    if (event.shiftKey) store.select({ other: c === store.target.value ? null : c });
    else store.select({ target: c });
  });
  view.on(rows, "keydown", (event: KeyboardEvent) => {
    const shown = order();
    const at = shown.indexOf(store.target.value);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined || event.altKey) return;
    event.preventDefault();
    store.select({ target: shown[Math.min(shown.length - 1, Math.max(0, to))] }, { step: true });
  });
  void text;
  return parts.node;
}
