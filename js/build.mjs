// Bundles the view into dr_explorer/widget/static, as anywidget loads it: one ES module, one style sheet.
// With --dev it also bundles the pages of dev/ into dev/dist.

import { build } from "esbuild";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../dr_explorer/widget/static");
const LIMIT = 80_000; // bytes: the page gets the bundle through the kernel, on every reload

const common = { bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning" };

await build({
  ...common,
  entryPoints: { index: join(here, "src/index.ts") },
  outdir: out,
  minify: true,
});
await build({ ...common, entryPoints: { index: join(here, "src/style.css") }, outdir: out, minify: true });

const sizes = await Promise.all(["index.js", "index.css"].map(async (f) => [f, (await stat(join(out, f))).size]));
const total = sizes.reduce((sum, [, n]) => sum + n, 0);
console.log(sizes.map(([f, n]) => `${f} ${(n / 1000).toFixed(1)} kB`).join(", ") + `; limit ${LIMIT / 1000} kB together`);
if (total > LIMIT) {
  console.error(`The bundle is ${total} bytes, the limit ${LIMIT}: leave something out before raising it.`);
  process.exit(1);
}

if (process.argv.includes("--dev")) {
  const dev = join(here, "dev/dist");
  await mkdir(dev, { recursive: true });
  await build({ ...common, entryPoints: [join(here, "dev/page.ts")], outdir: dev, sourcemap: "inline" });
  const css = await readFile(join(out, "index.css"));
  await writeFile(join(dev, "index.css"), css);
  await writeFile(join(dev, "index.html"), await readFile(join(here, "dev/index.html")));
}
