"""Pictures of the view against the made-up kernel: `python shots.py OUT [NAME=QUERY@WIDTH ...]`."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SELECT = 'select={"target":13,"other":30,"pair":[57,8],"channel":57}'
STANDARD = [
    f"light={SELECT}&t=.75@1280",
    f"dark={SELECT}&t=.75&theme=dark@1280",
    "starting=t=.08&select={\"target\":13}@1280",
    f"narrow={SELECT}@584",
    "tiny=@504",
    f"medium={SELECT}&t=.75@924",
    "keys=@1280",
    "simple=classes=1&channels=16&positions=0&logos=0&motifs=0&t=1&select={\"pair\":[3,7],\"channel\":3}@1480",
    "many=classes=919&channels=480&select={\"target\":500,\"other\":20}@1280",
    "hostile=hostile=1&t=1@1280",
    'basins=basins=7&restarts=20&t=1&scale=1e-5&select={"target":13,"pair":[57,8],"channel":57}@1280',
    'crowd=basins=14&restarts=30&t=1&scale=4000&hostile=1&select={"target":1,"other":2,"pair":[57,8],"channel":57}@504',
]


def main(out: Path, shots: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for shot in shots:
            name, rest = shot.split("=", 1)
            query, width = rest.rsplit("@", 1)
            page = browser.new_page(viewport={"width": int(width), "height": 900}, device_scale_factor=1.5)
            page.on("console", lambda m: print(name, m.type, m.text[:200]) if m.type in ("error", "warning") else None)
            page.on("pageerror", lambda e: print(name, "error", str(e)[:200]))
            page.goto(f"http://127.0.0.1:8931/index.html?{query}")
            page.wait_for_selector(".dr-explorer", timeout=20000)
            page.wait_for_timeout(500)
            if name.startswith("keys"):
                page.keyboard.press("Tab")
                page.keyboard.press("?")
            page.screenshot(path=out / f"{name}.png", full_page=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    wanted = sys.argv[2:]
    known = {s.split("=", 1)[0]: s for s in STANDARD}
    main(Path(sys.argv[1]), [known.get(w, w) for w in wanted] or STANDARD)
