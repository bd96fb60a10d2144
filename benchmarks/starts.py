"""Which basins the restarts find, by how they start: U[0, 1) or N(0, 1).

A start on a map with positions is a mean over many numbers: uniform ones all begin at nearly the same, positive feature
vector, and may so end in one basin, which need not be the best. Set I (XOR) has two basins by design; the released and
the splicing network show what the start does where maps have no positions.

    python benchmarks/starts.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dr_explorer as dr
from dr_explorer import importance, synthetic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

STARTS = ("uniform", "normal")
N_RESTARTS = 20


def compare(label: str, model: torch.nn.Module, layer: str, example_input: Any, l2: float | None = None) -> None:
    """A row a network: basins a class, channels flagged, steps, and what the normal start gains."""
    row, best = [], []
    for init in STARTS:
        data = dr.resolve(model, layer, example_input=example_input, n_restarts=N_RESTARTS, l2=l2, init=init).dataset
        fiv, score, objective = (data[name].values for name in ("fiv", "score", "objective"))
        basins = [importance.basins(*one).max() + 1 for one in zip(fiv, objective, strict=True)]
        flags = importance.inconsistent(fiv, score).sum(axis=1)
        row.append(f"{np.mean(basins):9.2f}{flags.mean():9.2f}{data.steps.values.mean():8.1f}")
        best.append(objective.max(axis=1))
    gain = (best[1] - best[0]) / np.abs(best[0])
    print(f"{label:24}{''.join(row)}{np.median(gain):10.2%}{gain.min():10.2%}{gain.max():10.2%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder with tf422 and mtsplice; without it, set I only")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':24}{'uniform':^26}{'normal':^26}{'best objective, normal against uniform':>40}")
    columns = f"{'basins':>9}{'flagged':>9}{'steps':>8}"
    print(f"{'network':24}{columns}{columns}{'median':>10}{'least':>10}{'most':>10}")
    for seed in range(arguments.seeds):
        network = synthetic.trained("I", random_state=seed)
        for layer in ("pool", "relu"):
            compare(f"set I, seed {seed}, {layer}", network.model, layer, network.example_input)
    if arguments.data:
        without_positions(arguments.data)


def without_positions(folder: Path) -> None:
    from networks import mtsplice
    from published import STAT5A, flatten_layer

    for name, experiment in (("Stat5a", STAT5A), ("CTCF in HepG2", "wgEncodeAwgTfbsBroadHepg2CtcfUniPk")):
        model = dr.load_keras(folder / "tf422" / "models" / f"{experiment}.h5")
        compare(name, model, flatten_layer(model), torch.zeros(1, 4, 101), 2.8)
    model, example = mtsplice(folder / "mtsplice" / "mtsplice0.h5"), torch.zeros(1, 4, 400)
    for l2 in (1.0, 10.0):
        compare(f"mtsplice, l2 = {l2:g}", model, "pool", (example, example), l2)


if __name__ == "__main__":
    main()
