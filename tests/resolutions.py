"""Resolutions made up for tests of what is drawn and written: known structure, no network."""

from __future__ import annotations

import numpy as np
import xarray as xr

from dr_explorer.resolution import Resolution

#: Names that are anything but text: markup, code, formulae, Unicode, control characters, duplicates, nothing at all.
HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    "",
    "same",
    "same",
    "$$\\frac{1}{2}$$ and $x_1$",
    "Ωμέγα – 中文 – עברית – 👩‍🔬",
    "line\nbreak\ttab\x00null",
    "@ofiv{safe} {{ 7 * 7 }} {% raw %} &amp; \\u003c",
    "x" * 300,
]


def made(
    n_targets: int = 12,
    n_restarts: int = 6,
    n_channels: int = 20,
    *,
    names: list[str] | None = None,
    logos: bool = True,
    random_state: int = 0,
) -> Resolution:
    """A resolution of three groups of classes; the first class has two basins that disagree on channels 0 and 1."""
    rng = np.random.default_rng(random_state)
    group = rng.normal(size=(3, n_channels))[np.arange(n_targets) % 3]
    own = group + 0.3 * rng.normal(size=(n_targets, n_channels))
    fiv = own[:, None] + 0.02 * rng.normal(size=(n_targets, n_restarts, n_channels))
    score = rng.normal(5, 0.05, size=(n_targets, n_restarts))
    if n_restarts > 3 and n_channels > 1:
        second = np.arange(n_restarts) >= n_restarts - 2
        fiv[0, :, :2] = np.where(second[:, None], [-4.0, 3.0], [4.0, -3.0]) + 0.02 * rng.normal(size=(n_restarts, 2))
        score[0] -= second
    steps = np.array([1, 2, 3, 4, 6, 8, 12, 16])
    trace = score[..., None] - 1 - 5 * np.exp(-steps / rng.uniform(1, 3, size=(n_targets, n_restarts, 1)))
    trace[:, :, -1:] = np.where(rng.random((n_targets, n_restarts, 1)) < 0.5, np.nan, trace[:, :, -1:])
    trial = ("target", "restart")
    data = {
        "fiv": ((*trial, "channel"), fiv.astype(np.float32)),
        "score": (trial, score.astype(np.float32)),
        "objective": (trial, (score - 1).astype(np.float32)),
        "status": (trial, np.full((n_targets, n_restarts), 2, np.uint8)),
        "steps": (trial, np.full((n_targets, n_restarts), 16)),
        "trace_step": (("point",), steps),
        "trace_objective": ((*trial, "point"), trace.astype(np.float32)),
        "column": (("target",), np.arange(n_targets)),
    }
    if logos:
        data["first_layer"] = (("channel", "base", "width"), rng.normal(size=(n_channels, 4, 9)).astype(np.float32))
    names = names or [f"class {i}" for i in range(n_targets)]
    coords = {
        "target": np.array(names, dtype=object),
        "restart": np.arange(n_restarts),
        "channel": np.arange(n_channels),
    }
    attrs = {"layer": "flatten", "rule": "fast", "l2": 0.5, "random_state": "0", "dr_explorer": "0.1.0", "torch": "2"}
    return Resolution(xr.Dataset(data, coords, attrs=attrs))


def diverged(resolution: Resolution, target: int, restarts=slice(None)) -> Resolution:
    """The same with some restarts of a class diverged, as the ascent marks them."""
    dataset = resolution.dataset.copy(deep=True)
    for name in ("fiv", "score", "objective"):
        dataset[name].values[target, restarts] = np.nan
    dataset["status"].values[target, restarts] = 4
    return Resolution(dataset)


def identical(resolution: Resolution, *, restarts: bool = False) -> Resolution:
    """The same with every class like the first, and every restart too where asked for."""
    dataset = resolution.dataset.copy(deep=True)
    for name in ("fiv", "score", "objective"):
        dataset[name].values[:] = dataset[name].values[:1, :1] if restarts else dataset[name].values[:1]
    return Resolution(dataset)


def pair_table(n_features: int = 3, seed: int = 0) -> xr.Dataset:
    """What the pairwise reading of one class returns: corners, non-linearity, logic and confidence of every pair."""
    rng = np.random.default_rng(seed)
    labels = [str(3 * i) for i in range(n_features)]
    corners = {name: rng.normal(size=(n_features, n_features)) for name in ("s00", "s01", "s10", "s11")}
    corners["nonlinearity"] = corners["s11"] - corners["s10"] - corners["s01"] + corners["s00"]
    corners["confidence"] = rng.uniform(0.5, 1, size=(n_features, n_features))
    data = {name: (("feature", "feature2"), values) for name, values in corners.items()}
    words = np.array(
        [["XOR", "AND", "OR"][(i + j) % 3] for i in range(n_features) for j in range(n_features)], dtype=object
    )
    data["logic"] = (("feature", "feature2"), words.reshape(n_features, n_features))
    data["half_width"] = (
        ("feature", "feature2", "on", "on2"),
        rng.uniform(0, 0.1, size=(n_features, n_features, 2, 2)),
    )
    sentences = [[f"{a} and {b} in a sentence" for b in labels] for a in labels]
    data["sentence"] = (("feature", "feature2"), np.array(sentences, dtype=object))
    return xr.Dataset(data, {"feature": labels, "feature2": labels}, attrs={"target": "class 0"})
