/** What every panel has: a section with a name, a line that says what is drawn in which unit, and a state at the right. */

import { max, min } from "../draw/numbers";
import { h, refill, s, text } from "../dom";
import { css } from "../draw/colour";
import type { Ramp } from "../draw/colour";

export interface PanelParts {
  readonly node: HTMLElement;
  readonly body: HTMLElement;
  readonly head: HTMLElement;
  /** Begins the ids of the panel's parts; unlike those of any other panel or view on the page. */
  readonly key: string;
  /** Sets the line after the name. */
  about(words: string): void;
  /** Sets the state at the head's right. */
  state(words: string): void;
}

// Two explorers on a page may each have loaded this file: their ids must differ too.
const mine = Math.random().toString(36).slice(2, 8);
let labels = 0;

export function panel(id: string, name: string, about = ""): PanelParts {
  const label = `dre-${mine}-${++labels}`;
  const title = h("h2", { id: label, class: "dre-name" }, name);
  const aboutNode = h("span.about", about);
  const stateNode = h("span.state");
  const head = h("div.head", title, aboutNode, stateNode);
  const body = h("div.panel-body");
  const node = h("section", { class: `dre-panel dre-${id}`, "data-panel": id, "aria-labelledby": label }, head, body);
  return {
    node,
    body,
    head,
    key: label,
    about: (words) => text(aboutNode, words),
    state: (words) => text(stateNode, words),
  };
}

/** Draws a ramp, from its negative end to its positive one. */
export function colourKey(node: Element, colours: Ramp, width: number, height: number): void {
  const step = width / SHADES;
  const shade = (i: number) => s("rect", { x: i * step, width: step + 0.3, height, fill: css(colours.at((2 * i + 1) / SHADES - 1, 1)) });
  refill(node, ...Array.from({ length: SHADES }, (_, i) => shade(i)));
}
const SHADES = 30;

/** The mark of a basin, as SVG path data around the origin: circle, diamond, triangle, square. */
export function basinMark(basin: number, r: number): string {
  switch ((basin - 1) % 4) {
    case 0:
      return `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`;
    case 1:
      return `M0 ${-r * 1.3}L${r * 1.3} 0L0 ${r * 1.3}L${-r * 1.3} 0Z`;
    case 2:
      return `M0 ${-r * 1.2}L${r * 1.15} ${r * 0.9}L${-r * 1.15} ${r * 0.9}Z`;
    default:
      return `M${-r} ${-r}H${r}V${r}H${-r}Z`;
  }
}

/** Class name of a basin's colour; basins beyond the fourth share its grey. */
export const basinClass = (basin: number): string => `dre-basin-${min(4, max(1, basin))}`;
