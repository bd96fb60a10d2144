"""What a user feels of the explorer, measured in the page: the tests and benchmarks/notebook.py share these."""

from __future__ import annotations

from dataclasses import dataclass

from e2e.lab import Notebook

#: Cells that end with an explorer on an untrained network, whose run goes on until it is stopped.
ENDLESS = """
from collections import OrderedDict
import torch
from torch import nn
import dr_explorer as dr

torch.manual_seed(0)
model = nn.Sequential(OrderedDict(
    conv=nn.Conv1d(4, 32, 8), relu=nn.ReLU(), pool=nn.MaxPool1d(4), flatten=nn.Flatten(),
    dense=nn.Linear(32 * 48, 64), relu2=nn.ReLU(), out=nn.Linear(64, 4),
))
explorer = dr.Explorer(
    model, "pool", example_input=torch.zeros(1, 4, 200), n_restarts=20, rule="authors", patience=10**6, max_steps=10**6,
)
explorer"""

#: Targets, in seconds.
FIRST_FRAME = 2.0
PAUSE = 0.5
BLOCKED = 5.0

#: A cell that blocks the kernel, asleep (as a download does) or at work (as a loop in Python does), and says when.
BLOCKING = """
import time
start = time.time()
print(start)
{}
print(time.time())
"""
ASLEEP = BLOCKING.format(f"time.sleep({BLOCKED})")
AT_WORK = BLOCKING.format(f"while time.time() < start + {BLOCKED}: pass")


@dataclass(frozen=True)
class Frames:
    """The frames drawn while a cell blocked the kernel."""

    number: int
    per_second: float
    longest_gap: float  # s, the ends of the blocked time included


def first_frame(notebook: Notebook) -> float:
    """Seconds from the press of Run to the first frame of that run on the screen."""
    pressed = notebook.press("Run")
    return notebook.wait_for_change("run", pressed) - pressed


def first_frame_from_python(notebook: Notebook, cell: int) -> float:
    """The same for a cell that prints the time and calls ``explorer.run()``."""
    called = float(notebook.run(cell).split()[0])
    return notebook.wait_for_change("run", called) - called


def pause(notebook: Notebook) -> float:
    """Seconds from the press of Pause to the page showing a paused run."""
    pressed = notebook.press("Pause")
    notebook.wait_for_state("paused")
    return notebook.wait_for_change("state", pressed) - pressed


def frames_while_blocked(notebook: Notebook, cell: int) -> Frames:
    """Run a cell that blocks the kernel and says from when to when; the frames drawn in that time."""
    start, end = map(float, notebook.run(cell).split())
    drawn = [at for at, _ in notebook.changes("frames") if start < at < end]
    gaps = [later - earlier for earlier, later in zip([start, *drawn], [*drawn, end], strict=True)]
    return Frames(len(drawn), len(drawn) / (end - start), max(gaps))
