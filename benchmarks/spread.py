"""What the spread over restarts is worth: error rate of the inconsistency test, basins, and intervals.

First on simulated restarts, where the truth is known. Then, given the data, on 100 released networks with both rules: a
network whose converged restarts (50, rule "fast") all end in one basin has no inconsistent channel to find, and its
intervals must shrink as 1/sqrt(T).

    python benchmarks/spread.py --data ../shared/data/tf422
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dr_explorer import importance
from dr_explorer.disagreement import STOPPING_NOISE, TAIL

N_RESTARTS = 10  # what a user has by default
N_TRUTH = 50  # and what tells how many basins there are: one that 10 % fall into is missed in 0.5 %


#: Noise within the hypothesis, at most one in k**3 further than k from 0. First of standard deviation 1: normal, with
#: the heavy tails of Student's t with 5 and with 3 degrees of freedom, and skewed; last at that bound everywhere.
NOISE: dict[str, Callable[..., np.ndarray]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "t(5)": lambda rng, size: rng.standard_t(5, size=size) / np.sqrt(5 / 3),
    "t(3)": lambda rng, size: rng.standard_t(3, size=size) / np.sqrt(3),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
    "lognormal": lambda rng, size: (rng.lognormal(size=size) - np.exp(0.5)) / np.sqrt(np.e * (np.e - 1)),
    "the bound": lambda rng, size: rng.choice([-1.0, 1.0], size=size) * rng.random(size) ** (-1 / TAIL),
}


def simulated_error_rates(rng: np.random.Generator, n: int = 4000) -> None:
    print("Inconsistency test, one noisy basin: share of classes with any channel flagged, stated at most 0.05")
    print(f"{'T':>5}{'K':>6}{'noise':>8}" + "".join(f"{kind:>13}" for kind in NOISE))
    for n_restarts, n_channels in ((3, 16), (5, 16), (10, 16), (10, 480), (50, 64)):
        centre = np.zeros(n_channels)
        centre[0] = 1.0
        for width in (STOPPING_NOISE / 2, STOPPING_NOISE):  # of the largest importance; the most the hypothesis allows
            row = []
            for draw in NOISE.values():
                flagged = 0
                for _ in range(8):
                    fiv = centre + width * draw(rng, (n // 8, n_restarts, n_channels))
                    flagged += importance.inconsistent(fiv, np.ones(fiv.shape[:2])).any(axis=1).sum()
                row.append(flagged / n)
            print(f"{n_restarts:5d}{n_channels:6d}{width:8.3f}" + "".join(f"{one:13.4f}" for one in row))


def simulated_power(rng: np.random.Generator, n: int = 1000) -> None:
    print("\nInconsistency test, two basins, T = 10, noise 0.01: share of differing channels flagged")
    distances = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
    print("   distance / largest importance  " + "".join(f"{d:8.2f}" for d in distances))
    for n_channels in (16, 480):
        for others in (1, 2, 3, 5):
            found = []
            for distance in distances:
                fiv = 0.01 * rng.normal(size=(n * 16 // n_channels, N_RESTARTS, n_channels))
                fiv[..., 0] += 1
                fiv[:, :others, 1] += distance
                found.append(importance.inconsistent(fiv, np.ones(fiv.shape[:2]))[:, 1].mean())
            print(f"   K = {n_channels:3d}, {N_RESTARTS - others} : {others}               ", end="")
            print("".join(f"{one:8.3f}" for one in found))


def simulated_basins(rng: np.random.Generator, n: int = 500) -> None:
    print("\nBasins of one noisy basin: share of classes split, at most 0.01")
    widths = (1e-6, 0.01, 0.1, 0.5)
    print(f"{'T':>5}{'K':>6}" + "".join(f"{f'noise {width:g}':>13}" for width in widths))
    for n_restarts in (5, 10, 50):
        for n_channels in (1, 3, 16):
            split = [
                np.mean(
                    [
                        importance.basins(
                            1 + width * rng.normal(size=(n_restarts, n_channels)), np.arange(n_restarts)
                        ).max()
                        > 0
                        for _ in range(n)
                    ]
                )
                for width in widths
            ]
            print(f"{n_restarts:5d}{n_channels:6d}" + "".join(f"{one:13.3f}" for one in split))


def simulated_intervals(rng: np.random.Generator, n: int = 300) -> None:
    print("\nIntervals of one noisy basin, K = 64: coverage of the stated 0.95, and width against T = 10")
    print(f"{'T':>5}{'coverage':>10}{'width':>8}{'1/sqrt':>8}")
    centre, rows = rng.normal(size=64), {}
    for n_restarts in (2, 3, 5, 10, 20, 40, 100):
        covered, width = [], []
        for _ in range(n):
            fiv = centre + 0.01 * rng.normal(size=(n_restarts, 64))
            low, high = importance.interval(fiv, rng.uniform(5, 6, n_restarts))
            covered.append(((low <= centre) & (centre <= high)).mean())
            width.append((high - low).mean())
        rows[n_restarts] = np.mean(covered), np.mean(width)
    for n_restarts, (coverage, wide) in rows.items():
        print(f"{n_restarts:5d}{coverage:10.3f}{wide / rows[10][1]:8.3f}{np.sqrt(10 / n_restarts):8.3f}")


def released_networks(folder: Path, limit: int | None) -> None:
    from published import STAT5A, resolve

    runs = {}
    for path in sorted((folder / "models").glob("*.h5"))[:limit]:
        for rule in ("fast", "authors"):
            data = resolve(path, n_restarts=N_TRUTH, rule=rule).dataset
            runs[path.stem, rule] = [data[name].values[0] for name in ("fiv", "score", "objective")]
    names = sorted({name for name, _ in runs})
    truth = {name: importance.basins(runs[name, "fast"][0], runs[name, "fast"][2]).max() + 1 for name in names}
    single = [name for name in names if truth[name] == 1]
    print(f"\n{len(names)} released networks, {len(single)} with one basin among {N_TRUTH} converged restarts")
    print(f"{'with one basin, runs of 10 restarts':50}{'fast':>10}{'authors':>10}  stated")
    rows = {
        "any channel flagged inconsistent": (lambda f, s, o: importance.inconsistent(f, s).any(), "<= 0.05"),
        "more than one basin": (lambda f, s, o: importance.basins(f, o).max() > 0, "about 0"),
    }
    for label, (claim, stated) in rows.items():
        rates = [
            np.mean(
                [claim(*(part[i : i + 10] for part in runs[name, rule])) for name in single for i in range(0, 50, 10)]
            )
            for rule in ("fast", "authors")
        ]
        print(f"{label:50}{rates[0]:10.4f}{rates[1]:10.4f}  {stated}")
    shrink = [np.median([_shrinks(runs[name, rule]) for name in single]) for rule in ("fast", "authors")]
    print(f"{'width of intervals, 40 restarts / 10':50}{shrink[0]:10.4f}{shrink[1]:10.4f}  0.5, by Student's t 0.47")
    for label, share in (("median", 0.5), ("95th percentile", 0.95), ("largest", 1)):
        noises = [np.quantile([_noise(runs[name, rule]) for name in single], share) for rule in ("fast", "authors")]
        print(f"{f'channel with most noise, over largest: {label}':50}{noises[0]:10.4f}{noises[1]:10.4f}")
    off = {key: _off(run[0]) for key, run in runs.items()}
    for label, worst in (("of all together", False), ("worst network", True)):
        tails = []
        for rule in ("fast", "authors"):
            parts = [off[name, rule] for name in single]
            tails.append(max(_tail(one) for part in parts for one in part.T) if worst else _tail(np.vstack(parts)))
        print(f"{f'k**3 times the share beyond k x 0.05: {label}':50}{tails[0]:10.4f}{tails[1]:10.4f}  <= 1")
    several = [name for name in names if truth[name] > 1]
    found = [
        np.mean(
            [
                importance.inconsistent(*(part[i : i + 10] for part in runs[name, rule][:2])).any()
                for name in several
                for i in range(0, 50, 10)
            ]
        )
        for rule in ("fast", "authors")
    ]
    print(f"{f'{len(several)} with several, runs of 10: any channel flagged':50}{found[0]:10.4f}{found[1]:10.4f}")
    if STAT5A in truth:
        print(f"\nStat5a, {N_TRUTH} restarts (published: logits 6.30 and 4.44)")
        print(importance.basin_table(*runs[STAT5A, "fast"]).round(4).to_string())
        flags = importance.inconsistent(*(part[:10] for part in runs[STAT5A, "fast"][:2]))
        print(f"inconsistent channels, 10 restarts: {np.flatnonzero(flags).tolist()}")


def _noise(run: list[np.ndarray]) -> float:
    """Standard deviation of the noisiest channel, relative to the largest root-mean-square importance."""
    return float(run[0].std(axis=0, ddof=1).max() / np.sqrt((run[0] ** 2).mean(axis=0)).max())


def _off(fiv: np.ndarray) -> np.ndarray:
    """How far each end point is from its channel's median, in units of what the hypothesis allows: (T, K)."""
    return np.abs(fiv - np.median(fiv, axis=0)) / (STOPPING_NOISE * np.sqrt((fiv**2).mean(axis=0)).max())


def _tail(off: np.ndarray) -> float:
    """The largest k**3 times the share of values that are k or more."""
    k = np.sort(off, axis=None)[::-1]
    return float((k**TAIL * np.arange(1, k.size + 1) / k.size).max())


def _shrinks(run: list[np.ndarray]) -> float:
    """Width with 40 restarts over the root mean square of those with 10 of them: stragglers are few, and weigh."""

    def width(rows: slice) -> float:
        low, high = importance.interval(run[0][rows], run[1][rows])
        return float((high - low).mean())

    return width(slice(40)) / np.sqrt(np.mean([width(slice(i, i + 10)) ** 2 for i in range(0, 40, 10)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder with models/; without it, simulations only")
    parser.add_argument("--limit", type=int, help="only so many networks")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    simulated_error_rates(rng)
    simulated_power(rng)
    simulated_basins(rng)
    simulated_intervals(rng)
    if arguments.data:
        released_networks(arguments.data, arguments.limit)


if __name__ == "__main__":
    main()
