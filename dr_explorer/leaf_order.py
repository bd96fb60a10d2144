"""The optimal leaf order of a binary tree: neighbours as alike as the tree allows.

A tree of n leaves can be drawn in 2**(n - 1) orders. The one with the smallest sum of distances between neighbouring
leaves is found exactly, by the dynamic programme of Bar-Joseph, Gifford & Jaakkola (2001), written as products of
matrices in the (min, +) algebra so that NumPy does the work.
"""

from __future__ import annotations

import numpy as np


def leaf_order(tree: np.ndarray) -> np.ndarray:
    """Leaves of `tree`, a linkage matrix (n - 1, 4), from left to right: (n,) int."""
    n = len(tree) + 1
    children = np.asarray(tree)[:, :2].astype(int)
    order = np.empty(n, dtype=int)
    waiting, filled = [2 * n - 2], 0
    while waiting:
        node = waiting.pop()
        if node < n:
            order[filled] = node
            filled += 1
        else:
            left, right = children[node - n]
            waiting += [right, left]
    return order


def order_leaves(tree: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Swap the children of a tree's branches so that its leaves stand in optimal order.

    Parameters
    ----------
    tree : (n - 1, 4) linkage matrix.
    distance : (n, n) symmetric distances between the leaves.

    Returns
    -------
    (n - 1, 4) the same tree; `leaf_order` of it has the smallest sum of distances between neighbours. Of orders that
    are equally good, the one that keeps the children of `tree` as they stand first.
    """
    n = len(tree) + 1
    if n < 3:
        return np.array(tree)
    start = leaf_order(tree)
    near = np.ascontiguousarray(distance[np.ix_(start, start)])
    first, middle, end = _spans(tree, start)
    best = _best_paths(near, first, middle, end)
    return _backtrack(tree, near, best, first, middle, end, np.argsort(start))


def _spans(tree: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each node's leaves stand in the starting order: its left child's from first, its right child's to end."""
    n = len(start)
    first, middle, end = np.zeros((3, 2 * n - 1), dtype=int)
    first[start] = middle[start] = np.arange(n)
    end[start] = np.arange(n) + 1
    for row, (left, right) in enumerate(np.asarray(tree)[:, :2].astype(int)):
        first[n + row], middle[n + row], end[n + row] = first[left], first[right], end[right]
    return first, middle, end


def _halves(first: int, middle: int, end: int) -> list[tuple[slice, slice]]:
    """The two halves of a node's leaves, each with the other one: a path that starts in one ends in the other."""
    if end - first == 1:
        return [(slice(first, end), slice(first, end))]
    left, right = slice(first, middle), slice(middle, end)
    return [(left, right), (right, left)]


def _best_paths(near, first, middle, end) -> np.ndarray:
    """(n, n): length of the best order of the smallest subtree that holds leaves i and j, with those at its ends."""
    n = len(near)
    best = np.zeros((n, n))
    spans = {(first[v], end[v]): middle[v] for v in range(2 * n - 1)}
    for node in range(n, 2 * n - 1):
        a, m, b = first[node], middle[node], end[node]
        reach = np.empty((m - a, b - m))  # from a leaf at the left end, through the left child, to a leaf of the right
        for here, far in _halves(a, spans[a, m], m):
            reach[here.start - a : here.stop - a] = _min_plus(best[here, far], near[far, m:b])
        for here, far in _halves(m, spans[m, b], b):
            both = _min_plus(reach[:, far.start - m : far.stop - m], best[far, here])
            best[a:m, here] = both
            best[here, a:m] = both.T
    return best


def _min_plus(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(p, q) by (q, r) to (p, r): the smallest of left[i, m] + right[m, k] over m, looping over the shortest axis."""
    p, q, r = *left.shape, right.shape[1]
    if q <= min(p, r):
        out = left[:, :1] + right[:1]
        term = np.empty_like(out)
        for m in range(1, q):
            np.add(left[:, m, None], right[m], out=term)
            np.minimum(out, term, out=out)
        return out
    out = np.empty((p, r))
    if p <= r:
        for i in range(p):
            (left[i, :, None] + right).min(axis=0, out=out[i])
    else:
        columns = np.ascontiguousarray(right.T)
        for k in range(r):
            (left + columns[k]).min(axis=1, out=out[:, k])
    return out


def _backtrack(tree, near, best, first, middle, end, place) -> np.ndarray:
    """Walk down from the best pair of ends, and swap each branch whose left end stands in its right child."""
    n = len(near)
    ordered = np.array(tree, dtype=np.float64)
    root = 2 * n - 2
    m = middle[root]
    i, j = np.unravel_index(best[:m, m:].argmin(), (m, n - m))
    waiting = [(root, int(i), int(j) + m)]
    while waiting:
        node, i, j = waiting.pop()
        if node < n:
            continue
        left, right = (int(child) for child in tree[node - n, :2])
        if i >= middle[node]:
            left, right = right, left
            ordered[node - n, :2] = left, right
        out_of, into = _across(left, i, first, middle, end), _across(right, j, first, middle, end)
        length = best[i, out_of, None] + near[out_of, into] + best[into, j]
        a, b = np.unravel_index(length.argmin(), length.shape)
        waiting += [(left, i, out_of.start + int(a)), (right, into.start + int(b), j)]
    return ordered


def _across(node: int, leaf: int, first, middle, end) -> slice:
    """The leaves of a node at which an order that has `leaf` at one end can have its other end."""
    if end[node] - first[node] == 1:
        return slice(leaf, leaf + 1)
    return slice(middle[node], end[node]) if leaf < middle[node] else slice(first[node], middle[node])
