"""What a run costs as it grows, and what the engine adds to the network's own forward and backward.

* growth: classes x restarts of 1, 10, 100, 1000 trials a class count; time a trial against the trial count, where
  everything is as wide as it will be (linear is flat), and the memory of the process with ``keep_maps="none"``.
* engine: a step of the whole engine (evaluation, rule, book-keeping) on a DeepSEA-shaped tail against a bare forward
  and backward of the same tail at the batch size that suits it best.

    python benchmarks/growth.py
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from dr_explorer.ascent import Ascent
from dr_explorer.tail import Tail


def median_seconds(work, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def deepsea_layers() -> torch.nn.Sequential:
    """DeepSEA (Zhou & Troyanskaya 2015) behind its third convolution's input: 480 x 60 -> 960 x 53 -> 925 -> 919."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv1d(480, 960, 8),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(960 * 53, 925),
        torch.nn.ReLU(),
        torch.nn.Linear(925, 919),
    )


def deepsea_tail(device: str = "cpu") -> Tail:
    """The same layers behind the cut of a network."""
    model = torch.nn.Sequential(torch.nn.Conv1d(4, 480, 1), torch.nn.ReLU(), *deepsea_layers())
    return Tail(model, "1", example_input=torch.zeros(1, 4, 60), device=device)


def small_tail(n_targets: int) -> Tail:
    """A pooled vector of 64 channels and a dense head, as in the 56-tissue network."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv1d(4, 64, 9),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool1d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 32),
        torch.nn.ReLU(),
        torch.nn.Linear(32, n_targets),
    )
    return Tail(model, "3", example_input=torch.zeros(1, 4, 100))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth(repeats: int) -> None:
    """Time a trial-step is what must not grow; trials differ in their number of steps."""
    tail = small_tail(56)
    settings = {"l2": 1.0, "keep_maps": "none", "batch_size": 560, "max_steps": 60, "rule": "authors", "patience": 60}
    rows = []
    for restarts in (1, 10, 100, 1000):
        seconds = median_seconds(lambda n=restarts: Ascent(tail, n_restarts=n, **settings).run(), repeats)
        rows.append((56 * restarts, seconds, peak_mb()))
    print("growth: 56 classes x 1, 10, 100, 1000 restarts, 560 slots, 60 steps a trial")
    print(f"{'trials':>8}{'s':>10}{'us a trial':>12}{'against 560':>13}{'peak MB':>10}")
    reference = rows[1][1] / rows[1][0]
    for trials, seconds, memory in rows:
        print(
            f"{trials:8d}{seconds:10.3f}{1e6 * seconds / trials:12.1f}"
            f"{seconds / trials / reference:13.2f}{memory:10.0f}"
        )
    print("target: within 15 % of linear once the slots are full (from 560 trials on); memory flat\n")


def engine(seconds: float, rule: str) -> None:
    tail, module = deepsea_tail(), deepsea_layers()

    def bare(batch: int) -> float:
        maps, targets = torch.rand(batch, *tail.shape), torch.arange(batch) % 919

        def step() -> None:
            x = maps.detach().requires_grad_(True)
            torch.autograd.grad(module(x).gather(1, targets[:, None]).sum(), x)

        step()
        return batch / median_seconds(step, max(3, int(seconds / (0.006 * batch))))

    def whole() -> float:
        run = Ascent(tail, n_restarts=1, l2=1e-3, rule=rule, keep_maps="none", patience=10**6)
        run.advance(2)
        rates = []
        for _ in range(5):
            began = time.perf_counter()
            done = run.advance(2)
            rates.append(done / (time.perf_counter() - began))
        return float(np.median(rates))

    rates = {batch: bare(batch) for batch in (32, 64, 96, 128, 160, 192)}
    best = max(rates, key=rates.get)
    print("engine: a DeepSEA-shaped tail, 919 classes, trial-steps a second")
    print("  bare forward + backward by batch: " + ", ".join(f"{b}: {r:.0f}" for b, r in rates.items()))
    pairs = [(whole(), bare(best)) for _ in range(3)]
    ratio = np.median([w / b for w, b in pairs])
    print(f"  whole engine, rule {rule!r}: {np.median([w for w, _ in pairs]):.0f}, bare at its best batch ({best}): "
          f"{np.median([b for _, b in pairs]):.0f}; ratio {ratio:.2f} (target: 0.9)")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each batch size of the bare network")
    arguments = parser.parse_args()
    growth(arguments.repeats)
    for rule in ("fast", "authors"):
        engine(arguments.seconds, rule)


if __name__ == "__main__":
    main()
