/** The wire, as the page sees it: mirrors dr_explorer/widget/protocol.py, which says what each field means. */

export const VERSION = 1;

export type State = "idle" | "running" | "paused" | "stopped" | "done" | "failed";

/** States of one trial, as in `status`. The order is part of the wire. */
export const WAITING = 0;
export const RUNNING = 1;
export const CONVERGED = 2;
export const EXHAUSTED = 3;
export const DIVERGED = 4;
export const STOPPED = 5;

export interface Layer {
  name: string;
  type: string;
  shape: number[];
  cut: "clean" | "shared" | "no";
  suggested: boolean;
}

interface Common {
  run: number;
  seq: number;
}

export interface Meta extends Common {
  type: "meta";
  model: string;
  device: string;
  layer: string;
  layers: Layer[];
  targets: string[];
  channels: number;
  positions: number;
  segments: { name: string; start: number; stop: number }[];
  l2_range: [number, number] | null;
  rule: string;
  fixed: boolean;
  /** One a channel: the nearest known motif, or null. */
  motifs?: ({ name: string; p: number } | null)[];
  logos?: Float32Array;
}

export interface Frame extends Common {
  type: "frame";
  state: State;
  message: string | null;
  l2: number | null;
  step_size: number | null;
  n_restarts: number;
  rule: string;
  target: number;
  other: number | null;
  restart: number;
  rate: number;
  eta: number | null;
  elapsed: number;
  map_scale: number;
  step: number;
  counts: Record<"trials" | "waiting" | "running" | "converged" | "exhausted" | "diverged", number>;
  class_finished: Uint16Array;
  class_progress: Float32Array;
  class_best: Float32Array;
  status: Uint8Array;
  steps: Uint32Array;
  objective: Float32Array;
  score: Float32Array;
  basin: Uint8Array;
  trace_step: Float32Array;
  trace_objective: Float32Array;
  fiv: Float32Array;
  ofiv: Float32Array;
  ofiv_low: Float32Array;
  ofiv_high: Float32Array;
  deviation: Float32Array;
  inconsistent: Uint8Array;
  sharing: Uint16Array;
  map?: Uint8Array;
  other_ofiv?: Float32Array;
  other_low?: Float32Array;
  other_high?: Float32Array;
  clade_sharing?: Uint16Array;
  clade_ofiv?: Float32Array;
}

export interface Tree extends Common {
  type: "tree";
  metric: string;
  linkage: Float32Array;
  order: Uint32Array;
  support: Float32Array;
  similarity: Uint8Array;
}

export interface Pairs extends Common {
  type: "pairs";
  target: number;
  message?: string | null;
  channels: Uint32Array;
  nonlinearity: Float32Array;
}

export interface PairTable {
  label: string;
  basin: number | null;
  nonlinearity: number | null;
  low: number | null;
  high: number | null;
}

export interface Pair extends Common {
  type: "pair";
  target: number;
  pair: [number, number];
  logic: string;
  confidence: number | null;
  words: string;
  agree: [number, number];
  groups: [number[], number[]];
  tables: PairTable[];
  corners: Float32Array;
  corners_spread: Float32Array;
  levels?: Float32Array;
  others?: Float32Array;
}

export interface Reply extends Common {
  type: "reply";
  id: number;
  ok: boolean;
  error: string | null;
}

export type Message = Meta | Frame | Tree | Pairs | Pair | Reply;

type Dtype = "float32" | "uint8" | "uint16" | "uint32";
type Typed = Float32Array | Uint8Array | Uint16Array | Uint32Array;

const TYPED = { float32: Float32Array, uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array } as const;

/** Arrays of each message, by their type; `?` marks one that may be missing. */
const ARRAYS: Record<string, Partial<Record<Dtype, string>>> = {
  meta: { float32: "logos?" },
  frame: {
    float32:
      "class_progress class_best objective score trace_step trace_objective fiv ofiv ofiv_low ofiv_high deviation other_ofiv? other_low? other_high? clade_ofiv?",
    uint8: "status basin inconsistent map?",
    uint16: "class_finished sharing clade_sharing?",
    uint32: "steps",
  },
  tree: { float32: "linkage support", uint8: "similarity", uint32: "order" },
  pairs: { float32: "nonlinearity", uint32: "channels" },
  pair: { float32: "corners corners_spread levels? others?" },
  reply: {},
};

