"""Are Theano's kernels read the right way round? Real networks on real peaks, against dinucleotide shuffles.

    python benchmarks/flips.py --data ../shared/data

Each 100 nt peak is padded with one column of zeros behind it to the networks' 101 positions, and so is its shuffle.
The files list strong peaks first: "strongest" takes the first ones, "all over" as many spread over the whole file.
A network read wrongly is as good as a coin (AUC 0.5) and says nothing about it: hence the last column.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from dr_explorer.keras import load_keras
from dr_explorer.sequences import dinucleotide_shuffle, one_hot, read_fasta

TARGET = 0.85  # AUC that every network must reach
BATCH = 2048  # sequences at a time: 16 filters at 101 positions, some 13 MB
PEAKS = {"Ctcf": "ctcf", "Pu1": "pu1"}  # part of the experiment's name: file of its factor's peaks


def auc(model: torch.nn.Module, peaks: np.ndarray, shuffles: np.ndarray) -> float:
    x, truth = np.concatenate([peaks, shuffles]), np.repeat([1, 0], [len(peaks), len(shuffles)])
    with torch.inference_mode():
        parts = [model(torch.from_numpy(part))[:, 0].numpy() for part in np.array_split(x, len(x) // BATCH + 1)]
    return roc_auc_score(truth, np.concatenate(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with tf422 and seqs_ctcf_pu1")
    parser.add_argument("--peaks", type=int, default=2000, help="peaks in each sample of a factor")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffles")
    options = parser.parse_args()

    worst, unflipped = 1.0, []
    for part, file in PEAKS.items():
        models = sorted((options.data / "tf422" / "models").glob(f"*{part}*.h5"))
        _, sequences = read_fasta(options.data / "seqs_ctcf_pu1" / f"{file}.fa.gz")
        length = load_keras(models[0]).input_length
        samples = []
        for sample in (
            sequences[: options.peaks],
            sequences[:: max(1, len(sequences) // options.peaks)][: options.peaks],
        ):
            shuffled = dinucleotide_shuffle(sample, random_state=options.seed)
            samples.append([one_hot(some, length=length) for some in (sample, shuffled)])
        print(f"\n{file}: {options.peaks:,} of {len(sequences):,} peaks and their shuffles; AUC")
        print(f"{'network':56s} {'strongest':>9s} {'all over':>9s} {'not flipped':>12s}")
        for path in models:
            model, wrong = load_keras(path), load_keras(path, flip=False)
            strongest, spread, unturned = auc(model, *samples[0]), auc(model, *samples[1]), auc(wrong, *samples[0])
            worst = min(worst, strongest, spread)
            unflipped.append(unturned)
            mark = "" if min(strongest, spread) >= TARGET else "   below the target"
            print(f"{path.stem:56s} {strongest:9.3f} {spread:9.3f} {unturned:12.3f}{mark}")
    print(f"\nworst AUC {worst:.3f}, target {TARGET}: ratio {worst / TARGET:.2f}")
    print(
        f"not flipped: median {np.median(unflipped):.3f}, {min(unflipped):.3f} to {max(unflipped):.3f}; a coin has 0.5"
    )
    if worst < TARGET:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
