/** One row of the importance panel: number, logo, motif, bar with its spread, inconsistency, sharing. */

import { attr, h, refill, s, show, text } from "../dom";
import { BASES, information, logoPaths } from "../draw/logo";
import { atLeast, finite, fixed, max, min } from "../draw/numbers";
import type { Scale } from "../draw/scales";
import type { Frame, Meta, Selection } from "../protocol";
import { COARSE, glide } from "../view";
import type { Bars } from "../bars";
import { basinClass, basinMark } from "./panel";

export const ROW = COARSE ? 28 : 20; // px
const BAR = 10; // px, height of a bar
const CAP = 3; // px, half length of a whisker's end
const LOGO_HEIGHT = 17; // px
const LETTER = 7; // px a position of a logo, where these are many
const LOGO_WIDTHS = [86, 182] as const; // px, at least and at most
const MAX_BASINS = 4; // marks with shapes and colours of their own

export interface RowState {
  readonly frame: Frame;
  readonly bars: Bars;
  readonly meta: Meta;
  readonly x: Scale;
  readonly width: number;
  /** Mean FIV by basin and channel. */
  readonly means: readonly Float64Array[];
  /** Whether a restart has finished: before that, bars are faint. */
  readonly settled: boolean;
  /** Digits after the point of what is written out. */
  readonly fine: number;
  readonly selection: Selection;
  readonly hover: number | null;
  /** Size of the selected clade. */
  readonly clade: number | null;
}

/** What stands beside the class's own importance, as a tick: the compared class, else the mean of the clade. */
export const besides = ({ other_ofiv, clade_ofiv }: Frame): Float32Array | undefined => other_ofiv ?? clade_ofiv;

export interface Row {
  readonly node: HTMLElement;
  update(state: RowState, top: number, rows: number, index: number): void;
}

/** The information that fills a logo's height: that of the richest position of all logos, at least half a bit. */
const fullHeights = new WeakMap<Float32Array, number>();
export function fullHeight(logos: Float32Array, channels: number): number {
  let bits = fullHeights.get(logos);
  if (bits === undefined) {
    const width = logos.length / (4 * channels);
    bits = 0.5;
    for (let k = 0; k < channels; k++) {
      for (let i = 0; i < width; i++) {
        const p = [0, 1, 2, 3].map((b) => logos[(k * 4 + b) * width + i]);
        const here = information(p);
        if (here > bits) bits = here;
      }
    }
    fullHeights.set(logos, bits);
  }
  return bits;
}

/** How wide the logos of a layer are drawn, px: long filters get the room to be read. */
export const logoWidth = ({ logos, channels }: Meta): number =>
  min(LOGO_WIDTHS[1], max(LOGO_WIDTHS[0], ((logos?.length ?? 0) / (4 * channels)) * LETTER));

/** An SVG of a channel's logo, narrower where there is no room; empty where the channel has none. */
export function logo(meta: Meta, channel: number): SVGSVGElement {
  const box = { width: logoWidth(meta), height: LOGO_HEIGHT };
  const svg = s("svg.logo", { ...box, viewBox: `0 0 ${box.width} ${box.height}`, preserveAspectRatio: "none" });
  if (!meta.logos) return svg;
  const width = meta.logos.length / (4 * meta.channels);
  const ppm = meta.logos.subarray(channel * 4 * width, (channel + 1) * 4 * width);
  const paths = logoPaths(ppm, width, { ...box, bits: fullHeight(meta.logos, meta.channels) });
  paths.forEach((d, b) => d && svg.append(s("path", { class: `dre-${BASES[b]}`, d })));
  return svg;
}

