"""The networks that the logic benchmark reads: freshly planted rules, trained once and kept.

Everything about a network follows from (rule, pool, seed): motifs, lengths, prevalence, training. Nothing is taken from
the sets the reading was developed on: motifs are random words of 5-10 letters.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

from dr_explorer import synthetic
from dr_explorer.planting import Additive, Dataset, plant
from dr_explorer.synthetic import Settings, Trained

RULES = {
    "AND": "A and B",
    "OR": "A or B",
    "XOR": "A xor B",
    "A and not B": "A and not B",
    "NOT": "not A",
    "single": "A",
    "additive": Additive({"A": 5, "B": 5}, bias=-5),
    "A and (B xor C)": "A and (B xor C)",
}
# Singles are coin flips under the additive rule; kept to a fifth of the sequences, so that AUC 0.97 can be reached.
ADDITIVE_MIXTURE = {(): 0.4, ("A",): 0.1, ("B",): 0.1, ("A", "B"): 0.4}
POOLS = ("local", "global")
USED_BEFORE = ("CGCTTG", "CAGATG", "CAGGTC", "AGATT", "GCTCAT", "CAAGCG", "GATA", "TCAT")
REACHED = 0.97  # networks below this test AUC did not learn their rule and are not read


@dataclass(frozen=True)
class Spec:
    rule: str
    pool: str
    seed: int

    @property
    def key(self) -> str:
        return f"{self.rule.replace(' ', '_').replace('(', '').replace(')', '')}-{self.pool}-{self.seed}"

    def rng(self) -> np.random.Generator:
        return np.random.default_rng([zlib.crc32(self.rule.encode()), POOLS.index(self.pool), self.seed])

    def dataset(self) -> Dataset:
        rng = self.rng()
        names = ["A", "B", "C"] if "C" in self.rule else ["A", "B"]
        motifs = dict(zip(names, words(rng, len(names)), strict=True))
        settings = {
            "n": 30_000,
            "length": int(rng.choice([100, 150, 200, 300])),
            "prevalence": float(rng.choice([0.25, 0.4, 0.5])),
            "random_state": int(rng.integers(2**31)),
        }
        if self.rule == "additive":
            settings["mixture"] = ADDITIVE_MIXTURE
        return plant({"y": RULES[self.rule]}, motifs, **settings, name=self.key)

    def training(self) -> dict:
        """Seeds from 3 on are trained plainly, without the warm-up of the filters, where a rule can be learned so."""
        plain = self.seed % 5 >= 3 and "xor" not in self.rule.lower()
        return {"pool": self.pool, "warm_up": not plain, "epochs": 8 if plain else 5}


def words(rng: np.random.Generator, n: int) -> list[str]:
    """Random motifs, none inside another, none used before."""
    while True:
        found = ["".join(rng.choice(list("ACGT"), size=rng.integers(5, 11))) for _ in range(n)]
        apart = not any(a != b and (a in b or b in a) for a in found for b in [*found, *USED_BEFORE])
        if apart and len(set(found)) == n and all(len(set(word)) > 2 for word in found):
            return found


def specs(seeds: int, rules=None) -> list[Spec]:
    """Seed by seed, so that a study cut short has something of everything."""
    return [Spec(rule, pool, seed) for seed, rule, pool in product(range(seeds), rules or RULES, POOLS)]


def fetch(spec: Spec, folder: Path) -> Trained:
    """The spec's network: from the folder, or trained and put there."""
    return _kept(folder / f"{spec.key}.pt", spec.dataset(), spec.training(), spec.seed)


def fetch_set(name: str, seed: int, folder: Path, **settings) -> Trained:
    label = "".join(f"-{k}{v}" for k, v in settings.items())
    return _kept(folder / f"set-{name}-{seed}{label}.pt", synthetic.make(name, random_state=seed), settings, seed)


def _kept(path: Path, dataset: Dataset, settings: dict, seed: int) -> Trained:
    if path.exists():
        kept = torch.load(path, weights_only=True)
        model = synthetic.network(dataset.length, dataset.n_targets, Settings(**settings))
        model.load_state_dict(kept["state"])
        return Trained(model.eval(), dataset, Settings(**settings), kept["auc"], kept["history"], kept["seconds"])
    result = synthetic.train(dataset, random_state=seed, **settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        kept = {"state": result.model.state_dict(), "auc": result.auc, "history": result.history}
        torch.save({**kept, "seconds": result.seconds}, file)
    os.replace(beside, path)
    return result
