"""The synthetic sets I-IV, the network that learns them, and its training.

Sets and architecture are those of Liu & Gifford (ICML 2017 workshop): 200 bp of uniform background, motifs at random
positions, a fifth held out; a convolution of 32 filters of 8, local max-pool with stride 4, a dense layer of 64.
Anything else is planted with `plant`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from dr_explorer.formula import Formula, FormulaError, parse
from dr_explorer.planting import Additive, Dataset, plant

__all__ = [
    "Additive", "Dataset", "Formula", "FormulaError", "Progress", "Settings", "Trained",
    "auc", "cache_path", "make", "network", "parse", "plant", "train", "trained",
]  # fmt: skip

# Raise when sets or training change, so that networks cached before are trained anew.
CACHE_VERSION = 3
# Settings that differ from a set's usual training. Set IV has signal in every motif alone and needs no warm-up; without
# it the filters stay what the four classes make of them, and their similarity comes out as published.
RECIPES = {"IV": {"warm_up": False, "epochs": 6}}
# The layer whose output is the feature map: the boundary between convolution and dense layers, as in the paper.
LAYER = "pool"


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


@dataclass(frozen=True)
class Settings:
    """How a network is built and trained."""

    pool: str = "local"  # "local": maximum of 4 with stride 4; "global": one maximum a channel
    filters: int = 32
    width: int = 8
    dense: int = 64
    epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    sparsity: float = 0.0  # weight of the mean activation of the feature map in the loss
    warm_up: bool = True  # filters first learn what was planted at all, see `_warm_up`
    patience: int = 2  # epochs without a better validation loss, once something was learned


@dataclass(frozen=True)
class Progress:
    """Where a training stands; what the callback gets."""

    epoch: int
    epochs: int
    fraction: float  # of the whole training, 0-1
    loss: float  # mean over the last batches
    validation_loss: float  # of the last finished epoch, NaN before
    validation_auc: float  # mean over targets, likewise
    seconds: float


@dataclass(eq=False)
class Trained:
    """A network that was trained on a planted set.

    Attributes
    ----------
    model : nn.Sequential
        Layers ``conv, relu, pool, flatten, dense, relu2, out``; (N, 4, L) in, logits (N, C) out, in eval mode.
    layer : str
        The layer to resolve: its output is the feature map (channels, positions).
    auc : dict of str to float
        Area under the ROC curve on the held-out part, one a target.
    history : list of dict
        Per epoch: epoch, loss, validation_loss, validation_auc, seconds.
    """

    model: nn.Sequential
    dataset: Dataset
    settings: Settings
    auc: dict[str, float]
    history: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    layer: str = LAYER

    @property
    def example_input(self) -> torch.Tensor:
        return self.dataset.example_input

    @property
    def target_names(self) -> list[str]:
        return self.dataset.target_names


def network(length: int, n_targets: int, settings: Settings | None = None) -> nn.Sequential:
    """The paper's network, untrained."""
    settings = settings or Settings()
    if settings.pool not in ("local", "global"):
        raise ValueError(f"pool must be 'local' or 'global', not {settings.pool!r}")
    span = length - settings.width + 1
    if span < POOL:
        raise ValueError(
            f"sequences of {length} bp are too short for filters of {settings.width} and pooling by {POOL}"
        )
    pool = nn.MaxPool1d(POOL) if settings.pool == "local" else nn.AdaptiveMaxPool1d(1)
    positions = span // POOL if settings.pool == "local" else 1
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv1d(4, settings.filters, settings.width),
            relu=nn.ReLU(),
            pool=pool,
            flatten=nn.Flatten(),
            dense=nn.Linear(settings.filters * positions, settings.dense),
            relu2=nn.ReLU(),
            out=nn.Linear(settings.dense, n_targets),
        )
    )


