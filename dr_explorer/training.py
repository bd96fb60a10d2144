"""Training a network on a planted set, with its progress told while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from dr_explorer.planted_network import Trained, auc, network, predict, settings_of
from dr_explorer.planting import Dataset
from dr_explorer.warming_up import start_head, warm_up

VALIDATION_SHARE = 0.1
# Losing this share of the chance-level loss counts as having learned something: only then does patience run.
LEARNED = 0.03
SMOOTHING = 50  # batches the reported loss is a mean of


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
    chosen = settings_of(settings)
    _check(dataset)
    torch_state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # batches this small are no faster on two, and several times slower on a busy machine
        torch.manual_seed(random_state)
        return _train(dataset, chosen, progress, verbose, torch.device(device or "cpu"), random_state)
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(torch_state)  # a training must not change what the caller draws next


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
        warm_up(model, dataset, x[rows], y[rows], random_state)
        start_head(model, x[rows], y[rows], random_state)

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


def _chance_loss(y: np.ndarray) -> float:
    """Cross-entropy of a network that knows the prevalence only."""
    p = y.mean(axis=0).clip(1e-6, 1 - 1e-6)
    return float(np.mean(-p * np.log(p) - (1 - p) * np.log(1 - p)))
