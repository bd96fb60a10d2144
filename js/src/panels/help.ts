/** Help: every key and every word of the view, on a sheet over it. */

import { h } from "../dom";
import type { View } from "../view";

/** Keys and what they do, a line each; a line without a key names the place where the next ones act. */
const KEYS = `Space: run, pause, go on
/: find a class
P: pair: then choose two channels
F: all channels, or the important ones
Alt \u2190 \u2192: back and forward
Esc: let go of the innermost choice
Tab: next panel
: Classes
\u2191 \u2193 Home End: choose
C: compare with the chosen one
\u2190 \u2192: to the branch, then fold; open
Enter: on a branch: choose its clade
: Importance, feature map
\u2191 \u2193: choose a channel
Enter: unfold all channels
S: the difference to the compared class
: Convergence, pairs
\u2191 \u2193 \u2190 \u2192: move
Enter: show the restart\u2019s map, open the pair`;

const WORDS = `importance: the optimised feature map, averaged over positions and restarts; red is favoured, blue unfavoured
inconsistency: standard deviation over restarts; high where a channel acts together with others
basin: restarts that ended at the same answer
branch support: share of resamplings in which the branch comes again
top 5 in: classes with this channel among their five most important
\u03bb\u2082: penalty on the feature map\u2019s size; a larger one keeps only what the class needs most`;

function list(lines: string, tag: "kbd" | "b"): HTMLElement {
  return h("dl", ...lines.split("\n").map((line) => {
    const [word, ...meaning] = line.split(": ");
    return h("div", h("dt", h(word ? tag : "b", word || meaning.join())), word ? h("dd", meaning.join(": ")) : null);
  }));
}

export function help(view: View): HTMLElement {
  const open = h("button.help", { "aria-label": "Keys and words", "aria-haspopup": "dialog", title: "Keys and words (?)" }, "?");
  const close = h("button.x", { "aria-label": "Close" }, "\u00d7");
  const sheet = h("dialog.sheet", { "aria-label": "Keys and words" }, close);
  view.on(open, "click", () => {
    if (!sheet.childNodes[1]) sheet.append(list(KEYS, "kbd"), list(WORDS, "b"));
    sheet.showModal();
  });
  view.on(close, "click", () => sheet.close());
  view.on(sheet, "click", ({ target }: Event) => target === sheet && sheet.close()); // beside the words
  view.keys(sheet, (key, event) => {
    if (key === "Escape") sheet.close();
    event.stopPropagation(); // no key acts on what lies below
    return key === "Escape";
  });
  view.shortcut("?", () => open.click());
  return h("span", open, sheet);
}