POOL = 4
# The filters' first learning. Kernels start three times wider than torch's default, which is meant for deeper nets and
# leaves a one-hot convolution too flat to start; 400 small batches at this rate find every motif that is at all common.
WARM_UP_STEPS = 400
WARM_UP_BATCH = 64  # of each kind
BACKGROUNDS = 10_000
WARM_UP_RATE = 2e-2
WARM_UP_GAIN = 3.0
# A filter then keeps only the strongest 1 % of its background responses, and its strong responses are made 1.
BACKGROUND_SHARE = 0.01
# Filters that found nothing are not blown up beyond a quarter of the scale of the best one.
WEAKEST = 0.25
# The head's own start, on channels summed over positions.
HEAD_STEPS = 1500
HEAD_BATCH = 256
HEAD_RATE = 3e-3
VALIDATION_SHARE = 0.1
# Losing this share of the chance-level loss counts as having learned something: only then does patience run.
LEARNED = 0.03
SMOOTHING = 50  # batches the reported loss is a mean of


def train(
    dataset: Dataset,
    *,
    progress: Callable[[Progress], object] | None = None,
    verbose: bool = False,
    device: str | torch.device | None = None,
    random_state: int = 0,
    **settings,
) -> Trained:
    """Train the paper's network on a planted set.

    Parameters
    ----------
    dataset : from `make` or `plant`.
    progress : called about five times a second with a `Progress`; return True to stop the training where it is.
    verbose : a tqdm bar.
    device : default the CPU.
    random_state : start of the weights and order of the batches.
    **settings : any field of `Settings`, such as ``pool="global"`` or ``epochs=4``.

    Returns
    -------
    Trained

    Notes
    -----
    Adam with decoupled weight decay, one cycle of the learning rate; a tenth of the training part is kept aside and the
    weights with the best loss on it win. Warm-up (ours): a pure XOR has no signal in either motif alone, and gradient
    descent on the labels can miss it for hours; so the filters first learn to tell the set's sequences from its
    background, whatever their labels, and the head starts from one that treats all positions alike.
    """
    chosen = _settings(settings)
    _check(dataset)
    torch_state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # batches this small are no faster on two, and several times slower on a busy machine
        torch.manual_seed(random_state)
        return _train(dataset, chosen, progress, verbose, torch.device(device or "cpu"), random_state)
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(torch_state)  # a training must not change what the caller draws next


def _settings(given: dict) -> Settings:
    unknown = set(given) - set(Settings.__dataclass_fields__)
    if unknown:
        raise TypeError(
            f"train() has no setting {sorted(unknown)[0]!r}; it has {', '.join(Settings.__dataclass_fields__)}"
        )
    return Settings(**given)


def _check(dataset: Dataset) -> None:
    if not isinstance(dataset, Dataset):
        raise TypeError(f"expected a Dataset from make(...) or plant(...), not {type(dataset).__name__}")
    if not np.isfinite(dataset.y).all():
        raise ValueError("the labels hold NaN or infinity; every sequence needs a label 0 or 1")
    if np.issubdtype(dataset.x.dtype, np.floating) and not np.isfinite(dataset.x).all():
        raise ValueError("the sequences hold NaN or infinity; expected one-hot (N, 4, L)")