export function importanceRow(k: number, id: string): Row {
  const number = h("span.ch", String(k));
  const said = h("span.hush"); // what the bar shows, for those who hear the row
  const logoCell = h("span.col-logo");
  const motif = h("bdi.col-motif.cut");
  const bar = s("rect", { y: (ROW - BAR) / 2, height: BAR });
  const whisker = s("path.whisker");
  const tick = s("rect.tick", { width: 4, y: 3, height: ROW - 6 });
  const marks = Array.from({ length: MAX_BASINS }, (_, b) => s("path", { class: `dre-basin-mark ${basinClass(b + 1)}`, d: basinMark(b + 1, 2.8) }));
  const svg = s("svg.bar", { height: ROW }, bar, tick, whisker, ...marks);
  const diamond = s("path", { d: "M5 .8L9.2 5 5 9.2.8 5z" });
  const spread = h("span");
  const spreadCell = h("span.spread", s("svg", { width: 10, height: 10 }, diamond), spread);
  const sharing = h("span.col-sharing");
  const node = h("div.row", { role: "option", id, "data-channel": k }, number, logoCell, motif, h("span.col-bars", svg, said), spreadCell, sharing);
  let drawnFor: Meta | null = null;
  let at: number | null = null;

  return {
    node,
    update({ frame, bars, meta, x, width, means, settled, fine, selection, hover, clade }, top, rows, index) {
      if (drawnFor !== meta) {
        const match = meta.motifs?.[k];
        drawnFor = meta;
        refill(logoCell, logo(meta, k));
        text(motif, meta.motifs ? (match?.name ?? "no match") : "");
        attr(motif, { "data-none": !match, title: match?.name ?? null });
      }
      if (at !== top) glide(node, at, top);
      at = top;
      const { difference } = bars;
      const [value, low, high] = [bars.value[k], bars.low[k], bars.high[k]];
      const uneven = Boolean(frame.inconsistent[k]) && settled;
      const disagree = uneven && !difference;
      const selected = selection.channel === k || selection.pair?.[0] === k || selection.pair?.[1] === k;
      attr(node, {
        "aria-selected": selected,
        "data-main": selection.channel === k,
        "data-hover": hover === k,
        "aria-setsize": rows,
        "aria-posinset": index + 1,
      });
      text(said, `${difference ? "difference" : "importance"} ${[value, low, high].map((v) => fixed(v, fine)).join(", ")}${disagree ? ", restarts disagree" : ""}`);
      attr(svg, { width });
      const there = finite(value);
      show(bar, there);
      if (there) {
        const [a, b] = [x(min(0, value)), x(max(0, value))];
        attr(bar, {
          class: `${value < 0 ? "dre-neg" : "dre-pos"}${disagree ? " dre-disagree" : settled ? "" : " dre-pale-bar"}`,
          x: a,
          width: max(0.5, b - a),
        });
      }
      const spreadKnown = there && finite(low) && finite(high);
      show(whisker, spreadKnown);
      if (spreadKnown) {
        const [a, b, y] = [x(low), x(high), ROW / 2];
        attr(whisker, { d: `M${a} ${y}H${b}M${a} ${y - CAP}v${2 * CAP}M${b} ${y - CAP}v${2 * CAP}` });
      }
      const other = difference ? undefined : besides(frame)?.[k];
      show(tick, other !== undefined && finite(other) && settled);
      if (other !== undefined && finite(other)) attr(tick, { x: (x(other) - 2) });
      marks.forEach((mark, b) => {
        const mean = means[b]?.[k];
        const visible = disagree && mean !== undefined && finite(mean);
        show(mark, visible);
        if (visible) attr(mark, { transform: `translate(${x(mean)} ${ROW / 2})` });
      });
      attr(spreadCell, { "data-high": uneven });
      show(spreadCell, finite(frame.deviation[k]));
      text(spread, atLeast(frame.deviation[k], fine));
      const shared = clade !== null && frame.clade_sharing ? frame.clade_sharing[k] : frame.sharing[k];
      text(sharing, String(shared));
      attr(sharing, { "data-high": clade !== null && 2 * shared > clade });
    },
  };
}
