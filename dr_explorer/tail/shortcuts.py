"""Choosing the quickest way to compute a tail that agrees with the whole network."""

from __future__ import annotations

import torch

from .cut import Cut, Run
from .memory import by_memory
from .traced import by_export, by_trace

#: Two ways agree when logits and gradients differ by at most this, relative to the largest: float32 sums in another
#: order differ by about 1e-6 a layer, TF32 ones (the default of convolutions on CUDA) by 1e-3, a wrong graph by far
#: more.
_AGREEMENT = {"cpu": 1e-3, "cuda": 1e-2}
#: The same sums in the same order, up to what a GPU leaves open.
_SAME = 1e-6
RANDOM = (
    "the network is random: two runs on the same input differ, in eval mode. Switch the noise off; export programs "
    "from eval mode (model.eval())"
)


def quickest(cut: Cut, maps: torch.Tensor) -> tuple[Run, str, torch.Tensor]:
    """The first quick way to compute the tail that agrees with the whole network on `maps`, else the whole network.

    Returns
    -------
    run : the way.
    name : of the way.
    logits : (N, C) of the whole network on `maps`: it may be large, so it is run as seldom as can be.
    """
    fixed = cut.network.fixed
    whole = _in_groups(cut.whole, fixed)
    trials = (maps, maps[:1])
    answers, trouble = [], None
    for trial in trials:
        try:
            answers.append(_both(whole, trial))
        except RuntimeError as error:  # autograd refuses: values it saved were overwritten in place
            trouble = error
            with torch.no_grad():
                answers.append((whole(trial), None))

    def agrees(run: Run) -> bool:
        for trial, (logits, grad) in [*zip(trials, answers, strict=True), (trials[0], answers[0])]:
            found, slope = _both(run, trial)
            if not (_agree(found, logits) and (grad is None or _agree(slope, grad))):
                return False
        return True

    for way in (by_trace, by_export, by_memory):
        try:
            run = _careful(way(cut), _some(maps, fixed or 2))
        except Exception:  # whatever stops a shortcut, the next one may do, and the whole network always does
            continue
        for spread in (_all_groups_at_once, _in_groups) if fixed else (lambda run, _: run,):
            try:
                if agrees(spread(run, fixed)):
                    return spread(run, fixed), way.__name__.removeprefix("by_"), answers[0][0]
            except Exception:
                continue
    if trouble is not None:
        raise ValueError(
            f"the network has no gradient from {cut.call_cut.name!r} to its output: {trouble}"
        ) from trouble
    return whole, "whole", answers[0][0]


def check_rows(run: Run, maps: torch.Tensor) -> None:
    """Rows must not see each other: a map's logits are the same alone and among others.

    Raises
    ------
    ValueError
        When they are not, or when they are not even the same twice.
    """
    with torch.no_grad():
        together, again = run(maps), run(maps)
        alone = torch.cat([run(row[None]) for row in maps])
    if not _agree(together, again):
        raise ValueError(RANDOM)
    if not _agree(together, alone):
        raise ValueError(
            "the rows of a batch influence each other: a map's logits change with the other maps in the batch. Typical "
            "causes: a recurrent or attention layer without batch_first=True, batch norm without running statistics, "
            "dynamic quantisation, a program exported in training mode"
        )


def depends_on_input(cut: Cut, maps: torch.Tensor, logits: torch.Tensor) -> bool:
    """Whether, the layer's output given, the logits (N, C) that the whole network has there change with the input."""
    network = cut.network
    other = network.shuffled()
    whole = _in_groups(lambda given: cut.whole(given, network.rows(len(given), other)), network.fixed)
    with torch.enable_grad():  # as `logits` were: some layers do other sums without gradients
        there = whole(maps.detach().clone().requires_grad_()).detach()
    return not _agree(logits, there, _SAME)


def same_rows(maps: torch.Tensor) -> None:
    """Feature maps (N, ...) of equal inputs must be equal.

    Raises
    ------
    ValueError
        When they are not: what lies before the cut is random.
    """
    if not _agree(maps, maps[:1].expand_as(maps)):
        raise ValueError(RANDOM)


def _some(maps: torch.Tensor, n: int) -> torch.Tensor:
    return maps[torch.arange(n, device=maps.device) % len(maps)]


def _in_groups(run: Run, fixed: int | None) -> Run:
    """`run` for any number of maps, where it takes exactly `fixed`: group by group."""
    if not fixed:
        return run

    def grouped(maps):
        groups = _filled(maps, fixed).split(fixed)
        # Copies: views of one split may not be changed in place.
        return torch.cat([run(group.clone()) for group in groups])[: len(maps)]

    return grouped


def _all_groups_at_once(run: Run, fixed: int) -> Run:
    """The same, in one call, for operations that vectorise over groups."""
    vectorised = torch.vmap(run)

    def grouped(maps):
        full = _filled(maps, fixed)
        return vectorised(full.unflatten(0, (len(full) // fixed, fixed))).flatten(0, 1)[: len(maps)]

    return grouped


def _filled(maps: torch.Tensor, fixed: int) -> torch.Tensor:
    """Maps, and as many copies of the last as fill a group; one group at least."""
    missing = -len(maps) % fixed if len(maps) else fixed
    last = maps[-1:] if len(maps) else maps.new_zeros(1, *maps.shape[1:])
    return torch.cat([maps, last.expand(missing, *maps.shape[1:])]) if missing else maps


def _careful(run: Run, maps: torch.Tensor) -> Run:
    """`run`, given a copy of the maps if it works in place on them."""
    trial = maps.clone()
    version = trial._version
    with torch.no_grad():
        run(trial)
    if trial._version == version:
        return run
    return lambda maps: run(maps.clone())


def _both(run: Run, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and the gradient of a mixture of them."""
    with torch.enable_grad():
        maps = maps.detach().clone().requires_grad_()
        logits = run(maps)
        weights = torch.linspace(0.5, 1.5, logits[0].numel(), dtype=logits.dtype, device=logits.device).view_as(
            logits[0]
        )
        (grad,) = torch.autograd.grad((logits * weights).sum(), maps)
    return logits.detach(), grad


def _agree(a: torch.Tensor, b: torch.Tensor, tolerance: float | None = None) -> bool:
    if a.shape != b.shape:
        return False
    tolerance = _AGREEMENT.get(b.device.type, _AGREEMENT["cuda"]) if tolerance is None else tolerance
    scale = float(torch.nan_to_num(b, posinf=0.0, neginf=0.0).abs().max()) if b.numel() else 0.0
    return torch.allclose(a, b, rtol=0, atol=tolerance * scale + torch.finfo(b.dtype).tiny, equal_nan=True)
