"""How long the class tree takes: similarity, linkage, optimal leaf order, support and sharing of up to 1,000 classes.

Classes come in 40 families, with 10 restarts and 500 channels each. The best of several runs is printed, because other
work on the machine can only add to it.

    python benchmarks/similarity.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from dr_explorer import importance, similarity

TARGET = 2.0  # seconds for 1,000 classes x 500 channels, everything


def classes(n: int, n_restarts: int = 10, n_channels: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Feature vectors (n, T, K) in float32 and scores (n, T) of classes from 40 families."""
    rng = np.random.default_rng(0)
    heads = rng.normal(size=(40, n_channels))[rng.integers(40, size=n)]
    own = heads + 0.5 * rng.normal(size=(n, n_channels))
    fiv = own[:, None] + 0.3 * rng.normal(size=(n, n_restarts, n_channels))
    return fiv.astype(np.float32), rng.uniform(4, 6, size=(n, n_restarts))


def timed(work: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """What the work returns and the least seconds it took."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - start)
    return answer, min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats

    print(f"{'classes':>8}{'ofiv':>9}{'similar':>9}{'linkage':>9}{'support':>9}{'draws':>7}{'sharing':>9}{'all, s':>9}")
    for n in (56, 200, 500, 1000):
        fiv, score = classes(n)
        ofiv, t_ofiv = timed(lambda: importance.ofiv(fiv, score), repeats)  # noqa: B023
        similar, t_similar = timed(lambda: similarity.similarity(ofiv), repeats)  # noqa: B023
        tree, t_tree = timed(lambda: similarity.linkage(similar), repeats)  # noqa: B023
        _, t_support = timed(lambda: similarity.support(fiv, score, tree), repeats)  # noqa: B023
        _, t_sharing = timed(lambda: similarity.sharing(ofiv), repeats)  # noqa: B023
        draws = int(np.clip(similarity.PAIRS / n**2, *similarity.RESAMPLINGS))
        seconds = (t_ofiv, t_similar, t_tree, t_support, t_sharing)
        row = (f"{1e3 * one:7.1f}ms" for one in seconds[:3])
        print(f"{n:8d}{''.join(row)}{t_support:8.2f}s{draws:7d}{1e3 * t_sharing:7.1f}ms{sum(seconds):9.2f}")
    print(f"1,000 classes x 500 channels, everything: {sum(seconds):.2f} s, target below {TARGET} s")

    n = 300
    fiv, score = classes(n)
    similar = similarity.similarity(importance.ofiv(fiv, score))
    distance = squareform(1 - similar, checks=False)
    plain = hierarchy.linkage(distance, "average")
    ours, t_ours = timed(lambda: similarity.linkage(similar), repeats)
    theirs, t_theirs = timed(lambda: hierarchy.optimal_leaf_ordering(plain, distance), repeats)
    lengths = []
    for tree in (ours, theirs):
        order = similarity.leaf_order(tree)
        lengths.append((1 - similar[order[:-1], order[1:]]).sum())
    print(f"leaf order of {n} classes: {t_theirs / t_ours:.0f} times faster than scipy's, ", end="")
    print(f"length {lengths[0] / lengths[1]:.4f} of its (1 or less)")


if __name__ == "__main__":
    main()
