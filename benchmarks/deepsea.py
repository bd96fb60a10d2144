"""A run the size of DeepSEA, whole: 919 classes x 10 restarts behind its last convolution's input. Meant for a GPU.

Prints the seconds of the run, and its arithmetic as a share of what the device reaches in a plain matrix product at the
precision that convolutions use. On an H200-class card the run is to take under 10 s.

    python benchmarks/deepsea.py                                          # on a CUDA device
    python benchmarks/deepsea.py --device cpu --classes 1 --rule fast     # a rehearsal: half a minute on two cores
"""

from __future__ import annotations

import argparse
import time

import torch
from growth import deepsea_tail
from torch.utils.flop_counter import FlopCounterMode

from dr_explorer.ascent import Ascent
from dr_explorer.tail import Tail

SECONDS = 10.0  # the target, for all classes and restarts on an H200-class card
RESTARTS = 10
SIDE = 8192  # of the matrices whose product is the yardstick; 2,048 on a CPU
ROUNDS = 5  # of it, after a first that is not counted


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device) -> float:
    """FLOP/s of a large product; in TF32 on a GPU, as cuDNN's convolutions are unless told otherwise."""
    side = SIDE if device.type == "cuda" else SIDE // 4
    a = torch.rand(side, side, device=device)
    before, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, True
    rates = []
    for _ in range(1 + ROUNDS):
        wait_for(device)
        began = time.perf_counter()
        a @ a
        wait_for(device)
        rates.append(2 * side**3 / (time.perf_counter() - began))
    torch.backends.cuda.matmul.allow_tf32 = before
    return sorted(rates[1:])[ROUNDS // 2]


def flop_an_evaluation(tail: Tail) -> float:
    """Of a forward pass and the backward pass to the feature map, one trial."""
    x = torch.rand(1, *tail.shape, device=tail.device).requires_grad_()
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(tail.logits(x)[0, 0], x)
    return float(counter.get_total_flops())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--classes", type=int, default=919)
    parser.add_argument("--rule", choices=("fast", "authors"), help="only this one")
    given = parser.parse_args()

    tail = deepsea_tail(given.device)
    each, peak = flop_an_evaluation(tail), matrix_rate(tail.device)
    name = torch.cuda.get_device_name(tail.device) if tail.device.type == "cuda" else "CPU"
    print(f"{name}: a matrix product reaches {peak / 1e12:.2f} TFLOP/s; an evaluation has {each / 1e9:.2f} GFLOP")
    for rule in (given.rule,) if given.rule else ("fast", "authors"):
        settings = {"targets": range(given.classes), "n_restarts": RESTARTS, "rule": rule, "keep_maps": "none"}
        Ascent(tail, **{**settings, "targets": range(1)}).run()  # kernels are chosen, memory is taken
        wait_for(tail.device)
        began = time.perf_counter()
        run = Ascent(tail, **settings).run()
        wait_for(tail.device)
        seconds = time.perf_counter() - began
        evaluations = int(run.trials.steps.sum())
        rate = evaluations * each / seconds
        print(f"{rule}: {given.classes} classes x {RESTARTS}, {run.trials.steps.mean():.1f} evaluations a trial")
        print(f"  {seconds:.2f} s (target, fast, all classes: under {SECONDS:g} s)")
        print(f"  {rate / 1e12:.2f} TFLOP/s, {100 * rate / peak:.1f} % of the product's")
        if tail.device.type == "cuda":
            print(f"  {torch.cuda.max_memory_allocated(tail.device) / 2**30:.1f} GiB of the device's memory at most")


if __name__ == "__main__":
    main()
