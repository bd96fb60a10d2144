/** The panels of the view, in reading order; a panel is a function from a view to its node. */

import type { View } from "../view";
import { classes } from "./classes";
import { controls } from "./controls";
import { convergence } from "./convergence";
import { evidence } from "./evidence";
import { featureMap } from "./featuremap";
import { importance } from "./importance";
import { pair } from "./pair";
import { pairs } from "./pairs";
import { selectionBar } from "./selection";

export const PANELS: readonly ((view: View) => HTMLElement)[] = [
  controls, selectionBar, classes, convergence, featureMap, importance, pairs, pair, evidence,
];
