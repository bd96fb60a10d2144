"""The synthetic sets I-IV, and networks that learned them, kept once trained.

Sets and architecture are those of Liu & Gifford (ICML 2017 workshop): 200 bp of uniform background, motifs at random
positions, a fifth held out; a convolution of 32 filters of 8, local max-pool with stride 4, a dense layer of 64.
Anything else is planted with `plant`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from dr_explorer.additive import Additive
from dr_explorer.formula import Formula, FormulaError, parse
from dr_explorer.planted_network import Settings, Trained, auc, network, predict, settings_of
from dr_explorer.planting import Dataset, plant
from dr_explorer.training import Progress, train

__all__ = [
    "Additive", "Dataset", "Formula", "FormulaError", "Progress", "Settings", "Trained",
    "auc", "cache_path", "make", "network", "parse", "plant", "predict", "train", "trained",
]  # fmt: skip

# Raise when sets or training change, so that networks cached before are trained anew.
CACHE_VERSION = 3
# Settings that differ from a set's usual training. Set IV has signal in every motif alone and needs no warm-up; without
# it the filters stay what the four classes make of them, and their similarity comes out as published.
RECIPES = {"IV": {"warm_up": False, "epochs": 6}}


def make(name: str, n: int | None = None, random_state: int = 0) -> Dataset:
    """One of the paper's synthetic sets.

    Parameters
    ----------
    name : ``"I"`` CGCTTG xor CAGATG; ``"II"`` two ANDs and two ORs over five motifs; ``"III"`` CAGGTC and (GCTCAT xor
        CGCTTG), a fifth of it random negatives; ``"IV"`` four classes, each sequence made for one of them, the first
        three sharing their motifs in pairs.
    n : number of sequences; default 40,000, and for III 100,000.
    random_state : the same number gives the same set.

    Notes
    -----
    Chance instances of the motifs are removed (see `plant`), which the paper does not say it did; its AUCs are lower
    for it, those of set IV's four-letter motifs above all.
    """
    common = {"random_state": random_state, "name": f"set {name}"}
    if name == "I":
        return plant({"XOR": "CGCTTG xor CAGATG"}, n=n or 40_000, **common)
    if name == "II":
        classes = {
            "CAGGTC and AGATT": "CAGGTC and AGATT",
            "AGATT and GCTCAT": "AGATT and GCTCAT",
            "CAGGTC or GCTCAT": "CAGGTC or GCTCAT",
            "CGCTTG or CAAGCG": "CGCTTG or CAAGCG",
        }
        return plant(classes, n=n or 40_000, **common)
    if name == "III":
        n = n or 100_000
        random = n // 5
        return plant(
            {"A and (B xor C)": "CAGGTC and (GCTCAT xor CGCTTG)"}, n=n - random, random_negatives=random, **common
        )
    if name == "IV":
        pairs = [("GATA", "CAGATG"), ("TCAT", "CAGATG"), ("GATA", "TCAT"), ("CGCTTG",)]
        classes = {" + ".join(pair): " and ".join(pair) for pair in pairs}
        return plant(classes, mixture=dict.fromkeys(pairs, 1.0), n=n or 40_000, **common)
    raise ValueError(f"the synthetic sets are 'I', 'II', 'III' and 'IV', not {name!r}; plant(...) makes others")


def trained(
    name: str, *, n: int | None = None, random_state: int = 0, progress=None, verbose: bool = False, **settings
) -> Trained:
    """A network for one of the sets I-IV: trained when first asked for, then read from the user's cache folder.

    Parameters
    ----------
    name, n, random_state : as in `make`.
    progress, verbose, **settings : as in `train`.
    """
    dataset = make(name, n, random_state)
    settings = RECIPES.get(name, {}) | settings
    chosen = settings_of(settings)
    path = cache_path(name, n, random_state, chosen)
    kept = _read(path, dataset, chosen)
    if kept is not None:
        return kept
    result = train(dataset, progress=progress, verbose=verbose, random_state=random_state, **settings)
    _write(path, result)
    return result


def cache_path(name: str, n: int | None, random_state: int, settings: Settings) -> Path:
    """The file a trained network is kept in; its name changes with everything the network depends on.

    That is the set's `name`, its size `n`, the `random_state` and the `settings` of the training, as for `trained`.
    """
    from platformdirs import user_cache_path

    key = repr((CACHE_VERSION, name, n, random_state, sorted(asdict(settings).items())))
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return user_cache_path("dr_explorer") / f"synthetic-{name}-{random_state}-{digest}.pt"


def _read(path: Path, dataset: Dataset, settings: Settings) -> Trained | None:
    """The cached network, or None when there is none or the file is broken (it is then written anew)."""
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        model = network(dataset.length, dataset.n_targets, settings)
        model.load_state_dict(kept["state"])
        return Trained(model.eval(), dataset, settings, kept["auc"], kept["history"], kept["seconds"])
    except Exception:  # whatever is wrong with a cache file, training again puts it right
        return None


def _write(path: Path, result: Trained) -> None:
    """Write beside and rename, so that nobody ever reads half a file; a cache that cannot be written is no error."""
    content = {
        "state": result.model.state_dict(),
        "auc": result.auc,
        "history": result.history,
        "seconds": result.seconds,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save(content, file)
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError:
        return
