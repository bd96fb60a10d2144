"""Activeness tells a network that decides by elimination, and random negatives cure it.

Positives hold one motif and negatives another, so that "not the other motif" is as good an answer as "the motif". With
sequences of neither kind among the negatives only the motif itself will do. Activeness should rise, in every seed.

    python benchmarks/lazy.py
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import dr_explorer as dr
from dr_explorer import importance
from dr_explorer.planting import plant

WANTED, OTHER = "CAGGTC", "GCTCAT"
RANDOM = {"none": 0.0, "a third": 0.5}  # random negatives, per planted sequence


def activeness(share: float, seed: int, n: int) -> tuple[float, float, float]:
    """Activeness, AUC and the mean logit of plain random sequences of a network trained on such a set."""
    data = plant(
        WANTED,
        [WANTED, OTHER],
        n=n,
        mixture={(WANTED,): 1.0, (OTHER,): 1.0},
        random_negatives=int(share * n),
        random_state=seed,
    )
    network = dr.synthetic.train(data, random_state=seed)
    resolution = dr.resolve(network.model, "pool", example_input=data.example_input, init="normal", random_state=seed)
    backgrounds = torch.as_tensor(data.backgrounds(500, random_state=seed))
    logits = dr.synthetic.predict(network.model, backgrounds)
    active = importance.activeness(resolution.ofiv("basins").values)[0]
    return float(active), float(next(iter(network.auc.values()))), float(np.mean(logits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n", type=int, default=20_000, help="sequences planted")
    arguments = parser.parse_args()
    print(f"{'seed':>5}{'random negatives':>18}{'activeness':>12}{'AUC':>8}{'logit of neither':>18}")
    rose = []
    for seed in range(arguments.seeds):
        found = []
        for label, share in RANDOM.items():
            active, area, logit = activeness(share, seed, arguments.n)
            found.append(active)
            print(f"{seed:5d}{label:>18}{active:12.3f}{area:8.3f}{logit:18.2f}", flush=True)
        rose.append(found[1] - found[0])
    print(f"activeness rose by {np.mean(rose):.3f} on average, in {np.sum(np.array(rose) > 0)} of {len(rose)} seeds")


if __name__ == "__main__":
    main()
