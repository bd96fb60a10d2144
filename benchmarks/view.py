"""Does the view keep up, and what does it cost? In a headless Chromium while the ascent saturates both cores.

    python benchmarks/view.py                # frames, clicks, first paint, cost to the ascent: about four minutes
    python benchmarks/view.py --minutes 10   # memory of page and kernel over a run of ten minutes

Two sizes, each a real explorer with a real ascent that never ends, on a network made up for the purpose: 56 classes
over 64 channels x 99 positions, and 919 classes over 480 channels x 60 positions. Each figure is printed beside its
target.

* frames: drawn in the page, counted over some seconds.
* click: from the press on a class to the next paint, as the browser's own Event Timing has it; then, without a target,
  to the class's own numbers.
* cost: trial-steps a second with somebody looking against the same run with nobody, in turn. Whoever looks only
  acknowledges, within the process; beside it, what a notebook adds: a kernel that sends to a Python client, and a
  Chromium that draws, all on the same two cores.

Needs the test dependencies and a Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e import chromium
from e2e.lab import Lab, Notebook

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"56 classes x 64 channels": (56, 64, 99), "919 classes x 480 channels": (919, 480, 60)}
EXPLORER = """
import time
import torch
import dr_explorer as dr
classes, channels, positions = {size}
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv1d(4, channels, 9), torch.nn.ReLU(), torch.nn.AvgPool1d(3), torch.nn.Flatten(),
    torch.nn.Linear(channels * (positions // 3), 32), torch.nn.ReLU(), torch.nn.Linear(32, classes),
)
explorer = dr.Explorer(
    model, "1", example_input=torch.zeros(1, 4, positions + 8), target_names=[f"class {{i}}" for i in range(classes)],
    l2=0.01, n_restarts=10, rule="authors", patience=10**9, max_steps=10**9,
)
"""
SHOWN = "\nprint(time.time())\nexplorer"
#: What the run has done, and when: evaluations of all trials together.
DONE = "print(time.time(), explorer._session.post('call', function=lambda run: int(run.trials.steps.sum())).result())"
#: Nobody looks, whatever a page says; or somebody does again.
HIDE = """
session, outlet = explorer._session, explorer._session.outlet
shown, outlet._context, outlet.heard = outlet._context, None, lambda: None
"""
SHOW = "del outlet.heard; outlet._context = shown; _ = session.post('hello')"

WARM_UP = 4.0  # s from the press of Run until figures are taken
COUNTED = 10.0  # s in which frames are counted
CLICKS = 30
PHASES, PHASE = 6, 3.0  # times the throughput is taken with and without a page, s each
SAMPLES = 50  # of the kernel's memory, a tenth of a second apart
SETTLED = 60.0  # s until a run's memory has found its size
TARGETS = {
    "frames": ("frames a second", "at least", 15.0),
    "click": ("click to repaint, median, ms", "at most", 100.0),
    "click p95": ("click to repaint, 95th percentile, ms", "at most", 250.0),
    "data": ("click to the class's numbers, median, ms", None, None),
    "first paint": ("first paint after the cell, s", "at most", 0.5),
    "cost": ("making and sending frames, % of the ascent", "at most", 5.0),
    "sent": ("frames a second sent meanwhile", None, None),
    "kernel cost": ("through a kernel to a Python client, % of the ascent", None, None),
    "kernel sent": ("frames a second sent meanwhile", None, None),
    "chromium": ("with Chromium on the same cores, % of the ascent", None, None),
    "bundle": ("bundle, kB", "at most", 80.0),
    "errors": ("console errors", "at most", 0.0),
    "page": ("growth of the page's heap, %", "at most", 5.0),
    "kernel": ("growth of the kernel's memory, %", "at most", 5.0),
}

WATCH_CLICKS = """() => {
  window.clicks = [];
  new PerformanceObserver(list => window.clicks.push(...list.getEntries().filter(e => e.name === 'click')))
    .observe({type: 'event', durationThreshold: 16});
}"""
#: The middle of a class that is on screen and not selected; the n-th of them, round about.
PLACE = """n => {
  const rows = [...document.querySelectorAll('.dre-class:not([data-branch]):not([data-mark=target])')]
    .map(row => row.getBoundingClientRect()).filter(b => b.height > 4 && b.top > 60 && b.bottom < innerHeight);
  const box = rows[(n * 7) % rows.length];
  return [box.left + box.width / 3, box.top + box.height / 2];
}"""
#: Called before the press: ms from the press to the moment the panels no longer show the class before.
UNTIL_OWN_NUMBERS = """() => {
  window.own = new Promise(done => addEventListener('pointerdown', () => {
    const began = performance.now();
    const look = () => document.querySelector('[data-panel=importance]').hasAttribute('data-stale')
      || performance.now() - began < 1 ? requestAnimationFrame(look) : done(performance.now() - began);
    addEventListener('click', () => requestAnimationFrame(look), {once: true, capture: true});
  }, {once: true, capture: true}));
}"""


def report(figures: dict[str, float]) -> int:
    """Print each figure beside its target; how many miss theirs."""
    missed = 0
    for name, value in figures.items():
        what, word, bound = TARGETS[name]
        reached = bound is None or (value >= bound if word == "at least" else value <= bound)
        missed += not reached
        target = "" if bound is None else f"{word} {bound:g}{'' if reached else '  MISSED'}"
        print(f"  {what:50} {value:9.2f}   {target}")
    return missed


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# -- in a browser ------------------------------------------------------------------------------------------------------


def opened(lab: Lab, size: tuple[int, int, int]) -> tuple[Notebook, float]:
    """A notebook whose explorer runs, and how long its first paint took after its cell."""
    notebook = lab.open(
        "import torch, dr_explorer.widget.explorer", EXPLORER.format(size=size) + SHOWN, DONE, HIDE, SHOW
    )
    notebook.run(0)  # what a notebook has imported by then anyway
    ended = float(notebook.run(1).split()[0])
    painted = notebook.wait_for_change("state", 0) - ended
    notebook.press("Run")
    notebook.wait_for_state("running")
    return notebook, painted


def frames_a_second(notebook: Notebook) -> float:
    began = notebook.page.evaluate("() => Date.now() / 1000")
    notebook.page.wait_for_timeout(1000 * COUNTED)
    drawn = [at for at, _ in notebook.changes("frames") if began < at < began + COUNTED]
    return len(drawn) / COUNTED


def clicks(notebook: Notebook) -> tuple[list[float], list[float]]:
    """ms from each press on a class to the next paint, and to the class's own numbers."""
    page = notebook.page
    page.evaluate(WATCH_CLICKS)
    own = []
    for n in range(CLICKS):
        page.evaluate(UNTIL_OWN_NUMBERS)
        page.mouse.click(*page.evaluate(PLACE, n))
        own.append(page.evaluate("() => window.own"))
    page.wait_for_function("n => window.clicks.length >= n", arg=CLICKS // 2)
    painted = page.evaluate("() => window.clicks.map(entry => entry.duration)")
    # Those that were painted within a frame are not listed.
    return painted + [16.0] * (CLICKS - len(painted)), own


def throughput(notebook: Notebook, seconds: float) -> float:
    """Trial-steps a second."""
    before = notebook.run(2).split()
    notebook.page.wait_for_timeout(1000 * seconds)
    after = notebook.run(2).split()
    return (int(after[1]) - int(before[1])) / (float(after[0]) - float(before[0]))


def in_browser(lab: Lab, size: tuple[int, int, int]) -> dict[str, float]:
    notebook, painted = opened(lab, size)
    notebook.page.wait_for_timeout(1000 * WARM_UP)
    found = {"first paint": painted, "frames": frames_a_second(notebook)}
    repaint, own = clicks(notebook)
    found |= {"click": statistics.median(repaint), "click p95": quantile(repaint, 0.95), "data": statistics.median(own)}
    ratios = []
    for _ in range(PHASES // 2):
        watched = throughput(notebook, PHASE)
        notebook.run(3)
        ratios.append(watched / throughput(notebook, PHASE))
        notebook.run(4)
    found |= {"chromium": 100 * (1 - statistics.median(ratios)), "errors": len(notebook.errors)}
    notebook.close()
    return found


# -- without a browser -------------------------------------------------------------------------------------------------


class Consumer:
    """A kernel and a page that is none: greets the explorer and acknowledges whatever it sends."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.sent = 0
        self._printed: dict[str, str] = {}
        self._idle: dict[str, threading.Event] = {}
        self._comm: str | None = None
        self._open = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.run(EXPLORER.format(size=size))
        self._say("hello")
        self.run("explorer.run()\n" + DONE)

    def _listen(self) -> None:
        import queue

        while self._open:
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            parent = message["parent_header"].get("msg_id", "")
            if kind == "comm_open" and "_esm" in content["data"].get("state", {}):
                self._comm = content["comm_id"]
            elif kind == "comm_msg" and content["data"].get("method") == "custom":
                self.sent += content["data"]["content"]["type"] == "frame"
                self._say("ack", seq=content["data"]["content"]["seq"])
            elif kind == "stream":
                self._printed[parent] = self._printed.get(parent, "") + content["text"]
            elif kind == "error":
                print("\n".join(content["traceback"]), file=sys.stderr)
            elif kind == "status" and content["execution_state"] == "idle" and parent in self._idle:
                self._idle[parent].set()

    def _say(self, kind: str, **fields: Any) -> None:
        content = {"v": 1, "type": kind, "page": "benchmark", **fields}
        data = {"comm_id": self._comm, "data": {"method": "custom", "content": content}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", data))

    def run(self, code: str) -> str:
        """Execute a cell; what it printed."""
        message = self.client.session.msg("execute_request", {"code": code, "silent": False, "store_history": False})
        done = self._idle[message["header"]["msg_id"]] = threading.Event()
        self.client.shell_channel.send(message)
        if not done.wait(120):
            raise RuntimeError(f"the kernel did not finish {code[:60]!r}")
        return self._printed.get(message["header"]["msg_id"], "")

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class InProcess:
    """The same without a kernel: what remains is the making of frames, their bytes, and the queue."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        self.names: dict[str, Any] = {}
        exec(EXPLORER.format(size=size), self.names)
        self.session = self.names["explorer"]._session
        self.sent = 0
        self.session.outlet.deliver = self._acknowledge
        self.session.outlet.heard()
        self.session.post("hello")
        self.names["explorer"].run()

    def _acknowledge(self, header: dict[str, Any], buffers: list[bytes]) -> bool:
        self.sent += header["type"] == "frame"
        self.session.post("ack", seq=header["seq"])
        return True

    def run(self, code: str) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self.names)
        return printed.getvalue()

    def close(self) -> None:
        self.names["explorer"].close()


def throughput_and_frames(somebody: Consumer | InProcess) -> tuple[float, float]:
    """Trial-steps and frames a second, over one phase."""
    before, frames = somebody.run(DONE).split(), somebody.sent
    time.sleep(PHASE)
    after = somebody.run(DONE).split()
    seconds = float(after[0]) - float(before[0])
    return (int(after[1]) - int(before[1])) / seconds, (somebody.sent - frames) / seconds


def cost(somebody: Consumer | InProcess) -> tuple[float, float]:
    """What looking takes of the ascent's throughput, %, and the frames a second: phases with and without, in turn."""
    try:
        time.sleep(WARM_UP)
        ratios, frames = [], []
        for _ in range(PHASES):
            watched, sent = throughput_and_frames(somebody)
            somebody.run(HIDE)
            alone, _ = throughput_and_frames(somebody)
            somebody.run(SHOW)
            ratios.append(watched / alone)
            frames.append(sent)
    finally:
        somebody.close()
    return 100 * (1 - statistics.median(ratios)), statistics.median(frames)


# -- memory ------------------------------------------------------------------------------------------------------------


def memory(lab: Lab, size: tuple[int, int, int], minutes: float) -> dict[str, float]:
    """How much page and kernel grow over a run, after its first minute; a class is chosen now and then."""
    notebook, _ = opened(lab, size)
    page = notebook.page
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable")
    (kernel,) = [p for p in lab.process.children(recursive=True) if "ipykernel_launcher" in " ".join(p.cmdline())]

    def now() -> tuple[float, float, float]:
        for _ in range(3):  # what one collection frees may hold more
            tools.send("HeapProfiler.collectGarbage")
        values = {m["name"]: m["value"] for m in tools.send("Performance.getMetrics")["metrics"]}
        # What a step holds for a moment comes and goes with every step: the middle of a few seconds.
        resident = []
        for _ in range(SAMPLES):
            resident.append(psutil.Process(kernel.pid).memory_info().rss / 1e6)
            page.wait_for_timeout(100)
        return values["JSHeapUsedSize"] / 1e6, statistics.median(resident), values["Nodes"]

    page.evaluate("() => { setInterval(() => { window.changes.length = 0; }, 1000); }")  # the watcher's own list
    page.mouse.click(*page.evaluate(PLACE, 0))  # what a choice needs is needed once
    page.wait_for_timeout(1000 * SETTLED)
    seen = [now()]
    print(f"  {'minute':>8} {'page, MB':>10} {'kernel, MB':>11} {'nodes':>8}")
    for minute in range(1, max(2, round(minutes))):
        page.mouse.click(*page.evaluate(PLACE, minute))
        page.wait_for_timeout(60_000)
        seen.append(now())
        print(f"  {minute + 1:8d} {seen[-1][0]:10.1f} {seen[-1][1]:11.1f} {seen[-1][2]:8.0f}", flush=True)
    notebook.close()
    first, last = seen[0], seen[-1]
    return {"page": 100 * (last[0] / first[0] - 1), "kernel": 100 * (last[1] / first[1] - 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=0.0, help="measure memory over a run as long as this instead")
    parser.add_argument("--size", type=int, choices=(56, 919), help="only this number of classes")
    arguments = parser.parse_args()
    path = chromium.find()
    if path is None:
        sys.exit(chromium.MISSING)
    missed = 0
    with tempfile.TemporaryDirectory() as folder, chromium.launched(path) as browser, Lab(browser, Path(folder)) as lab:
        for name, size in SIZES.items():
            if arguments.size not in (None, size[0]):
                continue
            print(f"{name} x {size[2]} positions", flush=True)
            if arguments.minutes:
                missed += report(memory(lab, size, arguments.minutes))
                continue
            found = dict(zip(("cost", "sent"), cost(InProcess(size)), strict=True))
            found |= dict(zip(("kernel cost", "kernel sent"), cost(Consumer(size)), strict=True))
            missed += report(found | in_browser(lab, size))
    bundle = (ROOT / "dr_explorer" / "widget" / "static" / "index.js").stat().st_size / 1000
    return missed + report({"bundle": bundle})


if __name__ == "__main__":
    sys.exit(main())
