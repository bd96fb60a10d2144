"""Nothing of a step is left on the host: seen without a GPU, on tensors that have a device but no numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from dr_explorer import rules
from dr_explorer.slots import Slots

#: A device that every build of PyTorch can pretend to have. An operation on it and on the host at once is an error.
ELSEWHERE = torch.device("lazy")
SIZE = 2000


def climbed(rule: rules.Rule, n: int) -> rules.State:
    """The state of `n` trials after a few evaluations."""
    state = rule.begin(torch.empty(n, SIZE, device=ELSEWHERE))
    for _ in range(3):
        rule.update(state, torch.empty(n, device=ELSEWHERE), torch.empty(n, SIZE, device=ELSEWHERE))
    return state


def devices(state: rules.State) -> set[str]:
    return {tensor.device.type for tensor in state.values()}


@pytest.mark.parametrize("name", ["fast", "authors"])
def test_a_rule_and_its_slots_stay_on_their_device(name: str) -> None:
    rule = rules.make(name, l2=0.1, step_size=0.01)
    with FakeTensorMode():
        with pytest.raises(RuntimeError, match="device"):  # so a mistake would be seen
            torch.empty(2, device=ELSEWHERE) + torch.empty(2)
        state = climbed(rule, 200)
        rule.reweigh(state)
        slots = Slots(ELSEWHERE)
        trials = np.stack([np.zeros(200, np.int64), np.arange(200)])
        slots.append(trials, trials[0], state)
        slots.replace(np.arange(5), trials[:, :5], trials[0, :5], climbed(rule, 5))
        assert devices(slots.taken(np.arange(3))) == {"lazy"}
        assert devices(slots.taken(np.arange(3), torch.device("cpu"))) == {"cpu"}
        slots.keep(np.arange(100))
        assert devices(slots.state) == {slots.columns.device.type} == {"lazy"}
        assert {rule.answer(slots.state).device.type, rule.run_score(slots.state).device.type} == {"lazy"}
