"""How long a frame takes in the page: update and draw, then style and layout.

    python speed.py   # after `npm run dev`

Prints, for each size, the median and the 95th percentile over the frames of a live run, beside the target; and the
time from a click on a class to the repainted selection.
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from e2e import chromium
from e2e.dev_page import visit

DIST = Path(__file__).parent / "dist"
WATCH = """
window.frameTimes = []; window.layoutTimes = [];
const raf = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (f) => raf((t) => {
  const a = performance.now(); f(t); const b = performance.now();
  const root = document.querySelector('.dr-explorer');
  if (root) root.getBoundingClientRect();
  window.frameTimes.push(b - a); window.layoutTimes.push(performance.now() - a);
});
"""
SIZES = [(56, 64, 8.0), (919, 480, 20.0)]  # classes, channels, ms


def spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):5.1f} / {ordered[int(0.95 * (len(ordered) - 1))]:5.1f} ms"


def main() -> None:
    with chromium.launched(chromium.find() or sys.exit(chromium.MISSING)) as browser:
        print("classes x channels | draw, median / p95 | with layout | target | a click, median / p95")
        for classes, channels, target in SIZES:
            page = browser.new_page(viewport={"width": 1280, "height": 1100})
            page.add_init_script(WATCH)
            query = f"classes={classes}&channels={channels}&live=1&t=0.02&pace=0.006"
            visit(page, DIST, query)
            page.wait_for_selector(".dr-explorer[data-state=done]", timeout=60000)
            drawn = page.evaluate("() => [window.frameTimes, window.layoutTimes].map(all => all.filter(t => t > 0.3))")
            clicks = page.evaluate(
                """async () => {
                  const out = [];
                  for (let i = 0; i < 25; i++) {
                    const rows = [...document.querySelectorAll('.dre-class:not([data-branch]):not([data-folded])')];
                    const row = rows[(i * 7) % rows.length];
                    const a = performance.now();
                    row.dispatchEvent(new MouseEvent('click', {bubbles: true}));
                    document.querySelector('.dr-explorer').getBoundingClientRect();
                    await new Promise(r => requestAnimationFrame(() => setTimeout(r)));
                    out.push(performance.now() - a);
                    await new Promise(r => setTimeout(r, 60));
                  }
                  return out;
                }"""
            )
            drawing, with_layout = map(spread, drawn)
            print(f"{classes} x {channels:>4} | {drawing} | {with_layout} | {target} ms | {spread(clicks)}")
            page.close()


if __name__ == "__main__":
    main()
