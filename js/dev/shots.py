"""Pictures of the view against the made-up kernel, as small PNGs: `python shots.py OUT [NAME | NAME=QUERY@WIDTH ...]`.

The page is the one in dev/dist (`npm run dev` makes it); `--pages FOLDER` takes another build's.
`python shots.py OUT $(python shots.py --kept)` makes the pictures that are kept again.
"""

import argparse
import io
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from e2e import chromium
from e2e.dev_page import visit

DIST = Path(__file__).parent / "dist"
CLASS = 'select={"target":13}'
PAIR = 'select={"target":12,"pair":[57,8],"channel":57}'
BOTH = 'select={"target":13,"other":30,"pair":[57,8],"channel":57}'
KEPT = {
    "light": (f"{CLASS}&t=.75", 1280),
    "dark": (f"{CLASS}&t=.75&theme=dark", 1280),
    "starting": (f"{CLASS}&t=.08", 1280),
    "narrow": (f"{BOTH}&t=.75", 584),
    "many": ('classes=919&channels=480&select={"target":500}&t=.75', 1280),
    "pair": (f"{PAIR}&t=1", 1280),
    "difference": ('select={"target":13,"other":30}&t=1', 1280),
    "few": ("classes=4&channels=32&positions=48&t=1", 1280),
    "basins": (f"basins=7&restarts=20&scale=1e-5&t=1&{PAIR}", 1280),
}
OTHERS = {
    "both": (f"{BOTH}&t=.75", 1280),
    "medium": (f"{BOTH}&t=.75", 924),
    "tiny": ("t=.75", 504),
    "wide": (f"{BOTH}&t=1", 1700),
    "simple": ('classes=1&channels=16&positions=0&logos=0&motifs=0&t=1&select={"pair":[3,7],"channel":3}', 1480),
    "hostile": ("hostile=1&t=1", 1280),
    "crowd": ('basins=14&restarts=30&t=1&scale=4000&hostile=1&select={"target":1,"other":2,"pair":[57,8]}', 504),
    "keys": ("t=1", 1280),
}
SCALE = 1.5  # pixels a CSS pixel
COLOURS = 256  # of the palette: chosen to cover the rare ones too, which are the data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("shots", nargs="*")
    parser.add_argument("--pages", type=Path, default=DIST)
    parser.add_argument("--kept", action="store_true", help="print the names of the pictures in docs/pictures")
    given = parser.parse_args()
    if given.kept or given.out is None:
        print(*KEPT)
        return
    known = {**KEPT, **OTHERS}
    given.out.mkdir(parents=True, exist_ok=True)
    with chromium.launched(chromium.find() or sys.exit(chromium.MISSING)) as browser:
        for shot in given.shots or known:
            name, _, rest = shot.partition("=")
            query, width = known[name] if not rest else (rest.rpartition("@")[0], int(rest.rpartition("@")[2]))
            take(browser, given.pages, name, query, width).save(given.out / f"{name}.png", optimize=True)


def take(browser: object, pages: Path, name: str, query: str, width: int) -> Image.Image:
    page = browser.new_page(viewport={"width": width, "height": 900}, device_scale_factor=SCALE)
    page.on("console", lambda m: print(name, m.type, m.text[:200]) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: print(name, "error", str(e)[:200]))
    visit(page, pages, query)
    page.wait_for_selector(".dr-explorer[data-seq]")
    page.wait_for_timeout(500)  # glides have ended
    if name == "keys":
        page.keyboard.press("Tab")
        page.keyboard.press("?")
    taken = page.screenshot(full_page=True)
    page.close()
    return (
        Image.open(io.BytesIO(taken))
        .convert("RGB")
        .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    )


if __name__ == "__main__":
    main()
