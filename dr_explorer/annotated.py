"""A resolution as AnnData, the table that single-cell tools read: classes are observations, channels variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dr_explorer.names import unique

if TYPE_CHECKING:
    import anndata

    from dr_explorer.resolution import Resolution


def annotated(resolution: Resolution) -> anndata.AnnData:
    """The OFIVs (classes, channels) with what belongs to them.

    ``X`` is the OFIV; layers hold the inconsistency level and the interval's ends; ``obs`` the activeness, best
    objective and number of basins; ``var`` the sharing; ``obsp["similarity"]`` the class similarity;
    ``uns["settings"]`` the settings.

    Raises
    ------
    ImportError
        Without the ``anndata`` package.
    """
    try:
        import anndata
    except ImportError as error:
        raise ImportError("to_anndata needs anndata: pip install 'dr_explorer[anndata]'") from error

    objective = resolution.dataset.objective.values
    best = np.where(np.isfinite(objective), objective, -np.inf).max(1)
    interval = resolution.ofiv_interval()
    obs = pd.DataFrame(
        {
            "target": resolution.targets,
            "activeness": resolution.activeness().values,
            "objective": np.where(np.isfinite(best), best, np.nan),
            "basins": resolution.basins().values.max(1) + 1,
        },
        index=unique(resolution.targets),
    )
    channels = [str(channel) for channel in resolution.dataset.channel.values]
    return anndata.AnnData(
        X=resolution.ofiv().values,
        obs=obs,
        var=pd.DataFrame({"sharing": resolution.sharing().values}, index=channels),
        layers={
            "inconsistency": resolution.inconsistency().values,
            "low": interval.sel(bound="low").values,
            "high": interval.sel(bound="high").values,
        },
        obsp={"similarity": resolution.similarity().values},
        uns={"settings": dict(resolution.dataset.attrs)},
    )
