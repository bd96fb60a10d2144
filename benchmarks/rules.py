"""Is the fast rule fast? Wall time and gradient evaluations against the authors' loop, on real and trained networks.

The authors' loop is run as they ran it: one trial at a time, in plain PyTorch, in the same process, on the same tail.
Their published step is 0.005 at l2 = 2.8, which is 0.028 / (2 l2). On the splicing network, whose l2 is another, wall
times are given against their loop with the step 0.005 itself, with the share 0.028, and with the share 0.1, with which
it needs the fewest evaluations and ends as high: the hardest of the three to beat. Evaluations are compared with the
last. Trials are compared one by one,
both rules from the same uniform starts; on a tail with a convolution, whose landscape has many more basins than trials,
class means are.

    python benchmarks/rules.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dr_explorer import scale, synthetic
from dr_explorer.ascent import Ascent
from dr_explorer.basins import basins
from dr_explorer.cutting_planes import CuttingPlanes
from dr_explorer.keras import load_keras
from dr_explorer.tail import Tail

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from networks import mtsplice

PATIENCE = 10  # of the authors' loop
WORSE = 1e-3  # of the authors' objective: what counts as worse
PUBLISHED_STEP, BEST_SHARE = 0.005, 0.1  # of the loop: as published; of 1 / (2 l2), on the splicing network
RELEASED = 100  # restarts on a released model, for the wall time
ROUNDS = 5  # of each wall time; medians are printed


@dataclass
class Work:
    """A tail, its settings, and how much of it."""

    name: str
    tail: Tail
    l2: float
    step: float  # of the authors' loop
    restarts: int = 10

    def ascent(self, rule: str, **options) -> Ascent:
        settings = {"l2": self.l2, "step_size": self.step, "n_restarts": self.restarts, "init": "uniform"}
        return Ascent(self.tail, rule=rule, **{**settings, **options})


def authors_loop(tail: Tail, x: torch.Tensor, target: int, l2: float, step: float) -> int:
    """The published loop, one trial; returns its gradient evaluations."""
    best, stalled, i = -np.inf, 0, 0
    while stalled < PATIENCE and i < 10_000:
        i += 1
        x.requires_grad_()
        score = tail.logits(x)[0, target]
        (grad,) = torch.autograd.grad(score, x)
        x, score = x.detach(), score.detach()
        objective = float(score - l2 * x.square().sum())
        best, stalled = (objective, 0) if objective > best else (best, stalled + 1)
        rate = step if i <= 500 else max(step * (i - 500) ** -0.2, 1e-6)
        x = x + rate * (grad - 2 * l2 * x)
    return i


def wall(work: Work, sample: int = 6) -> str:
    """Seconds of all trials by the authors' loop, measured on a sample, and by the fast rule, engine and all."""
    generator = torch.Generator().manual_seed(0)
    starts = torch.rand((sample, 1, *work.tail.shape), generator=generator)
    targets = torch.linspace(0, work.tail.n_targets - 1, sample).long().tolist()
    trials = work.restarts * work.tail.n_targets
    work.ascent("fast").run()
    rounds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        steps = sum(authors_loop(work.tail, starts[i], targets[i], work.l2, work.step) for i in range(sample))
        one = (time.perf_counter() - begin) / sample
        ascent = work.ascent("fast", keep_maps="best")
        begin = time.perf_counter()
        ascent.run()
        fast = time.perf_counter() - begin
        rounds.append((one * sample / steps, one * trials, fast, one * trials / fast))
    an_evaluation, authors, fast, ratio = np.median(rounds, axis=0)
    return (
        f"{work.name:34s}{trials:7d}{1e6 * an_evaluation:9.0f}{authors:10.2f}{1e3 * fast:10.1f}"
        f"{ascent.n_steps:8d}{ratio:9.0f} x"
    )


@dataclass
class Comparison:
    """Trial by trial: evaluations of both rules, and how the fast rule's end points stand beside the authors'."""

    authors_steps: np.ndarray
    fast_steps: np.ndarray
    gap: np.ndarray  # (authors' objective - fast objective) / |authors'|
    rise: float  # of the mean objective, relative
    same: np.ndarray  # whether both ended in one basin

    def row(self, name: str) -> str:
        return (
            f"{name:34s}{self.authors_steps.mean():9.1f}{self.fast_steps.mean():8.1f}{np.median(self.fast_steps):8.0f}"
            f"{np.quantile(self.fast_steps, 0.95):6.0f}{self.authors_steps.mean() / self.fast_steps.mean():8.1f}"
            f"{100 * (self.gap > WORSE).mean():9.2f} %{100 * (self.gap < -WORSE).mean():9.1f} %"
            f"{100 * self.rise:+9.3f} %{100 * self.same.mean():8.1f} %"
            f"{100 * (self.same | (self.gap <= 0)).mean():8.1f} %"
        )


