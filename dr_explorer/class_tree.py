"""The class tree: average linkage with the leaves in optimal order, the same whatever order the classes came in."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import squareform

from dr_explorer.asked import whole_number
from dr_explorer.leaf_order import leaf_order, order_leaves

#: The largest distance 1 - r there is: where classes without a similarity join the tree.
FARTHEST = 2.0

# Distances are told apart to this many decimals, so that equal ones are equal however they were computed.
DECIMALS = 9

# A branch shorter than that is a tie, and no branch of its own.
TIED = 10.0**-DECIMALS


def linkage(similar: np.ndarray) -> np.ndarray:
    """Average-linkage tree of the classes on the distance 1 - similarity, leaves in optimal order.

    Parameters
    ----------
    similar : (C, C) from `similarity`.

    Returns
    -------
    (C - 1, 4) in scipy's form: left, right, height, size. `leaf_order` of it has the most alike neighbours the tree
    allows. Classes without a similarity come last, each joined at height `FARTHEST`.

    Notes
    -----
    The tree does not depend on the order of the classes: they are put in an order of their own, by their distances to
    all others, before ties are broken.
    """
    similar = np.asarray(similar, dtype=np.float64)
    if similar.ndim != 2 or similar.shape[0] != similar.shape[1] or len(similar) == 0:
        raise ValueError(f"expected a similarity of shape (C, C) with at least one class, got {similar.shape}")
    defined = np.isfinite(np.diagonal(similar))
    classes = np.flatnonzero(defined)
    between = similar[np.ix_(classes, classes)]
    if not np.allclose(between, between.T, rtol=0, atol=TIED, equal_nan=True):
        raise ValueError("expected a symmetric similarity: of two classes one number, whichever comes first")
    if not np.isfinite(between).all():
        raise ValueError("similarity is NaN between classes that have one: give what similarity() returned")
    own = own_order(between)
    classes, distance = classes[own], np.round(1 - between[np.ix_(own, own)], DECIMALS)
    tree = np.zeros((0, 4))
    if len(classes) > 1:
        tree = order_leaves(scipy_linkage(squareform(distance, checks=False), method="average"), distance)
    return _with_undefined(tree, classes, np.flatnonzero(~defined))


def own_order(similar: np.ndarray) -> np.ndarray:
    """An order of the classes that does not depend on the one they came in: by two sums of their distances.

    Whole numbers, so that the sums are the same in any order (they may wrap around, always alike). Classes with the
    same sums are as good as exchangeable. Classes without a similarity count as farthest from all.
    """
    distance = np.where(np.isnan(similar), FARTHEST, 1 - similar)
    steps = np.rint(distance / TIED).astype(np.int64)
    return np.lexsort(((steps * steps).sum(axis=1), steps.sum(axis=1)))


def _with_undefined(tree: np.ndarray, classes: np.ndarray, undefined: np.ndarray) -> np.ndarray:
    """The tree of `classes` with its nodes renumbered for all classes, those without a similarity joined at the end."""
    n, total = len(classes), len(classes) + len(undefined)
    nodes = tree[:, :2].astype(int)
    inner = nodes - n + total
    joined = np.zeros((total - 1, 4))
    joined[: len(tree), 2:] = tree[:, 2:]
    joined[: len(tree), :2] = np.where(nodes < n, np.append(classes, 0)[np.minimum(nodes, n)], inner)
    leaves = list(undefined)
    top, size = (total + n - 2, n) if n > 1 else (classes[0] if n else leaves.pop(0), 1)
    for row, leaf in enumerate(leaves, start=max(n - 1, 0)):
        size += 1
        joined[row] = top, leaf, FARTHEST, size
        top = total + row
    return joined


def clade_marks(tree: np.ndarray, marks: list[int]) -> list[int]:
    """For each branch the sum of its leaves' marks: with random marks, equal sums mean equal sets of leaves."""
    sums = list(marks)
    for left, right in tree[:, :2].astype(int).tolist():
        sums.append(sums[left] + sums[right])
    return sums[len(marks) :]


def tied(tree: np.ndarray) -> np.ndarray:
    """Which branches are as high as the branch above them."""
    n = len(tree) + 1
    above = np.full(2 * n - 1, np.inf)
    above[tree[:, :2].astype(int)] = tree[:, 2, None]
    return above[n:] - tree[:, 2] <= TIED


def cut(tree: np.ndarray, n: int | None = None, *, threshold: float | None = None) -> np.ndarray:
    """Cut the class tree into groups.

    Parameters
    ----------
    tree : (C - 1, 4) from `linkage`.
    n : number of groups, 1 to C; or
    threshold : the distance (1 - similarity) above which branches part. Give one of the two.

    Returns
    -------
    (C,) group of each class: 0, 1, ... as they stand in the leaf order. Classes without a similarity are groups of
    their own unless everything is one group.
    """
    tree = np.asarray(tree, dtype=np.float64)
    total = len(tree) + 1
    if (n is None) == (threshold is None):
        raise ValueError("give either n, the number of groups, or threshold, the distance at which branches part")
    if n is not None and not 1 <= whole_number("n", n) <= total:
        raise ValueError(f"n is between 1 and the number of classes, {total}; got {n}")
    joins = total - n if n is not None else int((tree[:, 2] <= threshold).sum())
    members = [[leaf] for leaf in range(total)]
    for left, right in tree[:joins, :2].astype(int):
        members.append(members[left] + members[right])
    group = np.empty(total, dtype=int)
    for node, leaves in enumerate(members):  # larger nodes come later and overwrite the ones they hold
        group[leaves] = node
    order = leaf_order(tree)
    _, position = np.unique(group[order], return_index=True)
    rank = {group[order[at]]: i for i, at in enumerate(np.sort(position))}
    return np.array([rank[one] for one in group])