def _train(dataset, settings, progress, verbose, device, random_state) -> Trained:
    begun = time.perf_counter()
    draw = torch.Generator().manual_seed(random_state)
    rows = torch.from_numpy(np.nonzero(~dataset.test)[0])
    rows = rows[torch.randperm(len(rows), generator=draw)]
    kept = max(1, round(VALIDATION_SHARE * len(rows)))
    validation, rows = rows[:kept], rows[kept:]
    x, y = torch.from_numpy(dataset.x), torch.from_numpy(dataset.y)
    model = network(dataset.length, dataset.n_targets, settings).to(device)
    if settings.warm_up:
        _warm_up(model, dataset, x[rows], y[rows], random_state)
        _start_head(model, x[rows], y[rows], random_state)

    batches = max(1, len(rows) // settings.batch_size)
    steps = batches * settings.epochs
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=max(2, steps), pct_start=0.2
    )
    chance = _chance_loss(dataset.y)
    best, best_state, stale, history = np.inf, None, 0, []
    report = _Reporter(progress, verbose, settings.epochs, steps, begun)
    for epoch in range(settings.epochs):
        order = rows[torch.randperm(len(rows), generator=draw)]
        for batch in range(batches):
            pick = order[batch * settings.batch_size : (batch + 1) * settings.batch_size]
            maps = model[:3](x[pick].to(device, torch.float32))
            loss = F.binary_cross_entropy_with_logits(model[3:](maps), y[pick].to(device))
            (loss + settings.sparsity * maps.abs().mean() if settings.sparsity else loss).backward()
            optimizer.step()
            optimizer.zero_grad()
            cycle.step()
            if report.step(loss, epoch, epoch * batches + batch + 1):
                break
        logits = predict(model, x[validation])
        value = float(F.binary_cross_entropy_with_logits(torch.from_numpy(logits), y[validation]))
        if not np.isfinite(value):
            raise ValueError("the loss became NaN or infinite; lower learning_rate")
        history.append(report.epoch(value, float(np.nanmean(auc(y[validation].numpy(), logits)))))
        if value < best:
            best, best_state, stale = value, {k: v.detach().clone() for k, v in model.state_dict().items()}, 0
        else:
            stale += best < chance * (1 - LEARNED)
        if stale >= settings.patience or report.stopped:
            break
    report.close()
    model.load_state_dict(best_state)
    model.eval().cpu()
    tested = auc(dataset.y[dataset.test], predict(model, torch.from_numpy(dataset.x[dataset.test])))
    scores = dict(zip(dataset.target_names, map(float, tested), strict=True))
    return Trained(model, dataset, settings, scores, history, time.perf_counter() - begun)


