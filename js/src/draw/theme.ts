/** The colours in force, read from the page: what canvas and computed fills need as numbers. */

import { clear, luminance, parse } from "./colour";
import type { Rgb } from "./colour";

export interface Theme {
  readonly dark: boolean;
  /** On paper: black on white, and nothing can be scrolled. */
  readonly print: boolean;
  readonly bg: Rgb;
  readonly ink: Rgb;
  readonly neg: Rgb;
  readonly pos: Rgb;
  readonly like: Rgb;
  readonly unlike: Rgb;
}

/** Whether the page around an element is dark: JupyterLab says so, elsewhere the surface behind it does. */
function darkAround(root: HTMLElement): boolean {
  const lab = root.closest("[data-jp-theme-light]")?.getAttribute("data-jp-theme-light");
  const forced = matchMedia("(forced-colors: active)").matches; // then the surface is the system's, whatever the theme is called
  if (lab && !forced) return lab === "false";
  const above = (node: Element): Element | undefined => node.parentElement ?? (node.getRootNode() as Partial<ShadowRoot>).host;
  for (let node = forced ? root : above(root); node; node = above(node)) {
    const colour = getComputedStyle(node).backgroundColor;
    if (clear(colour)) continue;
    const rgb = parse(colour);
    if (rgb) return luminance(rgb) < 0.2;
  }
  return false;
}

/** Marks the root `data-theme` and reads the custom properties that follow from it. */
export function readTheme(root: HTMLElement): Theme {
  const print = matchMedia("print").matches;
  const dark = !print && darkAround(root);
  root.dataset["theme"] = dark ? "dark" : "light";
  const style = getComputedStyle(root);
  const surface = parse(style.backgroundColor) ?? (dark ? [20, 23, 27] : [255, 255, 255]);
  const read = (name: string, fallback: Rgb): Rgb => parse(style.getPropertyValue(name), surface) ?? fallback;
  return {
    dark,
    print,
    bg: surface,
    ink: parse(style.color, surface) ?? (dark ? [233, 235, 238] : [27, 30, 35]),
    neg: read("--dre-neg", [43, 105, 179]),
    pos: read("--dre-pos", [194, 64, 45]),
    like: read("--dre-like", [106, 61, 179]),
    unlike: read("--dre-unlike", [184, 129, 42]),
  };
}
