"""resolve() and Resolution: every class resolved into the features it is built from, as labelled arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from dr_explorer import importance, similarity
from dr_explorer.ascent import Ascent
from dr_explorer.names import checked_names, position_of, target_columns
from dr_explorer.tail import Tail
from dr_explorer.trials import STATES, STOPPED, USABLE

if TYPE_CHECKING:
    import anndata


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


class Resolution:
    """What an ascent found: every class's restarts, labelled, and the readings made from them.

    Attributes
    ----------
    dataset : xarray.Dataset
        Dimensions ``target`` (classes), ``restart``, ``channel``, ``position``; variables

        - ``fiv`` (target, restart, channel): feature importance vectors, the mean of each end point over positions;
          NaN where a restart diverged or never began;
        - ``score``, ``objective`` (target, restart), logits: ``S`` and ``S - l2 * sum(H**2)``;
        - ``status`` (target, restart): see `dr_explorer.trials.STATES`; ``steps``: gradient evaluations;
        - ``map`` (target, channel[, position]) of the best restart, or (target, restart, ...) with
          ``keep_maps="all"``;
        - ``trace_step`` (point,), ``trace_objective`` (target, restart, point): the convergence lines.

        Settings, seeds and versions are in ``attrs``.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        missing = [name for name in ("fiv", "score", "objective", "status") if name not in dataset]
        if missing:
            raise ValueError(f"not a resolution: the dataset lacks {', '.join(missing)}")
        self.dataset = dataset

    @classmethod
    def from_ascent(cls, ascent: Ascent, names: Sequence[str]) -> Resolution:
        """Label what an `Ascent` has reached, finished or not; ``names`` (C,) of its classes."""
        tail, trials = ascent.tail, ascent.trials
        usable = np.isin(trials.status, USABLE)
        trial = ("target", "restart")
        data: dict[str, Any] = {
            "fiv": ((*trial, "channel"), np.where(usable[..., None], trials.fiv, np.nan)),
            "score": (trial, np.where(usable, trials.score, np.nan)),
            "objective": (trial, np.where(usable, trials.objective, np.nan)),
            "status": (trial, trials.status.copy()),
            "steps": (trial, trials.steps.copy()),
            "trace_step": (("point",), trials.traces.step.copy()),
            "trace_objective": ((*trial, "point"), trials.traces.objective.copy()),
            "column": (("target",), np.asarray(ascent.targets)),
        }
        place = ("channel", "position")[: len(tail.shape)]
        if trials.keep_maps == "best":
            data["map"] = (("target", *place), trials.best_maps())
        elif trials.keep_maps == "all" and trials.ends is not None:
            data["map"] = ((*trial, *place), trials.ends.copy())
        if (weights := tail.first_layer()) is not None:
            data["first_layer"] = (("channel", "base", "width"), np.asarray(weights, np.float32))
        coords: dict[str, Any] = {
            "target": np.array(list(names), dtype=object),
            "restart": np.arange(ascent.trials.n_restarts),
            "channel": np.arange(tail.shape[0]),
        }
        if len(tail.shape) == 2:
            coords["position"] = np.arange(tail.shape[1])
        if "first_layer" in data:
            coords["base"] = list("ACGT")
        return cls(xr.Dataset(data, coords, attrs=_attributes(ascent)))

    # -- readings ------------------------------------------------------------------------------------------------------

    @property
    def targets(self) -> list[str]:
        """The classes' names."""
        return [str(name) for name in self.dataset.target.values]

    def position_of(self, target: int | str) -> int:
        """Position of a class given by name or position; a helpful ValueError where there is none."""
        return position_of(target, self.targets)

    def ofiv(self, combine: str = "weighted") -> xr.DataArray:
        """Overall feature importance (target, channel); ``combine`` as in `dr_explorer.importance.ofiv`."""
        return self._by_channel(importance.ofiv(self._fiv, self._score, self._objective, combine=combine), "ofiv")

    def ofiv_interval(self, combine: str = "weighted", level: float = 0.95, random_state: int = 0) -> xr.DataArray:
        """Bootstrap interval of `ofiv` over restarts (bound, target, channel); NaN with a single restart."""
        low, high = importance.interval(
            self._fiv, self._score, combine, level, random_state=random_state, objective=self._objective
        )
        return xr.concat(
            [self._by_channel(low, "ofiv_interval"), self._by_channel(high, "ofiv_interval")],
            dim=xr.Variable("bound", ["low", "high"]),
        )

    def inconsistency(self, weighted: bool = True) -> xr.DataArray:
        """Inconsistency level (target, channel): the (score-weighted) variance of the FIVs over restarts."""
        return self._by_channel(importance.inconsistency(self._fiv, self._score, weighted), "inconsistency")

    def inconsistent(self, **options: Any) -> xr.DataArray:
        """Whether a channel's restarts disagree (target, channel), see `dr_explorer.importance.inconsistent`."""
        return self._by_channel(importance.inconsistent(self._fiv, self._score, **options), "inconsistent")

    def basins(self) -> xr.DataArray:
        """Basin of every restart's end point (target, restart): 0 the best one, -1 where the restart has none."""
        labels = [importance.basins(f, o) for f, o in zip(self._fiv, self._objective, strict=True)]
        return self.dataset.score.copy(data=np.asarray(labels)).rename("basin")

    def similarity(self, metric: str = "pearson_positive", combine: str = "weighted") -> xr.DataArray:
        """Class similarity (target, target2), by default Pearson's r of the positive parts of the OFIVs."""
        values = similarity.similarity(self.ofiv(combine).values, metric=metric)
        names = self.dataset.target.values
        return xr.DataArray(
            values, dims=("target", "target2"), coords={"target": names, "target2": names}, name="similarity"
        )

    def linkage(self, metric: str = "pearson_positive", combine: str = "weighted") -> np.ndarray:
        """Average-linkage tree of the classes (C - 1, 4) in scipy's form, leaves in optimal order."""
        return similarity.linkage(self.similarity(metric, combine).values)

    def sharing(self, top: int = 5) -> xr.DataArray:
        """In how many classes each channel is among the ``top`` favoured ones (channel,)."""
        return xr.DataArray(
            similarity.sharing(self.ofiv().values, top=top),
            dims="channel",
            coords={"channel": self.dataset.channel},
            name="sharing",
        )

    def support(self, combine: str = "weighted", n_boot: int | None = None, random_state: int = 0) -> np.ndarray:
        """Share of bootstrap resamplings of the restarts that have each branch of `linkage`, (C - 1,)."""
        return similarity.support(
            self._fiv, self._score, self.linkage(combine=combine), combine=combine, n_boot=n_boot,
            random_state=random_state,
        )  # fmt: skip

    def difference(self, a: int | str, b: int | str, level: float = 0.95) -> xr.Dataset:
        """Class difference ``OFIV_a - OFIV_b`` by channel: ``difference`` with its interval ``low`` to ``high``."""
        values = similarity.difference(
            self._fiv, self._score, self.position_of(a), self.position_of(b), level=level, objective=self._objective
        )
        names = ("difference", "low", "high")
        return xr.Dataset(
            {name: ("channel", v) for name, v in zip(names, values, strict=True)}, {"channel": self.dataset.channel}
        )

    def activeness(self) -> xr.DataArray:
        """How much of a class is decided by what is there rather than by elimination (target,), from 0 to 1."""
        values = importance.activeness(self.ofiv().values)
        return xr.DataArray(values, dims="target", coords={"target": self.dataset.target}, name="activeness")

    def to_anndata(self) -> anndata.AnnData:
        """The OFIVs as an AnnData, see `dr_explorer.annotated`. Needs the ``anndata`` extra."""
        from dr_explorer import annotated

        return annotated.annotated(self)

    def to_csv(self, folder: str | Path, combine: str = "weighted") -> list[Path]:
        """Write every table as CSV into a folder, see `dr_explorer.tables`."""
        from dr_explorer import tables

        return tables.write(self, folder, combine)

    # -- pictures ------------------------------------------------------------------------------------------------------

    def report(self, path: str | Path, **options: Any) -> None:
        """Write the stand-alone HTML report; options as of `dr_explorer.report.write`."""
        from dr_explorer import report

        report.write(self, path, **options)

    def plot_importance(self, target: int | str = 0, **options: Any) -> Any:
        """A class's importance as a Bokeh figure, see `dr_explorer.report.plot_importance`."""
        from dr_explorer import report

        return report.plot_importance(self, target, **options)

    def plot_convergence(self, target: int | str = 0) -> Any:
        """A class's convergence as a Bokeh figure, see `dr_explorer.report.plot_convergence`."""
        from dr_explorer import report

        return report.plot_convergence(self, target)

    def plot_similarity(self, **options: Any) -> Any:
        """The class tree and similarity map as a Bokeh figure, see `dr_explorer.report.plot_similarity`."""
        from dr_explorer import report

        return report.plot_similarity(self, **options)

    # -- plumbing ------------------------------------------------------------------------------------------------------

    @property
    def _fiv(self) -> np.ndarray:
        return self.dataset.fiv.values

    @property
    def _score(self) -> np.ndarray:
        return self.dataset.score.values

    @property
    def _objective(self) -> np.ndarray:
        return self.dataset.objective.values

    def _by_channel(self, values: np.ndarray, name: str) -> xr.DataArray:
        coords = {"target": self.dataset.target, "channel": self.dataset.channel}
        return xr.DataArray(values, dims=("target", "channel"), coords=coords, name=name)

    def save(self, path: str | Path) -> None:
        """Write everything to one netCDF file, whole or not at all; see `dr_explorer.storage`."""
        from dr_explorer import storage

        storage.save(self.dataset, path)

    @classmethod
    def load(cls, path: str | Path) -> Resolution:
        """Read what `save` wrote."""
        from dr_explorer import storage

        return cls(storage.load(path))

    def __repr__(self) -> str:
        sizes = self.dataset.sizes
        ended = np.bincount(self.dataset.status.values.ravel().astype(int), minlength=len(STATES))
        states = ", ".join(f"{n} {STATES[i]}" for i, n in enumerate(ended) if n)
        return (
            f"<Resolution of layer {self.dataset.attrs.get('layer', '?')!r}: {sizes['target']} classes x "
            f"{sizes['restart']} restarts x {sizes['channel']} channels ({states})>"
        )


def _attributes(ascent: Ascent) -> dict[str, Any]:
    from dr_explorer import __version__

    tail = ascent.tail
    return {
        "layer": tail.layer,
        "cut": tail.cut,
        "squash": tail.squash or "",
        "notes": "\n".join(tail.notes),
        "rule": ascent.rule_name,
        "l2": ascent.l2,
        "step_size": ascent.step_size,
        "patience": ascent.patience,
        "max_steps": ascent.max_steps,
        "init": ascent.init,
        "random_state": str(ascent.random_state),  # may be beyond a signed 64-bit integer
        "dr_explorer": __version__,
        "torch": str(torch.__version__),
        "device": str(tail.device),
    }