/** What a frame without arrays leaves open: nothing has run yet. */
const NOT_YET = {
  l2: NaN, step_size: NaN, n_restarts: NaN, rule: "", target: 0, other: null, restart: 0, eta: null, map_scale: 0, step: 0,
  counts: { trials: 0, waiting: 0, running: 0, converged: 0, exhausted: 0, diverged: 0 },
};

interface ArraySpec {
  name: string;
  dtype: string;
  shape: number[];
}

export type Header = { v: number; type: string; arrays?: ArraySpec[] } & Record<string, unknown>;
export type Bytes = ArrayBuffer | ArrayBufferView;

function view(buffer: Bytes, spec: ArraySpec): Typed {
  const Type = TYPED[spec.dtype as Dtype];
  if (!Type) throw new Error(`array ${spec.name}: expected one of ${Object.keys(TYPED).join(", ")}, got ${spec.dtype}`);
  const length = spec.shape.reduce((a, b) => a * b, 1);
  const [data, start, size] = ArrayBuffer.isView(buffer)
    ? [buffer.buffer, buffer.byteOffset, buffer.byteLength]
    : [buffer, 0, buffer.byteLength];
  if (size !== length * Type.BYTES_PER_ELEMENT) {
    throw new Error(`array ${spec.name}: expected ${length} ${spec.dtype} values, got ${size} bytes`);
  }
  // A typed array must start at a multiple of its element; a comm's buffers start anywhere.
  if (start % Type.BYTES_PER_ELEMENT === 0) return new Type(data as ArrayBuffer, start, length);
  return new Type((data as ArrayBuffer).slice(start, start + size));
}

/** The message in a header and its buffers: the header's fields and the arrays by name, in one object. */
export function decode(header: Header, buffers: readonly Bytes[]): Message {
  if (header.v !== VERSION) {
    throw new Error(`expected protocol version ${VERSION}, got ${String(header.v)}: reload the page`);
  }
  const named = ARRAYS[header.type];
  if (!named) throw new Error(`unknown message type ${JSON.stringify(header.type)}: reload the page`);
  const table = new Map(Object.entries(named).flatMap(([dtype, names]) => names.split(" ").map((name) => [name, dtype as Dtype])));
  const { v: _v, arrays = [], ...fields } = header;
  const message: Record<string, unknown> = fields;
  if (arrays.length !== buffers.length) {
    throw new Error(`${header.type}: expected ${arrays.length} buffers, got ${buffers.length}`);
  }
  arrays.forEach((spec, i) => {
    const dtype = table.get(spec.name) ?? table.get(`${spec.name}?`);
    if (dtype && dtype !== spec.dtype) throw new Error(`array ${spec.name}: expected ${dtype}, got ${spec.dtype}`);
    message[spec.name] = view(buffers[i], spec);
  });
  const bare = header.type === "frame" && arrays.length === 0;
  if (bare) for (const [name, value] of Object.entries(NOT_YET)) message[name] ??= value;
  for (const [name, dtype] of table) {
    if (name.endsWith("?") || name in message) continue;
    if (!bare) throw new Error(`${header.type}: array ${name} is missing`);
    message[name] = new TYPED[dtype](0);
  }
  return message as unknown as Message;
}

/** The messages in a block that `pack` of protocol.py wrote. */
export function unpack(block: Bytes): Message[] {
  const [data, start, size] = ArrayBuffer.isView(block)
    ? [block.buffer as ArrayBuffer, block.byteOffset, block.byteLength]
    : [block as ArrayBuffer, 0, block.byteLength];
  if (size < 4) return [];
  const length = new DataView(data, start, 4).getUint32(0, true);
  const listing: { header: Header; lengths: number[] }[] = JSON.parse(
    new TextDecoder().decode(new Uint8Array(data, start + 4, length)),
  );
  let at = 4 + length;
  return listing.map(({ header, lengths }) => {
    const buffers = lengths.map((n) => {
      at += (8 - (at % 8)) % 8;
      const buffer = new Uint8Array(data, start + at, n);
      at += n;
      return buffer;
    });
    return decode(header, buffers);
  });
}

/** Feature-map values by byte: `(byte - 128) / 127`, times the frame's `map_scale`. */
export const fromByte = (byte: number): number => (byte - 128) / 127;

/** How many restarts of the class have an end that counts. */
export const ended = ({ status }: Frame): number => status.filter((v) => v >= CONVERGED && v !== DIVERGED).length;

export interface Selection {
  target: number | null;
  other: number | null;
  channel: number | null;
  pair: [number, number] | null;
  clade: number[] | null;
  restart: number | null;
}

export const NOTHING: Selection = { target: null, other: null, channel: null, pair: null, clade: null, restart: null };
