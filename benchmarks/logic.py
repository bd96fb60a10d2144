"""How often is a network's logic read right? Sets I-IV and freshly planted rules, beside their targets.

    python benchmarks/logic.py --seeds 5 --cache FOLDER

Networks are trained once and kept in FOLDER; every result is appended to FOLDER/results.jsonl as it comes, and a study
that was cut short goes on where it stopped. ``--report`` only prints what is there. Threads: one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from functools import partial
from itertools import combinations, islice, product
from pathlib import Path

import numpy as np
import torch
from planted import REACHED, RULES, fetch, fetch_set, specs
from platformdirs import user_cache_path

import dr_explorer as dr
from dr_explorer import finding, groups, logic
from dr_explorer.formula import parse
from dr_explorer.parts import partition, summed
from dr_explorer.planting import Additive, Dataset
from dr_explorer.similarity import similarity
from dr_explorer.synthetic import RECIPES, auc
from dr_explorer.tail import Tail

PAPER = {"I": [0.909], "II": [0.991, 0.990, 0.944, 0.972], "III": [0.983], "IV": [0.968, 0.967, 0.979, 0.994]}
GIVEN = 8_000  # test sequences the reading is given, where it is given any
VERSION = 10  # of the reading; results of another version are not mixed in


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=user_cache_path("dr_explorer") / "logic-study")
    parser.add_argument("--first", type=int, default=0, help="leave out seeds below this one")
    parser.add_argument("--most", type=int, help="stop after so many new results: the study goes on where it stopped")
    parser.add_argument("--only", choices=("sets", "fresh"))
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    book = Book(given.cache / "results.jsonl")
    if not given.report:
        for key, work in islice(missing(book, given), given.most):
            book.write(key, work())
    report(book, range(given.first, given.seeds))


def missing(book: Book, given: argparse.Namespace):
    """What is still to be trained or read: its key, and the work."""
    for spec in specs(given.seeds) if given.only != "sets" else []:
        if spec.key not in book and spec.seed >= given.first:
            yield spec.key, partial(read_fresh, spec, given.cache)
    for seed, name in product(range(given.first, given.seeds), PAPER) if given.only != "fresh" else []:
        if f"set-{name}-{seed}" not in book:
            yield f"set-{name}-{seed}", partial(read_set, name, seed, given.cache)


class Book:
    """Results by key, each on a line of its own as soon as it is known."""

    def __init__(self, path: Path):
        self.path, self.rows = path, {}
        for line in path.read_text().splitlines() if path.exists() else []:
            row = json.loads(line)
            if row.pop("version") == VERSION:
                self.rows[row.pop("key")] = row

    def __contains__(self, key: str) -> bool:
        return key in self.rows

    def write(self, key: str, row: dict) -> None:
        self.rows[key] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"version": VERSION, "key": key, **row}) + "\n")
        print(key, {k: v for k, v in row.items() if k not in ("motifs",)}, flush=True)


# ---- freshly planted rules


def read_fresh(spec, folder: Path) -> dict:
    trained = fetch(spec, folder)
    dataset, area = trained.dataset, trained.auc["y"]
    row = {"rule": spec.rule, "pool": spec.pool, "auc": area, "train_s": trained.seconds, "motifs": dataset.motifs}
    row |= {"warm_up": trained.settings.warm_up}
    if area < REACHED:
        return row
    tail = Tail(trained.model, trained.layer, example_input=trained.example_input)
    test = dataset.x[dataset.test][:GIVEN]
    for label, sequences in (("given", test), ("random", None)):
        scene = groups.scene(tail, length=dataset.length, sequences=sequences)
        seeds = known_seeds(dataset, scene)
        cut = scene.without(seeds)
        features = groups.features(cut, seeds)
        reading = logic.read(groups.corners(cut, features, 0))
        if weakness := groups.weak(features):
            reading = logic.unclear(reading, weakness)
        row[f"known_{label}"] = verdict(dataset, spec.rule, reading, list(dataset.motifs))
        row[f"known_{label}_says"] = f"{reading.logic} {reading.confidence:.2f}"
        if sequences is None:
            continue  # what is found in made-up sequences cannot be checked on real ones
        begun = time.perf_counter()
        found = finding.find(scene, 0)
        row[f"found_{label}_s"] = time.perf_counter() - begun
        row[f"found_{label}"] = verdict(dataset, spec.rule, found.reading, matched(dataset, found.features))
        row[f"found_{label}_says"] = (
            f"{found.reading.logic} {found.reading.confidence:.2f} concordance {found.explained:.2f}"
        )
    return row


def known_seeds(dataset: Dataset, scene, n: int = 4000) -> list[int]:
    """For each motif the channel whose maximum best tells its presence, on test sequences."""
    x, present = dataset.x[dataset.test][:n], dataset.present[dataset.test][:n]
    peaks = groups.peaks(scene, x)
    areas = [auc(np.repeat(column[:, None], peaks.shape[1], 1), peaks) for column in present.T]
    return [int(np.nanargmax(area)) for area in areas]


def matched(dataset: Dataset, features) -> list[str | None]:
    """The motif each found feature stands for: the word that most of its inserted windows hold, up to one letter.

    Of several the one that most of them hold to the letter, and then the longest: but for a letter, a short word may
    lie within a long one, and a long one in a short one with its neighbours.
    """
    named = []
    for one in features:
        share = {name: np.mean([holds(w, word) for w in one.windows]) for name, word in dataset.motifs.items()}
        exact = {name: np.mean([word in w for w in one.windows]) for name, word in dataset.motifs.items()}
        held = [name for name, of_windows in share.items() if of_windows > 0.5]
        named.append(max(held, key=lambda name: (exact[name], len(dataset.motifs[name])), default=None))
    return named


def holds(window: str, word: str) -> bool:
    ends = range(len(word), len(window) + 1)
    return any(sum(a != b for a, b in zip(window[e - len(word) : e], word, strict=True)) <= 1 for e in ends)


def verdict(dataset: Dataset, rule: str, reading, names: list[str | None]) -> str:
    """right, wrong or unclear: the table read, on features that stand for these motifs, against the rule planted."""
    if reading.logic == "unclear":
        return "unclear"
    planted = RULES[rule]
    if isinstance(planted, Additive) or reading.logic == "additive":
        both = isinstance(planted, Additive) and reading.logic == "additive"
        return "right" if both and set(planted.names) <= set(names) else "wrong"
    formula, motifs = parse(planted), list(dataset.motifs)
    for states in product((False, True), repeat=len(motifs)):
        on = dict(zip(motifs, states, strict=True))
        truth = bool(formula({name: np.array(value) for name, value in on.items()}))
        # A feature that stands for no motif must not matter: both of its states are checked.
        for free in product((False, True), repeat=len(names)):
            corner = tuple(int(on[name]) if name else int(f) for name, f in zip(names, free, strict=True))
            if bool(reading.bits[corner]) != truth:
                return "wrong"
    return "right"


# ---- sets I-IV


def read_set(name: str, seed: int, folder: Path) -> dict:
    trained = fetch_set(name, seed, folder, **RECIPES.get(name, {}))
    dataset = trained.dataset
    row = {"set": name, "auc": list(trained.auc.values()), "train_s": trained.seconds}
    tail = Tail(trained.model, trained.layer, example_input=trained.example_input)
    scene = groups.scene(tail, length=dataset.length, sequences=dataset.x[dataset.test][:GIVEN])
    seeds = known_seeds(dataset, scene)
    whole, scene = scene, scene.without(seeds)
    features = groups.features(scene, seeds)
    resolution = dr.resolve(
        trained.model,
        trained.layer,
        example_input=trained.example_input,
        target_names=trained.target_names,
        init="normal",
    )
    by_motif = dict(zip(dataset.motifs, features, strict=True))
    if name in ("I", "III"):
        row |= inconsistency_of(resolution, by_motif, name)
        row["il_over_any_other_feature"] = inconsistency_of_parts(resolution, scene, by_motif, name)
        reading = logic.read(groups.corners(scene, features, 0))
        row["says"] = f"{reading.logic} {reading.confidence:.2f}"
        row["verdict"] = "right" if reading.formula == FORMULAS[name] and reading.logic != "unclear" else reading.logic
    if name == "II":
        row["says"], row["verdict"], row["found"] = [], [], []
        for column, (target, rule) in enumerate(dataset.rules.items()):
            reading = logic.read(groups.corners(scene, [by_motif[m] for m in rule.names], column))
            row["says"].append(f"{reading.logic} {reading.confidence:.2f}")
            name_of_rule = "AND" if " and " in target else "OR"
            row["verdict"].append("right" if reading.logic == name_of_rule else reading.logic)
            found = finding.find(whole, column)
            right = found.reading.logic == name_of_rule and set(matched(dataset, found.features)) == set(rule.names)
            row["found"].append("right" if right else found.reading.logic)
    if name == "IV":
        row |= similarities(resolution, trained.model)
    return row


PAIRS = {"I": ["CGCTTG", "CAGATG"], "III": ["GCTCAT", "CGCTTG"]}  # the motifs of the XOR
FORMULAS = {"I": "A xor B", "III": "A and (B xor C)"}


def inconsistency_of(resolution, by_motif: dict, name: str) -> dict:
    """The motif channels' inconsistency against the other channels', and the signs over the restarts.

    A motif is detected by several channels. Its channel is the one of them that weighs most in any restart; the others
    are copies, so there are two comparisons: with every other channel, and with those outside the motifs' groups. A
    group's own level is that of its channels' summed importance.
    """
    level, fiv = resolution.inconsistency().values[0], resolution.dataset.fiv.values[0]
    importance = resolution.ofiv("max").values[0]
    pair = PAIRS[name]
    weight = np.abs(fiv).max(0)
    channel = {motif: int(max(one.members, key=lambda k: weight[k])) for motif, one in by_motif.items()}
    chosen = [channel[motif] for motif in pair]
    members = set(np.concatenate([by_motif[motif].members for motif in pair]).tolist())
    others = [k for k in range(len(level)) if k not in chosen]
    outside = [k for k in range(len(level)) if k not in members]
    together = [fiv[:, by_motif[motif].members].sum(1) for motif in pair]
    rank = (-importance).argsort().argsort()
    return {
        "il_over_any_other": float(level[chosen].min() / max(level[others].max(), 1e-12)),
        "il_over_other_groups": float(level[chosen].min() / max(level[outside].max(), 1e-12)),
        "group_il_over_other_groups": float(min(one.var() for one in together) / max(level[outside].max(), 1e-12)),
        "il": {motif: float(level[k]) for motif, k in channel.items()},
        "opposite": float((fiv[:, chosen[0]] * fiv[:, chosen[1]] < 0).mean()),
        "ofiv_rank": [int(rank[list(one.members)].min()) + 1 for one in by_motif.values()],
    }


def inconsistency_of_parts(resolution, scene, by_motif: dict, name: str) -> float:
    """The XOR motifs' inconsistency over that of any other feature, copies of one motif read as one."""
    fiv = resolution.dataset.fiv.values[0]
    weight = np.abs(fiv).max(0)
    parts = partition(groups.features(scene, np.nonzero(scene.range > 0)[0].tolist()), weight)
    level = summed(fiv, parts).var(0)
    channels = [int(max(by_motif[motif].members, key=lambda k: weight[k])) for motif in PAIRS[name]]
    mine = [next(i for i, part in enumerate(parts) if k in part) for k in channels]
    return float(level[mine].min() / max(np.delete(level, mine).max(), 1e-12))


