/** Reads the block of a stand-alone page: mirrors dr_explorer/widget/columns.py, which says how it is laid out. */

import type { Message, Selection } from "./protocol";

const TYPED = { float32: Float32Array, uint32: Uint32Array, uint16: Uint16Array, int16: Int16Array, uint8: Uint8Array } as const;
const NOTHING = -32768; // the int16 that stands for NaN

interface Column {
  name: string;
  stored: keyof typeof TYPED;
  of: number[];
  lengths: number[];
  units?: number[];
  row?: number;
}

export interface Saved {
  messages: Message[];
  selection: Partial<Selection>;
}

/** The block's bytes from the text of the page: base64, gzipped. */
export async function inflate(text: string): Promise<ArrayBuffer> {
  const packed = atob(text.trim());
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** The messages, and what was selected. */
export function read(block: ArrayBuffer): Saved {
  const length = new DataView(block).getUint32(0, true);
  const { selection, headers, columns }: { selection: Partial<Selection>; headers: Record<string, unknown>[]; columns: Column[] } = JSON.parse(
    new TextDecoder().decode(new Uint8Array(block, 4, length)),
  );
  let at = 4 + length;
  for (const column of columns) {
    const { name, stored, of, lengths, units, row = 0 } = column;
    const n = lengths.reduce((a, b) => a + b, 0);
    const Type = TYPED[stored];
    const size = Type.BYTES_PER_ELEMENT;
    const bytes = new Uint8Array(n * size);
    for (let plane = 0; plane < size; plane++) {
      const from = new Uint8Array(block, at + plane * n, n);
      for (let i = 0; i < n; i++) bytes[i * size + plane] = from[i];
    }
    at += n * size;
    const values = new Type(bytes.buffer);
    let start = 0;
    const arrays = lengths.map((many, i) => {
      const part = values.subarray(start, (start += many));
      // Even numbers are positive, odd ones negative; what int16 cannot hold wraps, as it did when it was written.
      if (row) for (let k = 0; k < many; k++) part[k] = (((part[k] & 0xffff) >>> 1) ^ -(part[k] & 1)) + (k < row ? 0 : part[k - row]);
      return units ? Float32Array.from(part, (v) => (v === NOTHING ? NaN : v * units[i])) : part;
    });
    of.forEach((message, i) => (headers[message][name] = arrays[lengths.length === 1 ? 0 : i]));
  }
  return { messages: headers as unknown as Message[], selection };
}
