"""Is the report small, quick to write and quick to use, at the size of DeepSEA (919 classes x 480 channels x 10)?

    python benchmarks/report.py [--picture docs/pictures/report.png --resolution result.nc]

The numbers are made up with the structure of real ones (classes in groups, some with two basins). The page is opened in
a headless Chromium with the network off; the first interaction is a click on a class, timed from the start of loading
until the importance panel shows that class. With --resolution and --picture it also takes a picture of a real report.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
from playwright.sync_api import Browser, sync_playwright

from dr_explorer import report
from dr_explorer.resolution import Resolution

CLASSES, CHANNELS, RESTARTS, GROUPS, POINTS = 919, 480, 10, 40, 64
TARGETS = {"size, MB": 15.0, "written in, s": 30.0, "first interaction, s": 2.0}
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--disable-background-timer-throttling --disable-backgrounding-occluded-windows --disable-renderer-backgrounding"
)
READY = "window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle"


def made(seed: int = 0) -> Resolution:
    """DeepSEA's shape: classes in groups, a third of them with a second basin, curves that approach their end."""
    rng = np.random.default_rng(seed)
    groups = np.where(rng.random((GROUPS, CHANNELS)) < 0.1, rng.normal(size=(GROUPS, CHANNELS)), 0)
    own = groups[rng.integers(GROUPS, size=CLASSES)] + 0.05 * rng.normal(size=(CLASSES, CHANNELS))
    fiv = own[:, None] + 0.01 * rng.normal(size=(CLASSES, RESTARTS, CHANNELS))
    second = (rng.random((CLASSES, 1)) < 1 / 3) & (rng.random((CLASSES, RESTARTS)) < 0.3)
    fiv += second[..., None] * 0.5 * np.sign(own)[:, None] * (rng.random((CLASSES, 1, CHANNELS)) < 0.2)
    score = rng.normal(8, 1, size=(CLASSES, 1)) - second + 0.01 * rng.normal(size=(CLASSES, RESTARTS))
    steps = np.arange(1, POINTS + 1)
    trace = score[..., None] - 9 * np.exp(-steps / rng.uniform(2, 8, size=(CLASSES, RESTARTS, 1)))
    trace[steps[None, None] > rng.integers(20, POINTS, size=(CLASSES, RESTARTS, 1))] = np.nan
    trial = ("target", "restart")
    data = {
        "fiv": ((*trial, "channel"), fiv.astype(np.float32)),
        "score": (trial, score.astype(np.float32)),
        "objective": (trial, (score - 3).astype(np.float32)),
        "status": (trial, np.full(score.shape, 2, np.uint8)),
        "steps": (trial, np.full(score.shape, POINTS)),
        "trace_step": (("point",), steps),
        "trace_objective": ((*trial, "point"), trace.astype(np.float32)),
    }
    names = np.array([f"cell line {i % 91} | factor {i // 7} | none" for i in range(CLASSES)], dtype=object)
    coords = {"target": names, "restart": np.arange(RESTARTS), "channel": np.arange(CHANNELS)}
    return Resolution(
        xr.Dataset(data, coords, attrs={"layer": "conv3", "rule": "fast", "l2": 0.01, "random_state": "0"})
    )


def first_interaction(browser: Browser, path: Path) -> tuple[float, list[str]]:
    """Seconds from the start of loading until a click on another class shows it, and what the page complained of."""
    context = browser.new_context(viewport={"width": 1320, "height": 1000}, offline=True)
    tab, complaints = context.new_page(), []
    tab.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: request.url.startswith("http") and complaints.append(f"asks for {request.url}"))
    start = time.perf_counter()
    tab.goto(path.as_uri())
    tab.wait_for_function(READY)
    before = tab.text_content("#dr-class")
    box = tab.locator("main section").first.bounding_box()
    tab.mouse.click(box["x"] + 380, box["y"] + 500)
    tab.wait_for_function("name => document.getElementById('dr-class').textContent !== name", arg=before)
    seconds = time.perf_counter() - start
    context.close()
    return seconds, complaints


def picture(browser: Browser, resolution: Resolution, path: Path, folder: Path) -> None:
    report.write(resolution, folder / "picture.html")
    tab = browser.new_page(viewport={"width": 1304, "height": 1000}, device_scale_factor=1.5)
    tab.goto((folder / "picture.html").as_uri())
    tab.wait_for_function(READY)
    tab.evaluate(
        "() => { const s = Bokeh.documents[0].get_model_by_name('state'), {order} = s.tags[0].args.data;"
        " s.data = {...s.data, other: [order[order.length - 4]]} }"
    )
    tab.wait_for_timeout(500)  # the last paint has no event of its own
    tab.screenshot(path=path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=Path, help="a saved result to take a picture of")
    parser.add_argument("--picture", type=Path, help="where to")
    parser.add_argument("--repeat", type=int, default=5, help="times the page is opened; the median counts")
    options = parser.parse_args()

    resolution = made()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        start = time.perf_counter()
        report.write(resolution, path)
        figures = {"size, MB": 0.0, "written in, s": time.perf_counter() - start}
        figures["size, MB"] = path.stat().st_size / 1e6
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        opened = [first_interaction(browser, path) for _ in range(options.repeat)]
        figures["first interaction, s"] = float(np.median([seconds for seconds, _ in opened]))
        if options.picture and options.resolution:
            picture(browser, Resolution.load(options.resolution), options.picture, Path(folder))
        browser.close()

    print(f"{CLASSES} classes x {CHANNELS} channels x {RESTARTS} restarts")
    print(f"{'':24s}{'measured':>10s}{'at most':>10s}{'ratio':>8s}")
    for name, value in figures.items():
        print(f"{name:24s}{value:10.2f}{TARGETS[name]:10.1f}{value / TARGETS[name]:8.2f}")
    complaints = sorted({line for _, lines in opened for line in lines})
    print(f"console errors and warnings, requests: {len(complaints)}", *complaints[:5], sep="\n  ")
    if complaints or any(value > TARGETS[name] for name, value in figures.items()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
