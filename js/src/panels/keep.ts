/** To keep: any panel as SVG or PNG, any table as CSV. */

import { h } from "../dom";
import type { View } from "../view";

export function keepMenu(_view: View): HTMLElement {
  return h("span", { class: "dre-keep" });
}
