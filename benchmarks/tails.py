"""What a step of `Tail` costs: against a hook on the whole network, and against the same layers written by hand.

A step is `value_and_grad`: one logit a map and its gradient. "whole" runs the network on as many rows, replaces the
layer's output by a forward hook, and differentiates: what one would do without cutting. "by hand" is forward and
backward of the layers behind the cut, called as their author would call them. The three take turns in one process;
medians of the turns' ratios.

    python benchmarks/tails.py
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from dr_explorer.tail import Tail

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from networks import BPNet, DanQ, Transformer, deepsea, one_hot, seeded

#: A turn lasts at least this many seconds, so that the clock and the switch between contenders do not count.
TURN = 0.05
#: By hand: at least this share of its throughput. Whole: never slower.
THROUGHPUT, SPEEDUP = 0.95, 1.0


@dataclass
class Work:
    name: str
    model: nn.Module
    layer: str
    length: int
    maps: int
    by_hand: Callable[[nn.Module, torch.Tensor], torch.Tensor]  # feature maps -> logits
    output: Callable | None = None


def works() -> list[Work]:
    tf = nn.Sequential(
        nn.Conv1d(4, 16, 25, padding=12), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(),
        nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 1), nn.Sigmoid(),
    )  # fmt: skip
    tissues = nn.Sequential(
        nn.Conv1d(4, 64, 9, padding=4), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.BatchNorm1d(64), nn.Linear(64, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Dropout(0.3), nn.Linear(32, 56),
    )  # fmt: skip

    def danq(model, maps):
        h, _ = model.lstm(model.drop(maps).transpose(1, 2))
        return model.out(F.relu(model.dense(h.reshape(h.shape[0], -1))))

    def transformer(model, maps):
        return model.out(model.encoder(maps.transpose(1, 2) + model.positions).mean(1))

    def bpnet(model, maps):
        for block in model.blocks:
            maps = block(maps)
        return model.counts(maps.mean(2))

    def wide(model, maps):
        return model[4](model[3](model[2](maps.clone())))

    encoder = Transformer(1000, features=64, pool=16, hidden=256)
    return [
        Work("one transcription factor, 16 -> 32 -> 1", tf, "3", 101, 100, lambda m, h: m[4:8](h)),
        Work("56 tissues, 64 -> 32 -> 56", tissues, "3", 400, 560, lambda m, h: m[4:](h)),
        Work("2-layer transformer on 64 x 61", encoder, "pool", 1000, 16, transformer),
        Work("bidirectional LSTM on 320 x 75", DanQ(1000, 320, 26, 13, 320, 925, 919), "pool", 1000, 16, danq),
        Work("8 dilated residual blocks on 64 x 1000", BPNet(64, layers=8), "relu", 1000, 16, bpnet, lambda y: y[1]),
        Work("DeepSEA's, 480 x 60", deepsea(), "1.3", 1000, 32, wide),
    ]


def contenders(work: Work) -> dict[str, Callable[[], object]]:
    """The three ways to make a step, checked against each other."""
    model = work.model.eval().requires_grad_(False)
    x = one_hot(1, work.length)
    tail = Tail(model, work.layer, example_input=x, output=work.output)
    maps = torch.rand(work.maps, *tail.shape, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(work.maps) % tail.n_targets
    rows, columns = x.expand(work.maps, -1, -1), targets[:, None]
    squash = {"sigmoid": torch.logit, None: lambda y: y}[tail.squash]
    layer = model.get_submodule(work.layer)

    def step(logits_of):
        leaf = maps.clone().requires_grad_()
        score = logits_of(leaf).gather(1, columns).squeeze(1)
        (grad,) = torch.autograd.grad(score.sum(), leaf)
        return score.detach(), grad

    def through_everything(leaf):
        handle = layer.register_forward_hook(lambda *_: leaf.clone())  # layers behind may work in place
        try:
            out = model(rows)
        finally:
            handle.remove()
        return squash((work.output or (lambda y: y))(out))

    ways = {
        "tail": lambda: tail.value_and_grad(maps, targets),
        "whole": lambda: step(through_everything),
        "by hand": lambda: step(lambda leaf: work.by_hand(model, leaf)),
    }
    ours = ways["tail"]()
    for name in ("whole", "by hand"):
        for a, b in zip(ours, ways[name](), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3 * float(b.abs().max()))
    return ways


def race(ways: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Seconds a step of each, turn by turn."""
    counts = {}
    for name, way in ways.items():
        way()
        start = time.perf_counter()
        way()
        counts[name] = max(1, round(TURN / (time.perf_counter() - start)))
    seconds = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                way()
            seconds[name].append((time.perf_counter() - start) / counts[name])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    titles = f"{'step, ms':>10}{'whole, ms':>11}{'speed-up':>10}{'by hand, ms':>13}{'throughput':>12}"
    print(f"{'tail':40}{'maps':>6}{titles}")
    for work in seeded(works):
        seconds = race(contenders(work), options.turns)
        tail, whole, hand = (seconds[name] for name in ("tail", "whole", "by hand"))
        speedup = statistics.median(w / t for w, t in zip(whole, tail, strict=True))
        throughput = statistics.median(h / t for h, t in zip(hand, tail, strict=True))
        milliseconds = [1e3 * statistics.median(times) for times in (tail, whole, hand)]
        verdict = "" if speedup >= SPEEDUP and throughput >= THROUGHPUT else "  below target"
        print(
            f"{work.name:40}{work.maps:6d}{milliseconds[0]:10.3f}{milliseconds[1]:11.3f}{speedup:10.2f}"
            f"{milliseconds[2]:13.3f}{throughput:12.2f}{verdict}"
        )
    print(f"targets: speed-up at least {SPEEDUP}, throughput at least {THROUGHPUT} of the layers by hand")


if __name__ == "__main__":
    main()
