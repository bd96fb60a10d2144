/** A made-up network with structure, for looking at the view and for its tests: classes in clades, two basins, motifs. */

import type { Header, Selection } from "../src/protocol";

export interface Options {
  classes: number;
  channels: number;
  positions: number;
  restarts: number;
  seed: number;
  logos: boolean;
  motifs: boolean;
  /** Basins of a class with several. */
  basins: number;
  /** Multiplies every value of the feature maps, and what follows from them. */
  scale: number;
  names?: string[];
}

export const DEFAULTS: Options = { classes: 56, channels: 64, positions: 800, restarts: 10, seed: 1, logos: true, motifs: true, basins: 2, scale: 1 };

export type Sent = { header: Header; buffers: ArrayBuffer[] };
type Typed = Float32Array | Uint8Array | Uint16Array | Uint32Array;

/** Numbers in [0, 1) from a seed (mulberry32). */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const dtype = (a: Typed) => (a instanceof Float32Array ? "float32" : a instanceof Uint8Array ? "uint8" : a instanceof Uint16Array ? "uint16" : "uint32");

/** A message as the kernel sends it. */
export function encode(header: Record<string, unknown>, arrays: Record<string, [Typed, number[]]>): Sent {
  const entries = Object.entries(arrays);
  return {
    header: { v: 1, type: "", ...header, arrays: entries.map(([name, [a, shape]]) => ({ name, dtype: dtype(a), shape })) } as Header,
    buffers: entries.map(([, [a]]) => a.slice().buffer as ArrayBuffer),
  };
}

const TISSUES = ["Brain", "Heart", "Artery", "Esophagus", "Skin", "Colon", "Muscle", "Nerve"];
const PARTS = ["Cortex", "Upper layer", "Mucosa", "Left wing", "Outer sheath", "Central core", "Lower, sun exposed (leg)"];
const MOTIFS = ["SRSF3", "MATR3", "MBNL1", "SRSF1", "PCBP1", "TARDBP", "poly-Y / U2AF2", "poly-Y / PTBP1", "HNRNPA1", "QKI", "RBFOX2", "CELF1"];

export class World {
  readonly o: Options;
  readonly names: string[];
  readonly ofiv: Float32Array; // C,K
  readonly logos: Float32Array;
  run = 1;
  seq = 0;
  l2 = 0.00125;

  constructor(options: Partial<Options> = {}) {
    this.o = { ...DEFAULTS, ...options };
    const { classes: C, channels: K, seed } = this.o;
    const r = random(seed);
    const normal = () => Math.sqrt(-2 * Math.log(1 - r())) * Math.cos(2 * Math.PI * r());
    this.names = this.o.names ?? Array.from({ length: C }, (_, c) => (C <= 56 ? `${PARTS[c % 7]} \u2013 ${TISSUES[Math.floor(c / 7)]}` : `${TISSUES[c % 8]} ${PARTS[c % 7]} ${1 + Math.floor(c / 56)}`));
    // Classes inherit from clades: a clade halves its classes and adds a few channels of its own.
    this.ofiv = new Float32Array(C * K);
    const shuffled = Array.from({ length: C }, (_, c) => c).sort(() => r() - 0.5);
    const split = (members: number[], size: number, depth: number) => {
      const own = Array.from({ length: Math.max(3, Math.round(K * 0.12)) }, () => [Math.floor(r() * K), normal() * size] as const);
      for (const c of members) for (const [k, v] of own) this.ofiv[c * K + k] += v;
      if (members.length < 2 || depth > 12) return;
      const cut = Math.max(1, Math.round(members.length * (0.25 + 0.5 * r())));
      const next = depth === 0 ? 0.16 : size * 0.72;
      split(members.slice(0, cut), next, depth + 1);
      split(members.slice(cut), next, depth + 1);
    };
    split(shuffled, 0.04, 0);
    this.logos = this.#logos(r);
  }

