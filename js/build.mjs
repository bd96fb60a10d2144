// Bundles the view into dr_explorer/widget/static, as anywidget loads it: one ES module, one style sheet.
// With --dev it also bundles the page of dev/ into dev/dist; with --page it makes that page only, on the bundle that is there.

import { build } from "esbuild";
import { copyFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { minify } from "terser";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../dr_explorer/widget/static");
const LIMIT = 80_000; // bytes: the page gets the bundle through the kernel, on every reload

/** Properties that live inside the bundle only: neither the DOM nor a message has any of these names. */
const OURS = new RegExp(
  `^(${[
    "hoverRestart", "hoverChannel", "pairFrom", "unfolded", "byDifference", "holdRows", "ranking", "store", "names",
    "grown", "middle", "layout", "folded", "shown", "theme", "notice", "moving", "effect", "about", "branches",
    "value", // of signals; that of an input is written ["value"], which keeps its name
    "bars", "difference", "beside", "comparable", "disagree", "readers", "version", "seen", "refresh", "doubt", "held",
    "exponent", "strength", "choose", "clearInnermost", "canBack", "canForward", "settled", "inClade", "keep", "opened",
    "selection", "closed", "restore", "digits", "means",
    "node", "update", "parent", "anchor", "progress", "first", "nodes", "command", "active", "compare", "root", "link",
    "mark", "rows", "current", "place", "edges", "hover",
    "shortcut", "handOn", "focused", "glide", "fine", "lut", "back", "forward", "otherColumn", "otherRow", "above", "reveal", "depth",
  ].join("|")})$`,
);
const common = { bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning", charset: "utf8" };

if (!process.argv.includes("--page")) {
  await build({
    ...common,
    entryPoints: { index: join(here, "src/index.ts") },
    outdir: out,
    minify: true,
    mangleProps: OURS,
  });
  await build({ ...common, entryPoints: { index: join(here, "src/style.css") }, outdir: out, minify: true });
  // The script of a stand-alone page: the same view as a classic script, which a page from a file may hold within itself.
  await build({ ...common, format: "iife", entryPoints: { page: join(here, "src/page.ts") }, outdir: out, minify: true });

  // A second pass: what can be inlined or merged across statements, 3 % of the bundle.
  const script = join(out, "index.js");
  const again = await minify(await readFile(script, "utf8"), { module: true, ecma: 2020, compress: { passes: 4, unsafe_arrows: true, keep_fargs: false } });
  await writeFile(script, again.code);
}

const sizes = await Promise.all(["index.js", "index.css"].map(async (f) => [f, (await stat(join(out, f))).size]));
const [[, code]] = sizes;
console.log(sizes.map(([f, n]) => `${f} ${(n / 1000).toFixed(1)} kB`).join(", ") + `; limit of index.js ${LIMIT / 1000} kB`);
if (process.argv.includes("--dev") || process.argv.includes("--page")) {
  const dev = join(here, "dev/dist");
  await mkdir(dev, { recursive: true });
  await build({ ...common, entryPoints: [join(here, "dev/page.ts")], outdir: dev, external: ["./bundle.js"] });
  await copyFile(join(out, "index.css"), join(dev, "index.css"));
  await copyFile(join(out, "index.js"), join(dev, "bundle.js")); // what is looked at is what is shipped
  await copyFile(join(here, "dev/index.html"), join(dev, "index.html"));
}

if (code > LIMIT) {
  console.error(`index.js is ${code} bytes, the limit ${LIMIT}: leave something out before raising it.`);
  process.exit(1);
}