def _warm_up(model, dataset: Dataset, x: torch.Tensor, y: torch.Tensor, random_state: int) -> None:
    """Let the filters find what was planted at all, then set their thresholds and scales from background."""
    device = model.conv.weight.device
    background = torch.from_numpy(dataset.backgrounds(BACKGROUNDS, random_state + 1))
    draw = torch.Generator().manual_seed(random_state + 1)
    with torch.no_grad():
        model.conv.weight *= WARM_UP_GAIN
    head = nn.Linear(model.conv.out_channels, 1 + y.shape[1]).to(device)
    optimizer = torch.optim.Adam([*model.conv.parameters(), *head.parameters()], lr=WARM_UP_RATE)
    real = torch.cat([torch.ones(WARM_UP_BATCH, 1), torch.zeros(WARM_UP_BATCH, 1)]).to(device)
    for _ in range(WARM_UP_STEPS):
        pick = torch.randint(len(x), (WARM_UP_BATCH,), generator=draw)
        other = torch.randint(len(background), (WARM_UP_BATCH,), generator=draw)
        both = torch.cat([x[pick], background[other]]).to(device, torch.float32)
        out = head(F.relu(model.conv(both)).amax(2))
        loss = F.binary_cross_entropy_with_logits(out[:, :1], real)
        loss = loss + F.binary_cross_entropy_with_logits(out[:WARM_UP_BATCH, 1:], y[pick].to(device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        responses = model.conv(background[:2000].to(device, torch.float32)).transpose(0, 1).flatten(1)
        threshold = responses.topk(max(1, int(responses.shape[1] * BACKGROUND_SHARE)), 1).values[:, -1]
        model.conv.bias -= threshold
        strong = F.relu(model.conv(x[:2000].to(device, torch.float32))).amax(2).quantile(0.9, 0)
        scale = strong.clamp_min(WEAKEST * float(strong.max())).clamp_min(1e-3)
        model.conv.weight /= scale[:, None, None]
        model.conv.bias /= scale


def _start_head(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, random_state: int) -> None:
    """Start the dense layers where a motif counts the same at every position, on the filters as they are.

    The same head on channels summed over positions is small enough to be trained in a second, and its weights, repeated
    along the positions, are the same function on the whole map.
    """
    device = model.conv.weight.device
    draw = torch.Generator().manual_seed(random_state + 2)
    with torch.no_grad():
        maps = [model[:3](x[i : i + 1000].to(device, torch.float32)).sum(2) for i in range(0, len(x), 1000)]
    sums, labels = torch.cat(maps), y.to(device)
    head = nn.Sequential(nn.Linear(sums.shape[1], model.dense.out_features), nn.ReLU(), model.out)
    optimizer = torch.optim.AdamW(head.parameters(), lr=HEAD_RATE)
    for _ in range(HEAD_STEPS):
        pick = torch.randint(len(sums), (HEAD_BATCH,), generator=draw)
        F.binary_cross_entropy_with_logits(head(sums[pick]), labels[pick]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        positions = model.dense.in_features // sums.shape[1]
        model.dense.weight.copy_(head[0].weight.repeat_interleave(positions, dim=1))
        model.dense.bias.copy_(head[0].bias)


class _Reporter:
    """Turns steps into a tqdm bar, callbacks and the history."""

    def __init__(self, progress, verbose, epochs, steps, begun):
        self.progress, self.epochs, self.steps, self.begun = progress, epochs, steps, begun
        self.recent: list[float] = []
        self.validation, self.at, self.stopped, self.last = (np.nan, np.nan), 0, False, 0.0
        self.bar = None
        if verbose:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=steps, unit="batch", desc="training", leave=False)

    def step(self, loss: torch.Tensor, epoch: int, done: int) -> bool:
        self.recent = [*self.recent[1 - SMOOTHING :], float(loss.detach())]
        self.at = epoch
        now = time.perf_counter()
        if self.bar is not None:
            self.bar.update(1)
        if now - self.last > 0.2 or done == self.steps:
            self.last = now
            mean = float(np.mean(self.recent))
            if self.bar is not None:
                self.bar.set_postfix(loss=f"{mean:.3f}", auc=f"{self.validation[1]:.3f}")
            if self.progress is not None:
                state = Progress(epoch, self.epochs, done / self.steps, mean, *self.validation, now - self.begun)
                self.stopped = self.progress(state) is True
        return self.stopped

    def epoch(self, loss: float, area: float) -> dict:
        self.validation = (loss, area)
        row = {"epoch": self.at, "loss": float(np.mean(self.recent)), "validation_loss": loss, "validation_auc": area}
        return {**row, "seconds": time.perf_counter() - self.begun}

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def predict(model: nn.Module, x, batch_size: int = 1000) -> np.ndarray:
    """Logits (N, C) of one-hot sequences, an array or tensor of any number type."""
    x = torch.as_tensor(x)
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [model(x[i : i + batch_size].to(device, torch.float32)).cpu() for i in range(0, len(x), batch_size)]
    return torch.cat(parts).numpy()


def auc(y: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, one a column: the share of positive-negative pairs in the right order, ties half.

    Parameters
    ----------
    y : (N, C), 0 or 1.
    score : (N, C), any increasing scale.

    Returns
    -------
    (C,); NaN where a column has one kind only.
    """
    from scipy.stats import rankdata

    rank = rankdata(score, axis=0)
    positive = (y > 0.5).sum(axis=0)
    negative = len(y) - positive
    above = (rank * (y > 0.5)).sum(axis=0) - positive * (positive + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / (positive * negative)


def _chance_loss(y: np.ndarray) -> float:
    """Cross-entropy of a network that knows the prevalence only."""
    p = y.mean(axis=0).clip(1e-6, 1 - 1e-6)
    return float(np.mean(-p * np.log(p) - (1 - p) * np.log(1 - p)))


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
    chosen = _settings(settings)
    path = cache_path(name, n, random_state, chosen)
    kept = _read(path, dataset, chosen)
    if kept is not None:
        return kept
    result = train(dataset, progress=progress, verbose=verbose, random_state=random_state, **settings)
    _write(path, result)
    return result


def cache_path(name: str, n: int | None, random_state: int, settings: Settings) -> Path:
    """The file a trained network is kept in; its name changes with everything the network depends on."""
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
