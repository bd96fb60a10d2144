"""Classes made of the same parts: similarity, the tree and its support, groups, difference, sharing."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.cluster import hierarchy
from scipy.stats import spearmanr

from dr_explorer.importance import ofiv
from dr_explorer.similarity import (
    FARTHEST,
    METRICS,
    cut,
    difference,
    favoured,
    leaf_order,
    linkage,
    shared_by,
    sharing,
    similarity,
    support,
)

NAN = np.nan

vectors = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 9), st.integers(1, 7)),
    elements=st.one_of(st.floats(-10, 10, width=32), st.sampled_from([0.0, 1.0, NAN])),
)


def families(rng, n_families=4, members=5, n_channels=40, within=0.3):
    """OFIVs of families of classes, each around a vector of its own: (C, K), families one after the other."""
    heads = np.repeat(rng.normal(size=(n_families, n_channels)), members, axis=0)
    return heads + within * rng.normal(size=heads.shape)


def resampled(rng, importances, n_restarts=10, noise=0.2):
    """Restarts around given OFIVs, all of about the same score."""
    fiv = importances[:, None] + noise * rng.normal(size=(len(importances), n_restarts, importances.shape[1]))
    return fiv, rng.uniform(5, 6, size=fiv.shape[:2])


def clades(tree, names=None):
    """The sets of classes under each branch."""
    members = [frozenset([i if names is None else names[i]]) for i in range(len(tree) + 1)]
    for left, right in tree[:, :2].astype(int):
        members.append(members[left] | members[right])
    return members[len(tree) + 1 :]


# -- similarity --------------------------------------------------------------------------------------------------------


def test_the_default_is_pearson_of_the_positive_parts():
    importances = np.random.default_rng(0).normal(size=(5, 30))
    np.testing.assert_allclose(similarity(importances), np.corrcoef(np.maximum(importances, 0)))
    np.testing.assert_allclose(similarity(importances, "signed"), np.corrcoef(importances))
    np.testing.assert_allclose(similarity(importances, "spearman"), spearmanr(importances, axis=1).statistic)
    unit = importances / np.linalg.norm(importances, axis=1, keepdims=True)
    np.testing.assert_allclose(similarity(importances, "cosine"), unit @ unit.T)


@pytest.mark.parametrize("metric", METRICS)
@given(vectors)
@settings(max_examples=60, deadline=None)
def test_similarity_is_symmetric_bounded_and_one_with_itself(metric, importances):
    found = similarity(importances, metric)
    defined = np.isfinite(np.diagonal(found))
    np.testing.assert_array_equal(found, found.T)
    assert (np.abs(found[np.ix_(defined, defined)]) <= 1).all()
    assert (np.diagonal(found)[defined] == 1).all()
    assert np.isnan(found[~defined]).all()
    broken = ~np.isfinite(importances).all(axis=1)
    compared = np.maximum(importances, 0) if metric == "pearson_positive" else importances
    flat = (compared == 0).all(axis=1) if metric == "cosine" else np.ptp(compared, axis=1) == 0
    assert not defined[broken].any()
    assert not defined[flat].any()


@pytest.mark.parametrize("metric", METRICS)
def test_similarity_does_not_depend_on_the_scale_of_a_class(metric):
    importances = np.random.default_rng(1).normal(size=(6, 20))
    scaled = importances * 10.0 ** np.arange(-250, 350, 100)[:, None]
    np.testing.assert_allclose(similarity(scaled, metric), similarity(importances, metric), atol=1e-12)


def test_a_class_without_a_similarity_is_nan_and_never_a_silent_zero():
    importances = np.array([[1.0, 2, 3], [NAN, NAN, NAN], [-1, -2, -3], [2, 2, 2], [3, 2, 1]])
    found = similarity(importances)
    assert np.isnan(found[[1, 2, 3]]).all()  # diverged; nothing positive; no variance
    np.testing.assert_allclose(found[np.ix_([0, 4], [0, 4])], [[1, -1], [-1, 1]])


def test_bad_input_is_told_what_was_expected():
    with pytest.raises(ValueError, match=r"'pearson_positive', 'signed', 'cosine', 'spearman', not 'euclid'"):
        similarity(np.zeros((2, 3)), "euclid")
    with pytest.raises(ValueError, match=r"shape \(C, K\), got \(3,\)"):
        similarity(np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(C, C\)"):
        linkage(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"tree \(C - 1, 4\)"):
        support(np.zeros((3, 2, 4)), np.zeros((3, 2)), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="either n"):
        cut(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="number of classes, 3; got 4"):
        cut(np.zeros((2, 4)), 4)


# -- tree --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 4, 7, 11])
def test_the_leaf_order_is_the_best_of_all_that_the_tree_allows(n):
    rng = np.random.default_rng(n)
    for _ in range(5):
        similar = similarity(rng.normal(size=(n, 20)))
        tree = linkage(similar)
        turns = itertools.product([1, -1], repeat=n - 1)
        swapped = (
            np.column_stack([[row[:2][::t] for row, t in zip(tree, ts, strict=True)], tree[:, 2:]]) for ts in turns
        )
        best = min(neighbours(similar, leaf_order(one)) for one in swapped)
        assert neighbours(similar, leaf_order(tree)) == pytest.approx(best)


def neighbours(similar, order):
    """Sum of distances between neighbouring leaves."""
    return (1 - similar[order[:-1], order[1:]]).sum()


@pytest.mark.parametrize("n", [60, 300])
def test_the_leaf_order_is_at_least_as_good_as_scipys(n):
    similar = similarity(np.random.default_rng(0).normal(size=(n, 30)))
    distance = 1 - similar[np.triu_indices(n, 1)]
    theirs = hierarchy.leaves_list(hierarchy.optimal_leaf_ordering(hierarchy.linkage(distance, "average"), distance))
    assert neighbours(similar, leaf_order(linkage(similar))) <= neighbours(similar, theirs) + 1e-9


@given(vectors, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_tree_is_a_valid_linkage_of_every_class(importances, random):
    tree = linkage(similarity(importances))
    n = len(importances)
    assert tree.shape == (n - 1, 4)
    assert sorted(leaf_order(tree)) == list(range(n))
    if n > 1:
        assert hierarchy.is_valid_linkage(tree)
        assert hierarchy.is_monotonic(tree)


def test_the_tree_is_the_same_whatever_the_order_of_the_classes():
    rng = np.random.default_rng(2)
    importances = np.round(families(rng, n_channels=6), 1)
    importances[7] = importances[3]  # identical classes
    importances = np.vstack([importances, np.eye(6)])  # and many equal distances
    tree = linkage(similarity(importances))
    kinds = np.unique(importances, axis=0, return_inverse=True)[1]  # identical classes are exchangeable
    for _ in range(5):
        turn = rng.permutation(len(importances))
        again = linkage(similarity(importances[turn]))
        np.testing.assert_allclose(again[:, 2:], tree[:, 2:])
        distinct = [frozenset(kinds[list(clade)]) for clade in clades(tree)]
        assert set(distinct) == {frozenset(kinds[turn[list(clade)]]) for clade in clades(again)}
        assert kinds[turn[leaf_order(again)]].tolist() == kinds[leaf_order(tree)].tolist()


def test_classes_without_a_similarity_stand_last_and_farthest():
    importances = families(np.random.default_rng(3), 2, 3)
    importances[[1, 4]] = NAN
    tree = linkage(similarity(importances))
    assert leaf_order(tree)[-2:].tolist() == [1, 4]
    assert (tree[-2:, 2] == FARTHEST).all()
    assert (tree[:-2, 2] < FARTHEST).all()
    for n in range(1, 4):
        lost = linkage(np.full((n, n), NAN))
        assert lost.shape == (n - 1, 4)
        assert leaf_order(lost).tolist() == list(range(n))


def test_one_class_has_an_empty_tree():
    tree = linkage(similarity(np.array([[1.0, 2.0]])))
    assert tree.shape == (0, 4)
    assert leaf_order(tree).tolist() == [0]
    assert cut(tree, 1).tolist() == [0]
    assert support(np.ones((1, 3, 2)), np.ones((1, 3)), tree).shape == (0,)


def test_identical_classes_join_at_height_zero():
    tree = linkage(similarity(np.tile([1.0, 2.0, 0.0], (4, 1))))
    assert (tree[:, 2] == 0).all()


# -- support -----------------------------------------------------------------------------------------------------------


def tree_of(fiv, score, metric="pearson_positive"):
    return linkage(similarity(ofiv(fiv, score), metric))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("combine", ["weighted", "max", "basins"])
def test_true_families_are_supported_and_noise_is_not(metric, combine):
    rng = np.random.default_rng(4)
    importances = families(rng, within=0)  # members differ by restarts alone: no branch within a family is real
    fiv, score = resampled(rng, importances)
    tree = linkage(similarity(ofiv(fiv, score, combine=combine), metric))
    share = support(fiv, score, tree, 40, metric=metric, combine=combine)
    assert ((share >= 0) & (share <= 1)).all()
    by_clade = dict(zip(clades(tree), share, strict=True))
    for family in range(4):
        assert by_clade[frozenset(range(5 * family, 5 * family + 5))] >= 0.9
    inside = [value for clade, value in by_clade.items() if len(clade) < 5]
    assert np.mean(inside) < 0.6


@pytest.mark.parametrize("combine", ["weighted", "basins"])
def test_support_is_the_share_of_resampled_trees_with_the_clade(combine):
    """The definition written out, restart by restart and set by set."""
    rng = np.random.default_rng(12)
    fiv, score = resampled(rng, families(rng, 3, 3, within=0.1), n_restarts=5, noise=0.4)
    objective = score + rng.normal(size=score.shape)
    tree = linkage(similarity(ofiv(fiv, score, objective, combine)))
    found = np.zeros(len(tree))
    for _ in range(300):
        drawn = rng.integers(fiv.shape[1], size=score.shape)
        rows = np.arange(len(fiv))[:, None]
        again = ofiv(fiv[rows, drawn], score[rows, drawn], objective[rows, drawn], combine)
        there = set(clades(linkage(similarity(again))))
        found += [clade in there for clade in clades(tree)]
    share = support(fiv, score, tree, 300, combine=combine, objective=objective)
    assert 0.05 < share.min() < 0.9  # the branches differ in what they are worth
    np.testing.assert_allclose(share, found / 300, atol=0.16)  # two shares of 300: four standard errors at one half


def test_the_whole_is_always_a_clade():
    rng = np.random.default_rng(5)
    fiv, score = resampled(rng, rng.normal(size=(8, 10)), noise=1)
    assert support(fiv, score, tree_of(fiv, score))[-1] == 1


def test_support_does_not_depend_on_the_order_of_classes_or_restarts():
    rng = np.random.default_rng(6)
    fiv, score = resampled(rng, families(rng))
    tree = tree_of(fiv, score)
    expected = dict(zip(clades(tree), support(fiv, score, tree, 50), strict=True))
    turn, again = rng.permutation(len(fiv)), rng.permutation(fiv.shape[1])
    fiv, score = fiv[turn][:, again], score[turn][:, again]
    tree = tree_of(fiv, score)
    assert dict(zip(clades(tree, turn), support(fiv, score, tree, 50), strict=True)) == expected


def test_support_does_not_depend_on_the_order_of_restarts_whose_scores_tie():
    rng = np.random.default_rng(13)
    fiv, score = resampled(rng, families(rng, 3, 3))
    score[:] = 1.0
    tree = tree_of(fiv, score)
    again = fiv[:, rng.permutation(fiv.shape[1])]
    np.testing.assert_array_equal(support(again, score, tree, 50), support(fiv, score, tree, 50))


def test_support_is_nan_where_there_is_nothing_to_say():
    rng = np.random.default_rng(7)
    fiv, score = resampled(rng, families(rng, 2, 3))
    one = fiv[:, :1], score[:, :1]
    assert np.isnan(support(*one, tree_of(*one))).all()  # one restart has no spread
    fiv[1] = NAN
    tree = tree_of(fiv, score)
    share = support(fiv, score, tree)
    assert np.isnan(share).tolist() == [1 in clade for clade in clades(tree)]
    same = np.ones((3, 4, 5)) * np.arange(5), np.ones((3, 4))  # identical classes: which two join first is arbitrary
    assert np.isnan(support(*same, tree_of(*same))).tolist() == [True, False]


def test_restarts_left_out_do_not_count_for_support():
    rng = np.random.default_rng(8)
    fiv, score = resampled(rng, families(rng))
    tree = tree_of(fiv, score)
    more = np.concatenate([fiv, np.full((len(fiv), 2, fiv.shape[2]), NAN)], axis=1)
    with_more = support(more, np.pad(score, [(0, 0), (0, 2)], constant_values=9.0), tree, 200)
    np.testing.assert_allclose(with_more, support(fiv, score, tree, 200), atol=0.2)  # other draws: 4 standard errors


# -- groups, difference, sharing ---------------------------------------------------------------------------------------


def test_cutting_finds_the_families_by_number_and_by_distance():
    importances = families(np.random.default_rng(9))
    tree = linkage(similarity(importances))
    for groups in (cut(tree, 4), cut(tree, threshold=0.5)):
        assert sorted(map(sorted, (np.flatnonzero(groups == g) for g in range(4)))) == [
            list(range(5 * f, 5 * f + 5)) for f in range(4)
        ]
        assert (np.diff(groups[leaf_order(tree)]) >= 0).all()  # numbered as they stand
    assert cut(tree, 1).tolist() == [0] * 20
    assert sorted(cut(tree, 20)) == list(range(20))


def test_difference_is_signed_antisymmetric_and_holds_the_truth():
    rng = np.random.default_rng(10)
    truth = rng.normal(size=(2, 40))
    covered = []
    for _ in range(50):
        fiv, score = resampled(rng, truth)
        found, low, high = difference(fiv, score, 0, 1)
        covered.append((low <= truth[0] - truth[1]) & (truth[0] - truth[1] <= high))
        assert ((low <= found) & (found <= high)).all()
    assert 0.92 < np.mean(covered) < 0.98
    back, back_low, back_high = difference(fiv, score, 1, 0)
    np.testing.assert_allclose([-back, -back_high, -back_low], [found, low, high])
    assert (difference(fiv, score, 0, 0)[0] == 0).all()


def test_a_difference_with_one_restart_has_no_interval():
    found, low, high = difference(np.array([[[1.0, 2.0]], [[0.0, 3.0]]]), np.ones((2, 1)), 0, 1)
    assert found.tolist() == [1, -1]
    assert np.isnan([low, high]).all()


def test_sharing_counts_the_classes_whose_top_channels_hold_a_channel():
    importances = np.array([[3.0, 2, 1, 0.5], [1, 2, 3, -1], [-1, -2, -3, 1], [NAN] * 4])
    assert sharing(importances, top=2).tolist() == [1, 2, 1, 1]  # what is not favoured (third class) does not count
    assert [classes.tolist() for classes in shared_by(importances, top=2)] == [[0], [0, 1], [1], [2]]
    assert favoured(importances, top=10)[2].tolist() == [False, False, False, True]
    assert sharing(np.zeros((3, 2))).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(0, 4), (3, 1), (1, 1)])
def test_sharing_takes_any_shape(shape):
    assert sharing(np.ones(shape)).shape == (shape[1],)


@pytest.mark.real
def test_tissues_of_the_splicing_network_stand_where_biology_puts_them(shared_data):
    import torch
    from networks import mtsplice

    import dr_explorer as dr

    names = [line for line in (shared_data / "mtsplice" / "tissue_names.txt").read_text().splitlines() if line]
    resolution = dr.resolve(
        mtsplice(shared_data / "mtsplice" / "mtsplice0.h5"),
        "pool",
        example_input=(torch.zeros(1, 4, 400),) * 2,
        target_names=names,
        l2=1.0,
    )
    fiv, score = resolution.dataset.fiv.values, resolution.dataset.score.values
    similar = similarity(ofiv(fiv, score))
    tree = linkage(similar)
    muscle_and_brain = {i for i, name in enumerate(names) if name.endswith(("- Brain", "- Heart", "- Muscle"))}
    assert len(muscle_and_brain) == 16
    branches = zip(clades(tree), support(fiv, score, tree), strict=True)
    supported = [clade for clade, share in branches if clade >= muscle_and_brain and len(clade) <= 19 and share >= 0.9]
    assert supported
    inside, outside = sorted(muscle_and_brain), sorted(set(range(56)) - set.union(*map(set, supported)))
    assert similar[np.ix_(inside, inside)].min() >= 0.95
    assert abs(similar[np.ix_(inside, outside)].mean()) < 0.2
    colon = names.index("Sigmoid - Colon")
    nearest = {names[i] for i in np.argsort(-similar[colon])[1:4]}
    assert nearest <= {
        "Aorta - Artery",
        "Coronary - Artery",
        "Bladder",
        "Gastroesoph. Junc. - Esophagus",
        "Muscularis - Esophagus",
    }


def test_a_thousand_classes_are_compared_in_seconds():
    rng = np.random.default_rng(11)
    fiv, score = resampled(rng, families(rng, 40, 25, 500, within=0.5))
    start = time.perf_counter()
    importances = ofiv(fiv, score)
    tree = linkage(similarity(importances))
    share = support(fiv, score, tree)
    sharing(importances)
    seconds = time.perf_counter() - start
    assert np.isfinite(share).all()
    assert seconds < 20  # measured on a quiet machine: below 2; busy ones share it with everything else
