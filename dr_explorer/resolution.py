"""Resolution: what an ascent found as labelled arrays, and every reading that is made from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dr_explorer import importance, similarity
from dr_explorer.labelled import labelled
from dr_explorer.names import position_of
from dr_explorer.reasons import reasons
from dr_explorer.trials import STATES

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from dr_explorer.ascent import Ascent


class Resolution:
    """What an ascent found: every class's restarts, labelled, and the readings made from them.

    What the methods take, where they take it:

    - ``target``, ``a``, ``b``: a class, by name or position;
    - ``combine``: how restarts are put together, ``"weighted"`` by class score (the authors' code), ``"max"`` (the
      paper's two-case rule) or ``"basins"`` (the best basin's mean), see `dr_explorer.importance.ofiv`;
    - ``metric``: how classes are compared, a key of `dr_explorer.similarity.METRICS`;
    - ``level``: confidence of an interval, between 0 and 1;
    - ``n_boot``, ``random_state``: resamplings, and their seed.

    They raise ValueError or TypeError for anything else, and answer NaN where something is not defined; `notes` says
    why.

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
        if not isinstance(dataset, xr.Dataset):
            raise TypeError(
                f"a Resolution is made of an xarray.Dataset, got {type(dataset).__name__}; resolve() makes one, and "
                "Resolution.load() reads a saved one"
            )
        missing = [name for name in ("fiv", "score", "objective", "status") if name not in dataset]
        if missing:
            raise ValueError(f"not a resolution: the dataset lacks {', '.join(missing)}")
        self.dataset = dataset

    @classmethod
    def from_ascent(cls, ascent: Ascent, names: Sequence[str]) -> Resolution:
        """Label what ``ascent``, an `Ascent`, has reached, finished or not; ``names`` (C,) of its classes."""
        return cls(labelled(ascent, names))

    # -- readings ------------------------------------------------------------------------------------------------------

    @property
    def targets(self) -> list[str]:
        """The classes' names."""
        return [str(name) for name in self.dataset.target.values]

    def position_of(self, target: int | str) -> int:
        """Position of a class given by name or position; a helpful ValueError where there is none."""
        return position_of(target, self.targets)

    def ofiv(self, combine: str = "weighted") -> xr.DataArray:
        """Overall feature importance (target, channel), in units of the feature map.

        NaN for a class without a restart left; see `dr_explorer.importance.ofiv`.
        """
        return self._by_channel(importance.ofiv(self._fiv, self._score, self._objective, combine=combine), "ofiv")

    def ofiv_interval(self, combine: str = "weighted", level: float = 0.95, random_state: int = 0) -> xr.DataArray:
        """Bootstrap interval of `ofiv` over restarts (bound, target, channel), ``bound`` being ``low`` and ``high``.

        NaN with fewer than two restarts; see `dr_explorer.importance.interval`.
        """
        low, high = importance.interval(
            self._fiv, self._score, combine, level, random_state=random_state, objective=self._objective
        )
        return xr.concat(
            [self._by_channel(low, "ofiv_interval"), self._by_channel(high, "ofiv_interval")],
            dim=xr.Variable("bound", ["low", "high"]),
        )

    def inconsistency(self, weighted: bool = True) -> xr.DataArray:
        """Inconsistency level (target, channel): the (score-weighted) variance of the FIVs over restarts.

        In squared units of the feature map; NaN with fewer than two restarts. See
        `dr_explorer.importance.inconsistency`.
        """
        return self._by_channel(importance.inconsistency(self._fiv, self._score, weighted), "inconsistency")

    def inconsistent(self, level: float = 0.05) -> xr.DataArray:
        """Whether a channel's restarts disagree (target, channel), bool.

        ``level`` is the probability that any channel of a class is flagged while its restarts share one basin; see
        `dr_explorer.importance.inconsistent`.
        """
        return self._by_channel(importance.inconsistent(self._fiv, self._score, level), "inconsistent")

    def basins(self) -> xr.DataArray:
        """Basin of every restart's end point (target, restart): 0 the best one, -1 where the restart has none."""
        labels = [importance.basins(f, o) for f, o in zip(self._fiv, self._objective, strict=True)]
        return self.dataset.score.copy(data=np.asarray(labels)).rename("basin")

    def basin_table(self, target: int | str = 0) -> pd.DataFrame:
        """A class's basins, best first: size, share of the restarts, mean score and best objective (logits), spread."""
        c = self.position_of(target)
        return importance.basin_table(self._fiv[c], self._score[c], self._objective[c])

    def activeness(self, combine: str = "weighted") -> xr.DataArray:
        """How much of a class is decided by what is there rather than by elimination (target,), from 0 to 1.

        ``sum(max(OFIV, 0)**2) / sum(OFIV**2)``; see `dr_explorer.importance.activeness`.
        """
        values = importance.activeness(self.ofiv(combine).values)
        return xr.DataArray(values, dims="target", coords={"target": self.dataset.target}, name="activeness")

    def vulnerability(
        self, information: np.ndarray | None = None, q: np.ndarray | None = None, combine: str = "weighted"
    ) -> xr.DataArray:
        """Channels that matter and have little behind them (target, channel), from 0 to 1.

        Parameters
        ----------
        information : (channel,) bits of each channel's motif, or (channel, width) bits a position; default those of
            the first layer's filters, where the channels are these.
        q : (channel,) q value of each channel's best match in a motif database, 1 or NaN for none.
        combine : as for `ofiv`.

        Raises
        ------
        ValueError
            Without `information` for channels that are not the first layer's.

        See `dr_explorer.importance.vulnerability` for the formula.
        """
        if information is None:
            if "first_layer" not in self.dataset:
                raise ValueError(
                    "these channels are not the first layer's, so that their motifs are unknown here: give "
                    f"information, the bits of a motif for each of {self.dataset.sizes['channel']} channels"
                )
            from dr_explorer import motifs

            information = motifs.information_content(motifs.ppm_from_weights(self.dataset.first_layer.values))
        return self._by_channel(importance.vulnerability(self.ofiv(combine).values, information, q), "vulnerability")

    # -- classes -------------------------------------------------------------------------------------------------------

    def similarity(self, metric: str = "pearson_positive", combine: str = "weighted") -> xr.DataArray:
        """Class similarity (target, target2) in [-1, 1], by default Pearson's r of the positive parts of the OFIVs.

        NaN for classes without a similarity; see `dr_explorer.similarity.similarity`.
        """
        values = similarity.similarity(self.ofiv(combine).values, metric=metric)
        names = self.dataset.target.values
        return xr.DataArray(
            values, dims=("target", "target2"), coords={"target": names, "target2": names}, name="similarity"
        )

    def linkage(self, metric: str = "pearson_positive", combine: str = "weighted") -> np.ndarray:
        """Average-linkage tree of the classes (C - 1, 4) in scipy's form, leaves in optimal order."""
        return similarity.linkage(self.similarity(metric, combine).values)

    def support(
        self,
        metric: str = "pearson_positive",
        combine: str = "weighted",
        n_boot: int | None = None,
        random_state: int = 0,
    ) -> np.ndarray:
        """Share of bootstrap resamplings of the restarts that have each branch of `linkage`, (C - 1,) in [0, 1].

        The tree is that of the same ``metric`` and ``combine``; see `dr_explorer.similarity.support`.
        """
        return similarity.support(
            self._fiv,
            self._score,
            self.linkage(metric, combine),
            n_boot,
            metric=metric,
            combine=combine,
            objective=self._objective,
            random_state=random_state,
        )

    def groups(
        self,
        n: int | None = None,
        *,
        threshold: float | None = None,
        metric: str = "pearson_positive",
        combine: str = "weighted",
    ) -> xr.DataArray:
        """The class tree cut into groups (target,), numbered as they stand in the tree.

        Give ``n``, how many, or ``threshold``, the distance (1 - similarity) at which branches part; see
        `dr_explorer.similarity.cut`.
        """
        values = similarity.cut(self.linkage(metric, combine), n, threshold=threshold)
        return xr.DataArray(values, dims="target", coords={"target": self.dataset.target}, name="group")

    def difference(
        self, a: int | str, b: int | str, level: float = 0.95, *, combine: str = "weighted", random_state: int = 0
    ) -> xr.Dataset:
        """Class difference ``OFIV_a - OFIV_b`` by channel, signed: ``difference`` and its interval, ``low``, ``high``.

        In units of the feature map; see `dr_explorer.similarity.difference`.
        """
        values = similarity.difference(
            self._fiv,
            self._score,
            self.position_of(a),
            self.position_of(b),
            combine=combine,
            objective=self._objective,
            level=level,
            random_state=random_state,
        )
        names = ("difference", "low", "high")
        return xr.Dataset(
            {name: ("channel", v) for name, v in zip(names, values, strict=True)}, {"channel": self.dataset.channel}
        )

    def sharing(self, top: int = 5, combine: str = "weighted") -> xr.DataArray:
        """In how many classes each channel is among the ``top`` favoured ones (channel,), int."""
        return xr.DataArray(
            similarity.sharing(self.ofiv(combine).values, top=top),
            dims="channel",
            coords={"channel": self.dataset.channel},
            name="sharing",
        )

    def shared_by(self, top: int = 5, combine: str = "weighted") -> dict[int, list[str]]:
        """For each channel among the ``top`` favoured ones of any class, those classes, the most important first."""
        found = similarity.shared_by(self.ofiv(combine).values, top=top)
        names, channels = self.targets, self.dataset.channel.values.tolist()
        return {k: [names[c] for c in classes] for k, classes in zip(channels, found, strict=True) if len(classes)}

    def notes(self) -> list[str]:
        """Why numbers are missing or say little, in sentences; empty where everything could be computed."""
        return reasons(self.dataset, self.ofiv().values)

    # -- tables --------------------------------------------------------------------------------------------------------

    def to_anndata(self) -> anndata.AnnData:
        """The OFIVs as an AnnData, see `dr_explorer.annotated`. Needs the ``anndata`` extra."""
        from dr_explorer import annotated

        return annotated.annotated(self)

    def to_csv(self, folder: str | Path, combine: str = "weighted") -> list[Path]:
        """Write every table as CSV into ``folder`` and say where, see `dr_explorer.tables`."""
        from dr_explorer import tables

        return tables.write(self, folder, combine)

    # -- pictures ------------------------------------------------------------------------------------------------------

    def report(self, path: str | Path, **options: Any) -> None:
        """Write the stand-alone HTML report to ``path``; options as of `dr_explorer.report.write`."""
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
        """Write everything to one netCDF file at ``path``, whole or not at all; see `dr_explorer.storage`."""
        from dr_explorer import storage

        storage.save(self.dataset, path)

    @classmethod
    def load(cls, path: str | Path) -> Resolution:
        """Read what `save` wrote to ``path``; a helpful error for any other file."""
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
