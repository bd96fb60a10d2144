/** Signals, with a short name for their `value` in the bundle, where it is read three hundred times. */

import { Computed, Signal } from "@preact/signals-core";
export { batch, computed, effect, signal } from "@preact/signals-core";
export type { ReadonlySignal, Signal } from "@preact/signals-core";

// The build renames our `value`, not the library's own definition of it, which is a string; without a build both are one.
for (const kind of [Signal.prototype, Computed.prototype]) {
  Object.defineProperty(kind, /* @__KEY__ */ "value", Object.getOwnPropertyDescriptor(kind, "value")!);
}
