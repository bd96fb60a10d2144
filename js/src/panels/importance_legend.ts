/** The keys of the marks in use, at the importance panel's head; where two classes are compared, the way to their difference. */

import { attr, h, s, show, text } from "../dom";
import type { View } from "../view";

const KEY_BAR = '<rect class="dre-pos" x="0" y="3" width="28" height="8"/><path class="dre-whisker" d="M18 7h10m-10-3v6m10-6v6"/>';

interface LegendState {
  moving: boolean;
  /** What the hollow tick stands for. */
  beside: string | null;
  disagree: boolean;
  comparable: boolean;
  difference: boolean;
}

export function legend(view: View) {
  const mark = (width: number, inner: string): SVGSVGElement => {
    const svg = s("svg", { width, height: 14 });
    svg.innerHTML = inner; // our own constant, no data
    return svg;
  };
  const item = (svg: SVGSVGElement, words = "") => {
    const label = h("bdi", words);
    return { node: h("span.key", svg, label), label };
  };
  const mean = item(mark(29, KEY_BAR), "mean, 95 % over restarts");
  const moving = item(mark(24, '<rect class="dre-pos dre-pale-bar" x="0" y="3" width="24" height="8"/>'), "not converged yet, still moving");
  const other = item(mark(6, '<rect class="dre-tick" x="1" y="1" width="4" height="12"/>'));
  const disagree = item(
    mark(20, `<circle class="dre-basin-1" cx="4" cy="7" r="3"/><path class="dre-basin-2" d="M14 3l4 4-4 4-4-4z"/>`),
    "pale bar: restarts disagree",
  );
  const toggle = h("button.link", { title: "The difference of the two classes, or each for itself (S)" }, "Difference");
  view.on(toggle, "click", () => (view.byDifference.value = !view.byDifference.value));
  const node = h("span.state.keys", mean.node, moving.node, other.node, disagree.node, toggle);
  return {
    node,
    update({ moving: faint, beside, disagree: some, comparable, difference }: LegendState) {
      show(mean.node, !faint);
      show(moving.node, faint);
      show(other.node, beside !== null && !faint && !difference);
      show(disagree.node, some && !faint && !difference);
      show(toggle, comparable);
      attr(toggle, { "aria-pressed": difference });
      text(mean.label, difference ? "difference, 95 % over restarts" : "mean, 95 % over restarts");
      text(other.label, beside ?? "");
    },
  };
}
