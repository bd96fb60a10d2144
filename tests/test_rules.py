"""The authors' rule does what their loop does, one slot not knowing of the next."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_explorer import rules

L2, STEP = 2.8, 0.005


def network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return (
        torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
        .double()
        .requires_grad_(False)
    )


def evaluate(net: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.detach().requires_grad_(True)
    score = net(x)[:, 0]
    return score.detach(), torch.autograd.grad(score.sum(), x)[0]


def climb(rule: rules.Rule, net: torch.nn.Module, x: torch.Tensor) -> rules.State:
    state = rule.begin(x)
    while not state["done"].all():
        rule.update(state, *evaluate(net, state["x"]))
    return state


def authors_loop(net: torch.nn.Module, x: torch.Tensor, patience: int, max_steps: int) -> tuple[torch.Tensor, int]:
    """The published loop as one would write it down: one trial, plain Python."""
    best, stalled = -np.inf, 0
    for i in range(1, max_steps + 1):
        score, grad = evaluate(net, x[None])
        objective = float(score - L2 * x.square().sum())
        best, stalled = (objective, 0) if objective > best else (best, stalled + 1)
        if stalled >= patience:
            break
        if i < max_steps:
            rate = STEP if i <= 500 else max(STEP * (i - 500) ** -0.2, 1e-6)
            x = x + rate * (grad[0] - 2 * L2 * x)
    return x, i


@pytest.mark.parametrize("max_steps", [10_000, 700, 30])
def test_the_batched_rule_ends_where_the_plain_loop_ends(max_steps: int) -> None:
    # In float64: in float32 the last digits of a sum decide when ten steps bring nothing new.
    net, x = network(), torch.rand(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rule = rules.Authors(l2=L2, step_size=STEP, patience=10, max_steps=max_steps)
    state = climb(rule, net, x)
    for i in range(5):
        expected, steps = authors_loop(net, x[i], 10, max_steps)
        # Where it is not max_steps that stops a trial, the last digits of sums do, and they are ordered differently.
        assert int(state["steps"][i]) == steps or steps < max_steps
        torch.testing.assert_close(rule.answer(state)[i], expected)


def test_the_rate_decays_only_after_500_steps() -> None:
    rule = rules.Authors(l2=1e-9, step_size=STEP, patience=10**6, max_steps=10**6)
    state = rule.begin(torch.zeros(1, 2))
    moved = []
    for _ in range(502):
        before = state["x"].clone()
        rule.update(state, torch.zeros(1), torch.ones(1, 2))
        moved.append(float((state["x"] - before)[0, 0]))
    np.testing.assert_allclose(moved[:501], STEP, rtol=1e-3)  # the first late step is 1 ** -0.2 = 1
    assert moved[501] == pytest.approx(STEP * 2**-0.2, rel=1e-3)


def test_the_run_score_is_the_best_logit_seen() -> None:
    rule = rules.Authors(l2=L2, step_size=STEP)
    state = rule.begin(torch.zeros(1, 2))
    for score in (1.0, 3.0, 2.0):
        rule.update(state, torch.tensor([score]), torch.zeros(1, 2))
    assert rule.run_score(state).item() == 3.0
    assert state["score"].item() == 2.0


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("where", ["score", "grad"])
def test_a_diverging_trial_stops_alone(broken: float, where: str) -> None:
    rule = rules.Authors(l2=L2, step_size=STEP)
    state, twin = rule.begin(torch.ones(2, 3)), rule.begin(torch.ones(2, 3))
    score, grad = torch.zeros(2), torch.ones(2, 3)
    (score if where == "score" else grad[:, 1])[0] = broken
    rule.update(state, score, grad)
    rule.update(twin, torch.zeros(2), torch.ones(2, 3))
    assert state["diverged"].tolist() == [True, False]
    assert state["done"].tolist() == [True, False]
    assert torch.isfinite(state["x"]).all()
    torch.testing.assert_close(state["x"][1], twin["x"][1])


def test_an_unknown_rule_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'fast'.*'authors'"):
        rules.make("newton", l2=1.0, step_size=0.1)
