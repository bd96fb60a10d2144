/** The keys under the class tree: what the marks mean, or the value under the pointer. */

import { h, refill, s, show } from "../dom";
import { ramp, SIMILARITY } from "../draw/colour";
import { fixed } from "../draw/numbers";
import type { View } from "../view";
import { DOUBTFUL, SURE } from "./class_tree";
import { colourKey } from "./panel";

export function legend(view: View) {
  const mark = (kind: string) => s("svg", { width: 8, height: 8 }, s("circle", { class: `dre-${kind}`, cx: 4, cy: 4, r: 2.6 }));
  const scale = s("svg", { width: 56, height: 8 });
  const support = h("span.support", "branch support", mark("sure"), `\u2265 ${SURE}`, mark("fair"), `\u2265 ${DOUBTFUL}`, mark("doubtful"), `< ${DOUBTFUL}`);
  const range = h("span.range", "r \u22121", scale, "1");
  const read = h("span.cut");
  const node = h("div.foot", support, range, read);
  view.effect(() => {
    const { unlike, bg, like } = view.theme.value;
    colourKey(scale, ramp(unlike, bg, like, SIMILARITY), 56, 8);
  });
  return {
    node,
    /** `hover`: the similarity of the two rows under the pointer, and what they are called. */
    update(tree: boolean, hover: readonly [number, string, string] | null) {
      show(node, tree);
      show(support, hover === null);
      show(range, hover === null);
      show(read, hover !== null);
      if (hover) refill(read, h("b", `r ${fixed(hover[0], 2)}  `), h("bdi", hover[1]), " \u00d7 ", h("bdi", hover[2]));
    },
  };
}