def settled(work: Work, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """FIVs (C, T, K) and objectives (C, T) of the maxima that end points (C, T, *shape) lie next to.

    The authors' loop stops within some per cent of a maximum, jumping across it; the fast rule, started there with a
    short step, walks up to it. Without this, distances between end points are mostly its distance from the maximum.
    """
    rule = CuttingPlanes(l2=work.l2, max_steps=200, first_step=0.02)
    maps = torch.from_numpy(ends).flatten(0, 1)
    columns = torch.arange(ends.shape[0]).repeat_interleave(ends.shape[1])
    state = rule.begin(maps.flatten(1))
    while not state["done"].all():
        score, grad = work.tail.value_and_grad(state["x"].view_as(maps), columns)
        rule.update(state, score, grad.flatten(1))
    fiv = rule.answer(state).reshape(*ends.shape[:3], -1).mean(3)
    return fiv.numpy(), state["objective"].reshape(ends.shape[:2]).numpy()


def compare(works: list[Work]) -> Comparison:
    authors_steps, fast_steps, before, after, same = [], [], [], [], []
    for work in works:
        authors, fast = (work.ascent(rule, keep_maps="all").run().trials for rule in ("authors", "fast"))
        authors_steps.append(authors.steps.ravel())
        fast_steps.append(fast.steps.ravel())
        before.append(authors.objective.ravel())
        after.append(fast.objective.ravel())
        (theirs, theirs_at), (ours, ours_at) = settled(work, authors.ends), settled(work, fast.ends)
        for target in range(work.tail.n_targets):
            labels = basins(
                np.concatenate([theirs[target], ours[target]]), np.concatenate([theirs_at[target], ours_at[target]])
            )
            same.append(labels[: work.restarts] == labels[work.restarts :])
    before, after = np.concatenate(before).astype(float), np.concatenate(after).astype(float)
    return Comparison(
        np.concatenate(authors_steps),
        np.concatenate(fast_steps),
        (before - after) / abs(before),
        (after.mean() - before.mean()) / abs(before).mean(),
        np.concatenate(same),
    )


def small_convolutional(dataset, seed: int = 0) -> nn.Sequential:
    """A network with a second convolution, trained for half a minute; the tail behind layer 2 begins with it."""
    torch.manual_seed(seed)
    x, y = torch.as_tensor(dataset.x).float(), torch.as_tensor(dataset.y).float()
    net = nn.Sequential(
        nn.Conv1d(4, 32, 8),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Conv1d(32, 48, 5),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Flatten(),
        nn.LazyLinear(32),
        nn.ReLU(),
        nn.Linear(32, y.shape[1]),
    )
    net(x[:1])
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(6):
        for rows in torch.randperm(len(x)).split(128):
            loss = nn.functional.binary_cross_entropy_with_logits(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def walls(released: list[Work], splicing: list[Work]) -> None:
    print("\nWall time, one thread: the authors' loop one trial at a time against the fast rule in the engine")
    print(f"{'':34s}{'trials':>7s}{'us/eval':>9s}{'authors s':>10s}{'fast ms':>10s}{'steps':>8s}{'ratio':>11s}")
    for work in released[:: max(1, len(released) // 5)]:
        print(wall(Work(work.name, work.tail, work.l2, work.step, RELEASED)), flush=True)
    for work in splicing:
        l2 = work.l2
        loops = {f"step {PUBLISHED_STEP}": PUBLISHED_STEP, "share 0.028": scale.choose_step(l2), "share 0.1": work.step}
        for label, step in loops.items():
            print(wall(Work(f"56 classes, l2 = {l2:g}, {label}", work.tail, l2, step)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with tf422 and mtsplice")
    parser.add_argument("--models", type=int, default=100, help="released models for the evaluations")
    parser.add_argument("--no-wall", action="store_true", help="leave the wall times out")
    options = parser.parse_args()
    torch.set_num_threads(1)

    paths = sorted((options.data / "tf422" / "models").glob("*.h5"))
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, options.models).round().astype(int)]
    blank = torch.zeros(1, 4, 101)
    released = [Work("released models, l2 = 2.8", Tail(load_keras(p), example_input=blank), 2.8, 0.005) for p in chosen]
    side = torch.zeros(1, 4, 400)
    spliced = Tail(mtsplice(options.data / "mtsplice" / "mtsplice0.h5"), "pool", example_input=(side, side))
    splicing = [Work(f"splicing, 56 classes, l2 = {l2:g}", spliced, l2, BEST_SHARE / (2 * l2)) for l2 in (1.0, 10.0)]
    dataset = synthetic.make("II", n=12_000)
    planted = Tail(synthetic.train(dataset).model, example_input=dataset.x[:32])
    l2 = scale.choose_l2(planted)
    dense = Work(f"32 x 48 map, dense, l2 = {l2:g}", planted, l2, scale.choose_step(l2), 50)
    deeper = Tail(small_convolutional(dataset), "2", example_input=dataset.x[:32])
    l2 = scale.choose_l2(deeper)
    convolution = Work(
        f"{deeper.shape[0]} x {deeper.shape[1]} map, conv, l2 = {l2:g}", deeper, l2, scale.choose_step(l2), 50
    )

    if not options.no_wall:
        walls(released, splicing)

    print("\nGradient evaluations a trial, and end points, trial by trial")
    print(
        f"{'':34s}{'authors':>9s}{'fast':>8s}{'median':>8s}{'95 %':>6s}{'ratio':>8s}{'worse .1%':>11s}{'better':>11s}"
        f"{'mean':>11s}{'basin same':>10s}{'or better':>10s}"
    )
    for works in (released, splicing[:1], splicing[1:], [dense]):
        print(compare(works).row(works[0].name), flush=True)

    print("\nA tail with a convolution: class means over 50 restarts")
    authors, fast = convolution.ascent("authors").run().trials, convolution.ascent("fast").run().trials
    again = convolution.ascent("authors", random_state=1).run().trials
    base = authors.objective.mean(1)
    print(f"{convolution.name}: evaluations {authors.steps.mean():.1f} -> {fast.steps.mean():.1f}")
    for label, other in (("fast against authors", fast), ("authors, another seed", again)):
        print(f"{label:24s}", " ".join(f"{v:+.2%}" for v in (other.objective.mean(1) - base) / abs(base)))


if __name__ == "__main__":
    main()
