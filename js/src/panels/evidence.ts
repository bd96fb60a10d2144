/** Evidence: the place for tests in sequence space. None comes over the wire yet, and the panel says so. */

import { h } from "../dom";
import type { View } from "../view";
import { panel } from "./panel";

export function evidence(_view: View): HTMLElement {
  const parts = panel("evidence", "Evidence", "insertion in sequence");
  parts.body.append(h("p.empty", "Nothing has been tested by insertion in sequences yet."));
  return parts.node;
}
