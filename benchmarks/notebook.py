"""How the explorer feels in a real notebook: JupyterLab, its kernel and a headless Chromium, all on this machine.

    python benchmarks/notebook.py

prints each figure beside its target. Needs the test dependencies (`make test` installs them) and a Chromium.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e import chromium, measures
from e2e.lab import Lab, Notebook

RUN_FROM_PYTHON = "import time; print(time.time()); _ = explorer.run()"
CELLS = (measures.ENDLESS, measures.ASLEEP, measures.AT_WORK, RUN_FROM_PYTHON)


def figures(notebook: Notebook) -> dict[str, float]:
    """Every figure once, on one fresh kernel."""
    notebook.run(0)
    notebook.wait_for_state("idle")
    found = {"first frame after pressing Run, s": measures.first_frame(notebook)}
    for how, cell in (("asleep", 1), ("at work", 2)):
        frames = measures.frames_while_blocked(notebook, cell)
        found[f"frames a second under a cell {how}"] = frames.per_second
        found[f"longest wait for one, cell {how}, s"] = frames.longest_gap
    found["pause, s"] = measures.pause(notebook)
    notebook.press("Stop")
    notebook.wait_for_state("stopped")
    found["first frame after explorer.run(), s"] = measures.first_frame_from_python(notebook, 3)
    found["console errors"] = len(notebook.errors)
    return found


#: Figure -> what it must reach ("at most" or "at least").
TARGETS = {
    "first frame after pressing Run, s": ("at most", measures.FIRST_FRAME),
    "first frame after explorer.run(), s": ("at most", measures.FIRST_FRAME),
    "pause, s": ("at most", measures.PAUSE),
    "frames a second under a cell asleep": ("at least", 1),
    "frames a second under a cell at work": ("at least", 1),
    "console errors": ("at most", 0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3, help="fresh kernels to measure on (default 3)")
    repeats = parser.parse_args().repeats
    path = chromium.find()
    if path is None:
        sys.exit(chromium.MISSING)
    rounds = []
    with tempfile.TemporaryDirectory() as folder, chromium.launched(path) as browser, Lab(browser, Path(folder)) as lab:
        for _ in range(repeats):
            notebook = lab.open(*CELLS)
            rounds.append(figures(notebook))
            notebook.close()
    print(f"{'figure':40} {'median':>8} {'worst':>8}   target")
    missed = 0
    for name in rounds[0]:
        values = [found[name] for found in rounds]
        word, bound = TARGETS.get(name, ("", None))
        worst = min(values) if word == "at least" else max(values)
        median = statistics.median(values)
        reached = bound is None or (median >= bound if word == "at least" else median <= bound)
        missed += not reached
        target = "" if bound is None else f"{word} {bound:g}{'' if reached else '  MISSED'}"
        print(f"{name:40} {median:8.2f} {worst:8.2f}   {target}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
