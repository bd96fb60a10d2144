/** Evidence: the place for tests in sequence space. None comes over the wire yet, and the panel says what that means. */

import { h } from "../dom";
import type { View } from "../view";
import { panel } from "./panel";

export function evidence(_view: View): HTMLElement {
  const parts = panel("evidence", "Evidence", "insertion in sequence");
  parts.body.append(h("p.empty", "No test in sequences has been made. All that stands above is read from the network\u2019s own layer: a hypothesis, until insertions confirm it."));
  return parts.node;
}
