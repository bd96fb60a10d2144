/** Pictures on canvas: bytes or values through a table of 256 colours, one assignment a pixel. */

import { floor, max, min, round } from "./numbers";

/** Gives a canvas `width` x `height` CSS pixels at the screen's resolution; true when that changed it. */
export function size(canvas: HTMLCanvasElement, width: number, height: number): boolean {
  const ratio = globalThis.devicePixelRatio || 1;
  const [w, h] = [max(1, round(width * ratio)), max(1, round(height * ratio))];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  if (canvas.width === w && canvas.height === h) return false;
  canvas.width = w;
  canvas.height = h;
  return true;
}

/**
 * For each pixel the first entry it shows: from `out[p]` up to, not including, `out[p + 1]`, and at least one.
 * @param edges where each entry starts, and where the last one ends
 */
export function entries(edges: ArrayLike<number>, pixels: number): Int32Array {
  const n = edges.length - 1;
  const scale = edges[n] / pixels;
  const out = new Int32Array(pixels + 1);
  let i = 0;
  for (let p = 0; p <= pixels; p++) {
    while (i < n - 1 && edges[i + 1] <= p * scale + 1e-9) i++;
    out[p] = i;
  }
  out[pixels] = n;
  return out;
}

/** Which entries stand along a side of a picture, and where each starts (and the last one ends). */
export interface Side {
  readonly order: ArrayLike<number>;
  readonly edges: ArrayLike<number>;
}

/** A square matrix of bytes as pixels: entries narrower than a pixel are averaged. Returned as bytes, (height, width). */
export function poolMatrix(matrix: Uint8Array, rows: Side, columnsAt: Side, width: number, height: number): Uint8Array {
  const n = rows.order.length;
  const size = Math.sqrt(matrix.length);
  const across = entries(columnsAt.edges, width);
  const down = entries(rows.edges, height);
  const columns = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    const row = rows.order[i] * size;
    for (let x = 0; x < width; x++) {
      const from = across[x];
      const to = max(from + 1, across[x + 1]);
      let sum = 0;
      for (let j = from; j < to; j++) sum += matrix[row + columnsAt.order[j]];
      columns[i * width + x] = sum / (to - from);
    }
  }
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = down[y];
    const to = max(from + 1, down[y + 1]);
    if (y > 0 && from === down[y - 1] && to === max(from + 1, down[y])) {
      out.copyWithin(y * width, (y - 1) * width, y * width);
      continue;
    }
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let i = from; i < to; i++) sum += columns[i * width + x];
      out[y * width + x] = round(sum / (to - from));
    }
  }
  return out;
}

/** Some rows of a matrix of bytes, (rows, columns) with `columns` at most `pixels`: wider ones are averaged. */
export function poolRows(matrix: Uint8Array, rows: readonly number[], width: number, pixels: number): { bytes: Uint8Array; columns: number } {
  const columns = max(1, min(width, pixels));
  const bytes = new Uint8Array(rows.length * columns);
  rows.forEach((row, i) => {
    const from = row * width;
    if (columns === width) {
      bytes.set(matrix.subarray(from, from + width), i * columns);
      return;
    }
    for (let x = 0; x < columns; x++) {
      const a = floor((x * width) / columns);
      const b = max(a + 1, floor(((x + 1) * width) / columns));
      let sum = 0;
      for (let w = a; w < b; w++) sum += matrix[from + w];
      bytes[i * columns + x] = round(sum / (b - a));
    }
  });
  return { bytes, columns };
}

/** Bytes (height, width) onto the whole canvas; where the canvas is larger, pixels become blocks. */
export function paint(canvas: HTMLCanvasElement, bytes: Uint8Array, width: number, height: number, lut: Uint32Array): void {
  const context = canvas.getContext("2d");
  if (!context || width === 0 || height === 0) return;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < bytes.length; i++) pixels[i] = lut[bytes[i]];
  if (canvas.width === width && canvas.height === height) {
    context.putImageData(image, 0, 0);
    return;
  }
  const sheet = scratch(width, height);
  sheet.getContext("2d")!.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false; // growing keeps the cells sharp; what must shrink is pooled before
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(sheet, 0, 0, canvas.width, canvas.height);
}

let sheet: HTMLCanvasElement | null = null;

/** One canvas behind the scenes, made as large as the picture at hand. */
function scratch(width: number, height: number): HTMLCanvasElement {
  sheet ??= document.createElement("canvas");
  if (sheet.width !== width || sheet.height !== height) {
    sheet.width = width;
    sheet.height = height;
  }
  return sheet;
}
