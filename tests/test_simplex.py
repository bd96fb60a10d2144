"""The weights of many small programs are on the simplex, and optimal, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dr_explorer.simplex import simplex_program

CUTS = 5


def programs(seed: int, n: int, rank: int, twins: bool = False) -> tuple[np.ndarray, ...]:
    """Random programs, and a random set and corner to start each from."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, CUTS, rank)) * rng.uniform(0.1, 3, size=(n, CUTS, 1))
    if twins:
        vectors[:, 1] = vectors[:, 0]
    quadratic = vectors @ vectors.swapaxes(1, 2)
    return quadratic, rng.exponential(size=(n, CUTS)), rng.random((n, CUTS)) < 0.5, rng.integers(CUTS, size=n)


def duality_gap(quadratic: np.ndarray, linear: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How far from optimal (n,), relative to the program's numbers: ``a . slope - min(slope)`` is 0 at the optimum."""
    slope = linear + np.einsum("nij,nj->ni", quadratic, weights)
    size = np.einsum("nii->ni", quadratic).max(1) + abs(linear).max(1)
    return ((weights * slope).sum(1) - slope.min(1)) / size


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rank=st.integers(0, CUTS), twins=st.booleans(), unit=st.floats(1e-6, 1e6))
def test_weights_lie_on_the_simplex_whatever_the_program(seed: int, rank: int, twins: bool, unit: float) -> None:
    quadratic, linear, active, corner = programs(seed, 7, rank, twins)
    weights = simplex_program(np, unit * quadratic, unit * linear, active, corner)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize("twins", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 4, CUTS])
def test_weights_meet_the_conditions_of_optimality(rank: int, twins: bool) -> None:
    quadratic, linear, active, corner = programs(rank, 3000, rank, twins)
    found = []
    for _ in range(4):  # as a trial does, which takes up the last set while its program hardly changes
        weights = simplex_program(np, quadratic, linear, active, corner)
        found.append((duality_gap(quadratic, linear, weights) < 1e-5).mean())  # the ridge costs about as much
        active, corner = weights > 0, weights.argmax(1)
    assert found[0] > 0.5  # from a random set and corner
    assert found[-1] > 0.99


def test_weights_agree_with_a_general_solver() -> None:
    rng = np.random.default_rng(5)
    vectors, linear = rng.normal(size=(20, CUTS, 4)), rng.exponential(size=(20, CUTS))
    quadratic = vectors @ vectors.swapaxes(1, 2)
    active, corner = np.ones((20, CUTS), bool), np.zeros(20, int)
    for _ in range(4):
        weights = simplex_program(np, quadratic, linear, active, corner)
        active, corner = weights > 0, weights.argmax(1)
    for q, c, a in zip(quadratic, linear, weights, strict=True):
        found = minimize(
            lambda w, q=q, c=c: c @ w + w @ q @ w / 2,
            np.full(CUTS, 1 / CUTS),
            jac=lambda w, q=q, c=c: c + q @ w,
            bounds=[(0, 1)] * CUTS,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 200},
        )
        assert c @ a + a @ q @ a / 2 == pytest.approx(found.fun, rel=1e-5)


def test_numpy_and_torch_solve_alike() -> None:
    program = programs(2, 30, 3)
    here = simplex_program(np, *program)
    there = simplex_program(torch, *(torch.from_numpy(array) for array in program))
    np.testing.assert_allclose(here, there.numpy(), atol=1e-9)
