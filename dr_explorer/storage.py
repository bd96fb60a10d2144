"""Results on disk: one netCDF (HDF5) file, written whole or not at all, read without ever unpickling.

Class names are data from anywhere (any Unicode, duplicates, empty), so each is stored as an ASCII JSON string:
netCDF's own strings end at the first NUL.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr

from dr_explorer import files

FORMAT = "dr_explorer resolution"
#: Raised when a file written now could be misread by an older reader. `load` reads this version and all before it.
FORMAT_VERSION = 1


def save(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a resolution's dataset to ``path``.

    The file is written beside its place and moved there when it is complete, so an error (no room, no right to
    write, an interrupt) leaves whatever was there before.

    Raises
    ------
    OSError
        Where it cannot be written; says where and why.
    """
    names = np.array([json.dumps(str(name)) for name in dataset.target.values], dtype=object)
    stored = dataset.assign_coords(target=names)
    stored.attrs = {**dataset.attrs, "format": FORMAT, "format_version": FORMAT_VERSION}
    packed = {
        name: {"zlib": True, "complevel": 1} for name, v in stored.data_vars.items() if v.dtype.kind in "fiu" and v.ndim
    }
    with files.whole(path) as part:
        stored.to_netcdf(part, engine="h5netcdf", encoding=packed)


def load(path: str | Path) -> xr.Dataset:
    """Read what `save` wrote, into memory.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        Where there is no file, or a folder.
    ValueError
        Where the file is truncated, of another kind, or of a newer version than this one can read.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the file that Resolution.save wrote")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            dataset = opened.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not a complete netCDF/HDF5 file ({error})") from error
    if dataset.attrs.get("format") != FORMAT:
        raise ValueError(f"{path} holds no resolution: it was not written by Resolution.save")
    version = int(dataset.attrs.pop("format_version", 0))
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} was saved in format {version}, this dr_explorer reads up to {FORMAT_VERSION}: please update it"
        )
    del dataset.attrs["format"]
    names = np.array([json.loads(name) for name in dataset.target.values], dtype=object)
    return dataset.assign_coords(target=names)
