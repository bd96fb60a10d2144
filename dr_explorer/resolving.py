"""resolve(): every class of a network resolved into the features it is built from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from dr_explorer.ascent import Ascent
from dr_explorer.names import checked_names, target_columns
from dr_explorer.resolution import Resolution
from dr_explorer.tail import Tail
from dr_explorer.trials import STOPPED


def resolve(
    model: torch.nn.Module,
    layer: str | torch.nn.Module | None = None,
    *,
    example_input: torch.Tensor | tuple[torch.Tensor, ...],
    targets: Sequence[int | str] | None = None,
    target_names: Sequence[str] | None = None,
    output: Callable[[Any], torch.Tensor] | None = None,
    n_restarts: int = 10,
    l2: float | None = None,
    step_size: float | None = None,
    patience: int = 10,
    max_steps: int = 10_000,
    rule: str = "fast",
    init: str | None = None,
    keep_maps: str = "best",
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    random_state: int = 0,
    client: Any = None,
    verbose: bool = False,
) -> Resolution:
    """Resolve every class of a network into the features it favours at one layer (DeepResolve).

    For each class, ``argmax_H S(H) - l2 * sum(H**2)`` is climbed from ``n_restarts`` random feature maps ``H``, where
    ``S`` is the class's logit. No sequence is needed. The model is not touched: a private copy is ascended.

    Parameters
    ----------
    model : the trained network.
    layer : dotted name of a module, or the module, whose output is the feature map; None takes the suggested one
        (see `list_layers`).
    example_input : tensor (N, 4, L), or a tuple of the model's inputs. Its shape is needed; its values matter only
        where a skip connection passes the cut.
    targets : output columns to resolve, as indices or names; default all.
    target_names : a name for each output column of the network.
    output : turns the model's output into (N, C) logits, for models with several outputs.
    n_restarts : random starts a class.
    l2 : weight of the penalty; None chooses it so that the maps are as large as the layer's strong natural
        activations.
    step_size, patience, max_steps : of ``rule="authors"``; `max_steps` bounds every rule.
    rule : ``"fast"`` finds the optimum; ``"authors"`` reproduces the published procedure exactly.
    init : random maps from ``"normal"``, N(0, 1), or ``"uniform"``, U[0, 1); None takes the rule's own, normal for the
        fast one, which finds more of the basins there are, uniform for the authors', as published.
    keep_maps : ``"best"`` the best restart's feature map of each class, ``"all"``, or ``"none"``.
    batch_size : trials at a time; None fits the device.
    device : where to compute; default where the model is.
    random_state : the same number gives the same result.
    client : kept for sharing classes among Dask workers, which is not written yet; None.
    verbose : show a progress bar.

    Returns
    -------
    Resolution

    Raises
    ------
    TypeError, ValueError
        For bad input, before anything runs.

    Notes
    -----
    Interrupting keeps what is there: the trials that did not end are marked "stopped". The paper: Liu & Gifford,
    ICML 2017 workshop; Liu, Zeng & Gifford, BMC Bioinformatics 2019.
    """
    if client is not None:
        raise NotImplementedError("classes cannot be shared among Dask workers yet: leave client out")
    if output is not None and not callable(output):
        raise TypeError(f"output is {output!r}; expected a function that turns the model's output into (N, C) logits")
    tail = Tail(model, layer, example_input=example_input, output=output, device=device)
    names = checked_names(target_names, tail.n_targets)
    columns = target_columns(targets, names)
    ascent = Ascent(
        tail,
        targets=columns,
        n_restarts=n_restarts,
        l2=l2,
        step_size=step_size,
        patience=patience,
        max_steps=max_steps,
        rule=rule,
        init=init,
        keep_maps=keep_maps,
        batch_size=batch_size,
        random_state=random_state,
    )
    try:
        with _progress(ascent, verbose) as progress:
            ascent.run(progress)
    except KeyboardInterrupt:
        ascent.stop()
        ended = int((ascent.trials.status < STOPPED).sum())
        warnings.warn(
            f"interrupted: {ended} of {ascent.trials.status.size} trials had ended, the rest is marked stopped",
            stacklevel=2,
        )
    return Resolution.from_ascent(ascent, [names[c] for c in columns])


class _progress:
    """A tqdm bar over trials when wanted, else nothing."""

    def __init__(self, ascent: Ascent, verbose: bool) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(total=ascent.trials.status.size, unit="trial", disable=not verbose, desc="Resolving")

    def __enter__(self) -> Callable[[int], None]:
        return lambda ended: self._bar.update(ended - self._bar.n)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