def similarities(resolution, model) -> dict:
    """The least similar pair among classes 1-3 against the most similar one with class 4."""

    def margin(matrix: np.ndarray) -> float:
        inside = min(matrix[i, j] for i, j in combinations(range(3), 2))
        return float(inside - max(matrix[i, 3] for i in range(3)))

    ofiv = resolution.ofiv().values
    return {
        "positive": margin(similarity(ofiv)),
        "signed": margin(similarity(ofiv, metric="signed")),
        "weights": margin(np.corrcoef(model.out.weight.detach().numpy())),
    }


# ---- the table


def report(book: Book, seeds: range) -> None:
    rows_of = {key: row for key, row in book.rows.items() if int(key.rpartition("-")[2]) in seeds}
    sets = [row for row in rows_of.values() if "set" in row]
    print("\nSets I-IV (target: AUC within 0.02 of the paper's or better)")
    for name, paper in PAPER.items():
        rows = [row for row in sets if row["set"] == name]
        if not rows:
            continue
        areas = np.array([row["auc"] for row in rows])
        reached = (areas >= np.array(paper) - 0.02).all(1).sum()
        slowest = max(row["train_s"] for row in rows)
        print(
            f"  {name:4} lowest AUC a class {areas.min(0).round(4).tolist()}, paper {paper}: {reached} of {len(rows)}"
        )
        print(f"       training at most {slowest:.0f} s on one shared core (target: 120 s on two)")
        for row in rows:
            print("      ", {k: _round(v) for k, v in row.items() if k not in ("set", "auc", "train_s")})
    fresh = [row for row in rows_of.values() if "rule" in row]
    learned = [row for row in fresh if row["auc"] >= REACHED]
    print(f"\nFreshly planted rules: {len(learned)} of {len(fresh)} networks reached AUC {REACHED}")
    targets = {"known": (0.90, 0.03), "found": (0.80, 0.05)}
    for label, (right, wrong) in targets.items():
        for kind in ("given", "random") if label == "known" else ("given",):
            counts = Counter(row[f"{label}_{kind}"] for row in learned)
            n = max(1, len(learned))
            print(
                f"  channels {label:5} sequences {kind:6}: right {counts['right'] / n:.1%} (target {right:.0%}), "
                f"wrong {counts['wrong'] / n:.1%} (target at most {wrong:.0%}), unclear {counts['unclear'] / n:.1%}"
            )
    print("  by rule, right + wrong of all: channels known, found; known, no sequences")
    for rule in RULES:
        rows = [row for row in learned if row["rule"] == rule]
        ways = ("known_given", "found_given", "known_random")
        counts = [Counter(row[way] for row in rows) for way in ways]
        print(f"    {rule:16}" + "".join(f"{c['right']:6d} +{c['wrong']:2d} of {len(rows)}" for c in counts))
    for key, row in rows_of.items():
        for label in ("known_given", "found_given", "known_random"):
            if row.get(label) in ("wrong", "unclear"):
                print(f"  {key} {label}: {row[label]}, {row[label + '_says']}, {row['motifs']}")


def _round(value):
    if isinstance(value, list):
        return [_round(v) for v in value]
    if isinstance(value, dict):
        return {k: _round(v) for k, v in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
