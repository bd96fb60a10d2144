/** The development page. Options in the address: classes, channels, positions, restarts, t, state, theme, width, select (JSON), live. */

import { NOTHING } from "../src/protocol";
import { MockKernel, MockModel } from "./kernel";
import { World } from "./world";

// @ts-expect-error: made by the build
const { default: entry } = (await import("./bundle.js")) as typeof import("../src/index");

const q = new URLSearchParams(location.search);
const number = (name: string, fallback: number) => Number(q.get(name) ?? fallback);
document.body.dataset["jpThemeLight"] = q.get("theme") === "dark" ? "false" : "true";
document.body.dataset["jpThemeName"] = "x";

const el = document.getElementById("view")!;
if (q.has("width")) el.style.width = `${q.get("width")}px`;

const HOSTILE = ["<img src=x onerror=\"document.title='owned'\">", "x".repeat(300), "\u05d0\u05d1\u05d2 \u05d3\u05d4\u05d5 (RTL)", "\ud83e\uddec\ud83d\ude80 emoji", "twin", "twin", "", "a\u202Eb\u202C flip", "&lt;b&gt;bold&lt;/b&gt;"];
const names = q.has("hostile") ? HOSTILE : undefined;
const world = new World({
  classes: names?.length ?? number("classes", 56),
  channels: number("channels", 64),
  positions: number("positions", 800),
  restarts: number("restarts", 10),
  basins: number("basins", 2),
  scale: number("scale", 1),
  logos: q.get("logos") !== "0",
  motifs: q.get("motifs") !== "0",
  ...(names ? { names } : {}),
});
const model = new MockModel();
if (q.has("select")) model.traits["selection"] = { ...NOTHING, ...JSON.parse(q.get("select")!) };
const kernel = new MockKernel(model, world);
kernel.t = number("t", 0.75);
kernel.state = q.get("state") ?? (kernel.t >= 1 ? "done" : "running");
if (q.has("dead")) model.onSend = () => {};
if (q.has("idle")) model.onSend = ({ type }) => type === "hello" && model.deliver({ header: { v: 1, type: "frame", run: 0, seq: 1, state: "idle", message: null, elapsed: 0, rate: 0, arrays: [] }, buffers: [] });

const held = entry();
const end = held.initialize({ model });
held.render({ model, el });
if (q.has("live")) {
  kernel.pace = number("pace", 0.004);
  setInterval(() => kernel.beat(), 33);
}
Object.assign(window, { kernel, model, world, held, end, entry });