  #logos(r: () => number): Float32Array {
    const K = this.o.channels;
    const width = 9;
    const out = new Float32Array(K * 4 * width);
    for (let k = 0; k < K; k++) {
      for (let x = 0; x < width; x++) {
        const strong = r() < 0.6 ? 6 : 1.2;
        const p = [0, 1, 2, 3].map(() => r() ** strong + 0.01);
        const sum = p.reduce((a, b) => a + b);
        p.forEach((v, b) => (out[(k * 4 + b) * width + x] = v / sum));
      }
    }
    return out;
  }

  #header(type: string) {
    return { type, run: this.run, seq: ++this.seq };
  }

  meta(): Sent {
    const { channels: K, positions: W, motifs } = this.o;
    const r = random(7);
    return encode(
      {
        ...this.#header("meta"),
        model: "splicenet", device: "cpu", layer: "re_lu_70",
        layers: [
          { name: "conv1d_3", type: "Conv1d", shape: [K, W || 800], cut: "clean", suggested: false },
          { name: "re_lu_70", type: "ReLU", shape: W ? [K, W] : [K], cut: "clean", suggested: true },
          { name: "dense", type: "Linear", shape: [32], cut: "clean", suggested: false },
          { name: "softmax", type: "Softmax", shape: [this.names.length], cut: "no", suggested: false },
        ],
        targets: this.names, channels: K, positions: W,
        segments: W ? [{ name: "seql", start: 0, stop: W / 2 }, { name: "seqr", start: W / 2, stop: W }] : [],
        l2_range: [1e-5, 10], rule: "fast",
        ...(motifs ? { motifs: Array.from({ length: K }, () => (r() < 0.45 ? { name: MOTIFS[Math.floor(r() * MOTIFS.length)], p: 10 ** (-2 - 3 * r()) } : null)) } : {}),
      },
      this.o.logos ? { logos: [this.logos, [K, 4, 9]] } : {},
    );
  }

  /** Restarts of a class: their FIVs and basins at a share `t` of the way. */
  #restarts(c: number, t: number) {
    const { channels: K, restarts: T } = this.o;
    const r = random(1000 + c);
    const normal = () => Math.sqrt(-2 * Math.log(1 - r())) * Math.cos(2 * Math.PI * r());
    const two = c % 3 !== 1;
    const delta = new Float32Array(K);
    for (let i = 0; i < 6; i++) delta[Math.floor(r() * K)] = normal() * 0.08;
    const top = Array.from({ length: K }, (_, k) => k).sort((a, b) => Math.abs(this.ofiv[c * K + b]) - Math.abs(this.ofiv[c * K + a]));
    delta[top[0]] = 0.05;
    delta[top[3]] = -0.09;
    const fiv = new Float32Array(T * K);
    const basin = new Uint8Array(T);
    for (let i = 0; i < T; i++) {
      basin[i] = t < 0.3 ? 0 : this.o.basins > 2 ? 1 + (i % this.o.basins) : two && i % 5 > 1 ? 2 : 1;
      const noise = 0.004 + 0.12 * (1 - t) ** 2;
      for (let k = 0; k < K; k++) {
        const start = 0.25 + 0.2 * r();
        const shift = two ? (i % 5 > 1 ? delta[k] : -delta[k] * 1.5) : 0;
        fiv[i * K + k] = this.o.scale * (t * (this.ofiv[c * K + k] + shift) + (1 - t) * start + normal() * noise);
      }
    }
    return { fiv, basin, two };
  }

  /** A frame at a share `t` of the run. */
  frame(t: number, selection: Partial<Selection> = {}, state = t >= 1 ? "done" : "running", extra: Record<string, unknown> = {}): Sent {
    const { classes: C, channels: K, positions: W, restarts: T } = this.o;
    const c = selection.target ?? 0;
    const own = Math.min(1, t * 1.6); // the class looked at goes first
    const { fiv, basin, two } = this.#restarts(c, own);
    const finishedOf = (i: number) => Math.max(0, Math.min(T, Math.floor(T * (t >= 1 ? 1 : t * 1.5 - (i % 11) / 20))));
    const class_finished = Uint16Array.from({ length: C }, (_, i) => (i === c ? (own >= 1 ? T : own < 0.5 ? 0 : Math.floor(T * own * 0.9)) : finishedOf(i)));
    const class_progress = Float32Array.from({ length: C }, (_, i) => (t >= 1 ? 1 : Math.min(1, class_finished[i] / T + 0.4 * t * ((i % 7) / 7))));
    const trials = C * T;
    const converged = class_finished.reduce((a, b) => a + b, 0);
    const status = Uint8Array.from({ length: T }, (_, i) => (i < class_finished[c] ? 2 : t === 0 ? 0 : 1));
    const P = Math.max(2, Math.round(26 * own));
    const trace_step = new Float32Array(T * P).fill(NaN);
    const trace_objective = new Float32Array(T * P).fill(NaN);
    const objective = new Float32Array(T);
    for (let i = 0; i < T; i++) {
      const floor = this.o.basins > 2 ? 0.02 * (basin[i] - 1) : two && i % 5 > 1 ? 0.07 : 0;
      const end = (status[i] === 2 ? 22 + i * 0.7 : 50) * 1;
      for (let p = 0; p < P; p++) {
        const step = Math.min(end, (p / (P - 1 || 1)) * 50 * own);
        const gap = floor + 30 * Math.exp(-step * (0.37 + i * 0.006)) * (step >= 27 + i ? 0 : 1);
        trace_step[i * P + p] = step;
        objective[i] = trace_objective[i * P + p] = 4.2 - gap;
      }
    }
    const ofiv = new Float32Array(K);
    const low = new Float32Array(K);
    const high = new Float32Array(K);
    const deviation = new Float32Array(K);
    for (let k = 0; k < K; k++) {
      let sum = 0;
      let square = 0;
      for (let i = 0; i < T; i++) {
        sum += fiv[i * K + k];
        square += fiv[i * K + k] ** 2;
      }
      ofiv[k] = sum / T;
      deviation[k] = Math.sqrt(Math.max(0, square / T - (sum / T) ** 2));
      low[k] = ofiv[k] - (1.96 * deviation[k]) / Math.sqrt(T);
      high[k] = ofiv[k] + (1.96 * deviation[k]) / Math.sqrt(T);
    }
    const arrays: Record<string, [Typed, number[]]> = {
      class_finished: [class_finished, [C]],
      class_progress: [class_progress, [C]],
      class_best: [new Float32Array(C).fill(4.2), [C]],
      status: [status, [T]],
      steps: [new Uint32Array(T).fill(Math.round(50 * own)), [T]],
      objective: [objective, [T]],
      score: [objective, [T]],
      basin: [basin, [T]],
      trace_step: [trace_step, [T, P]],
      trace_objective: [trace_objective, [T, P]],
      fiv: [fiv, [T, K]],
      ofiv: [ofiv, [K]],
      ofiv_low: [low, [K]],
      ofiv_high: [high, [K]],
      deviation: [deviation, [K]],
      inconsistent: [Uint8Array.from(deviation, (d) => Number(own > 0.5 && d > 0.025 * this.o.scale)), [K]],
      sharing: [Uint16Array.from({ length: K }, (_, k) => (k * 13) % 38), [K]],
    };
    if (W) arrays["map"] = [this.#map(ofiv, own), [K, W]];
    if (selection.other !== null && selection.other !== undefined) {
      const other = this.ofiv.slice(selection.other * K, (selection.other + 1) * K).map((v) => v * this.o.scale);
      const half = 0.008 * this.o.scale;
      arrays["other_ofiv"] = [other, [K]];
      arrays["other_low"] = [other.map((v) => v - half), [K]];
      arrays["other_high"] = [other.map((v) => v + half), [K]];
    }
    if (selection.clade) arrays["clade_ofiv"] = [ofiv.map((_, k) => (this.o.scale * selection.clade!.reduce((sum, c) => sum + this.ofiv[c * K + k], 0)) / selection.clade!.length), [K]];
    if (selection.clade) {
      const favoured = (c: number) => Array.from({ length: K }, (_, k) => k).sort((a, b) => this.ofiv[c * K + b] - this.ofiv[c * K + a]).slice(0, 5);
      const counted = new Uint16Array(K);
      for (const k of selection.clade.flatMap(favoured)) counted[k]++;
      arrays["clade_sharing"] = [counted, [K]];
    }
    return encode(
      {
        ...this.#header("frame"),
        state, message: null, l2: this.l2, step_size: 0.1, n_restarts: T, rule: "fast", target: c, other: selection.other ?? null,
        restart: selection.restart ?? 0, rate: state === "running" ? 798 : 0, eta: state === "running" ? 28 * (1 - t) : null, elapsed: 30 * t,
        map_scale: 0.4 * this.o.scale, step: Math.round(400 * t),
        counts: { trials, waiting: Math.max(0, trials - converged - 64), running: state === "running" ? Math.min(64, trials - converged) : 0, converged, exhausted: 0, diverged: 0 },
        ...extra,
      },
      arrays,
    );
  }

  #map(ofiv: Float32Array, t: number): Uint8Array {
    const { channels: K, positions: W } = this.o;
    const out = new Uint8Array(K * W);
    for (let k = 0; k < K; k++) {
      const r = random(50 + k);
      const [f1, p1, p2] = [0.5 + 1.5 * r(), r() * 6, r() * 6];
      const noise = random(900 + k);
      for (let w = 0; w < W; w++) {
        const x = w / W;
        const shape = 0.6 + 0.8 * Math.cos(2 * Math.PI * f1 * (x - 0.5) + p1) * Math.exp(-8 * (x - 0.5) ** 2) + 0.3 * Math.sin(20 * x + p2);
        const value = (ofiv[k] / this.o.scale) * shape * t + (1 - t) * noise() * 0.5;
        out[k * W + w] = Math.max(1, Math.min(255, Math.round(128 + (127 * value) / 0.4)));
      }
    }
    return out;
  }

  tree(): Sent {
    const { classes: C, channels: K } = this.o;
    const positive = Array.from({ length: C }, (_, c) => {
      const row = this.ofiv.slice(c * K, (c + 1) * K).map((v) => Math.max(0, v));
      const mean = row.reduce((a, b) => a + b, 0) / K;
      const centred = row.map((v) => v - mean);
      const norm = Math.sqrt(centred.reduce((a, b) => a + b * b, 0)) || 1;
      return centred.map((v) => v / norm);
    });
    const similarity = new Float64Array(C * C);
    for (let a = 0; a < C; a++) {
      for (let b = a; b < C; b++) {
        let dot = 0;
        for (let k = 0; k < K; k++) dot += positive[a][k] * positive[b][k];
        similarity[a * C + b] = similarity[b * C + a] = dot;
      }
    }
    const { linkage, order } = average(similarity, C);
    const r = random(3);
    return encode(
      { ...this.#header("tree"), metric: "pearson_positive" },
      {
        linkage: [linkage, [C - 1, 4]],
        order: [order, [C]],
        support: [Float32Array.from({ length: C - 1 }, () => Math.min(1, 0.55 + 0.6 * r())), [C - 1]],
        similarity: [Uint8Array.from(similarity, (v) => Math.round(128 + 127 * v)), [C, C]],
      },
    );
  }

  pairs(target: number, ofiv: ArrayLike<number>): Sent {
    const M = Math.min(14, this.o.channels);
    const channels = Uint32Array.from(Array.from({ length: this.o.channels }, (_, k) => k).sort((a, b) => Math.abs(ofiv[b]) - Math.abs(ofiv[a])).slice(0, M));
    const r = random(target + 11);
    const nonlinearity = new Float32Array(M * M);
    for (let i = 0; i < M; i++) for (let j = 0; j < i; j++) nonlinearity[i * M + j] = nonlinearity[j * M + i] = (r() - 0.5) ** 3 * 1.2 * this.o.scale;
    for (let i = 0; i < M; i++) nonlinearity[i * M + i] = NaN;
    return encode({ ...this.#header("pairs"), target }, { channels: [channels, [M]], nonlinearity: [nonlinearity, [M, M]] });
  }

  pair(target: number, pair: [number, number], two = target % 3 !== 1): Sent {
    const B = two ? 2 : 1;
    const C = this.o.classes;
    const K = this.o.channels;
    const corners = Float32Array.from([-0.01, 0.4, 0.64, 0.85, -1.67, 1.14, 1.17, 1.57].slice(0, 4 * B), (v) => v * this.o.scale);
    return encode(
      {
        ...this.#header("pair"), target, pair, logic: "either channel alone turns the class on", confidence: 0.94, words: two ? "Two basins, two ways" : "Either is enough", agree: [60, 64],
        groups: [[pair[0], (pair[0] + 9) % K], [pair[1]]],
        tables: [
          { label: "either absence is enough", basin: two ? 1 : null, nonlinearity: -0.21 * this.o.scale, low: -0.23 * this.o.scale, high: -0.19 * this.o.scale },
          { label: "either is enough", basin: 2, nonlinearity: -2.41 * this.o.scale, low: -2.6 * this.o.scale, high: -2.3 * this.o.scale },
        ].slice(0, B),
      },
      {
        corners: [corners, [B, 2, 2]],
        corners_spread: [new Float32Array(4 * B).fill(0.04 * this.o.scale), [B, 2, 2]],
        levels: [Float32Array.from([0, -0.24, 0, -0.22, 0, 0.33, 0, 0.42].slice(0, 4 * B), (v) => v * this.o.scale), [B, 2, 2]],
        others: [Float32Array.from({ length: 2 * C }, (_, i) => this.o.scale * this.ofiv[(i >> 1) * K + pair[i & 1]]), [C, 2]],
      },
    );
  }
}

/** Average linkage by nearest-neighbour chains, as scipy writes it; the leaf order puts the larger side first. */
function average(similarity: Float64Array, n: number): { linkage: Float32Array; order: Uint32Array } {
  const d = similarity.map((s) => 1 - s);
  const alive = new Set(Array.from({ length: n }, (_, i) => i));
  const size = new Array<number>(n).fill(1);
  const merges: { a: number; b: number; h: number; size: number }[] = [];
  const chain: number[] = [];
  while (alive.size > 1) {
    if (!chain.length) chain.push(alive.values().next().value as number);
    for (;;) {
      const a = chain[chain.length - 1];
      let best = Infinity;
      let b = -1;
      for (const j of alive) if (j !== a && d[a * n + j] < best - 1e-12) [best, b] = [d[a * n + j], j];
      if (chain.length > 1 && d[a * n + chain[chain.length - 2]] <= best + 1e-12) {
        const c = chain[chain.length - 2];
        merges.push({ a, b: c, h: d[a * n + c], size: size[a] + size[c] });
        chain.length -= 2;
        for (const j of alive) {
          if (j === a || j === c) continue;
          d[c * n + j] = d[j * n + c] = (size[a] * d[a * n + j] + size[c] * d[c * n + j]) / (size[a] + size[c]);
        }
        size[c] += size[a];
        alive.delete(a);
        break;
      }
      chain.push(b);
    }
  }
  merges.sort((x, y) => x.h - y.h);
  const label = Array.from({ length: n }, (_, i) => i); // root of each slot -> cluster id
  const parent = Array.from({ length: n }, (_, i) => i);
  const find = (i: number): number => (parent[i] === i ? i : (parent[i] = find(parent[i])));
  const linkage = new Float32Array(4 * (n - 1));
  const members: number[][] = Array.from({ length: n }, (_, i) => [i]);
  merges.forEach((m, i) => {
    const [a, b] = [find(m.a), find(m.b)];
    linkage.set([label[a], label[b], Math.max(0, m.h), m.size], 4 * i);
    const [x, y] = [members[label[a]], members[label[b]]];
    members.push(x.length >= y.length ? [...x, ...y] : [...y, ...x]);
    parent[a] = b;
    label[b] = n + i;
  });
  return { linkage, order: Uint32Array.from(members[members.length - 1] ?? [0]) };
}

/** Several messages as one block of bytes, as `pack` of protocol.py writes it. */
export function pack(messages: readonly Sent[]): Uint8Array {
  const listing = new TextEncoder().encode(JSON.stringify(messages.map(({ header, buffers }) => ({ header, lengths: buffers.map((b) => b.byteLength) }))));
  const parts: Uint8Array[] = [new Uint8Array(Uint32Array.of(listing.length).buffer), listing];
  let size = 4 + listing.length;
  for (const buffer of messages.flatMap((m) => m.buffers)) {
    const gap = (8 - (size % 8)) % 8;
    parts.push(new Uint8Array(gap), new Uint8Array(buffer));
    size += gap + buffer.byteLength;
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
