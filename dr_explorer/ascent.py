"""Ascent: every trial (class x restart) of a run, climbing together in slots, a few steps at a time.

Trials are independent. Each starts from a generator keyed by ``(random_state, class, restart)`` and carries all it
knows in its slot, so where it ends does not depend (beyond rounding) on the batch it ran in, on pauses, or on what
was added later. Finished trials leave their slots to waiting ones; the class someone looks at goes first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dr_explorer import rules, scale
from dr_explorer.seating import Seating
from dr_explorer.settings import Settings, checked_targets, expect, positive
from dr_explorer.slots import Slots
from dr_explorer.tail import OUT_OF_MEMORY, Tail
from dr_explorer.trials import CONVERGED, DIVERGED, EXHAUSTED, RUNNING, STOPPED, WAITING, Trials

#: Feature-map numbers a step works on at once: enough to fill the device, few enough to stay lively and in memory. With
#: 2**21 on two CPU cores dense tails climb 1.3 to 1.4 times as fast as with twice that, convolutions within 3 per cent.
ELEMENTS_A_STEP = {"cpu": 2**21, "cuda": 2**26}
SMALL_STEP = 2**17  # below this many numbers a step, more than one CPU thread costs more than it brings
#: Evaluations between two looks at the trials; on a GPU each look waits for the device.
BURST = {"cpu": 2, "cuda": 8}
SMALL_BURST = 16  # of small steps on a CPU: there the look costs as much as an evaluation
LINEAR = "the network is linear behind this layer: each class has one optimum, grad S / (2 l2), reached in one step"
COMPACT_SHARE = 0.25  # slots are closed up when this share of them is done and nobody waits;
SMALL_COMPACT_SHARE = 0.5  # of small steps, which hardly get cheaper with fewer slots


class Ascent:
    """All trials of one run; `advance` moves them, everything else looks or changes the plan.

    Parameters
    ----------
    tail : Tail
        From feature maps to logits.
    targets : indices of output columns (the paper's classes); default all.
    **settings : see `dr_explorer.settings.Settings`.

    Raises
    ------
    ValueError
        For settings out of range, targets that do not exist or none at all.
    """

    def __init__(self, tail: Tail, *, targets: Sequence[int] | None = None, **settings: Any) -> None:
        asked = Settings(**settings)
        self.tail = tail
        targets = checked_targets(targets, tail.n_targets)
        l2 = scale.choose_l2(tail, targets) if asked.l2 is None else float(asked.l2)
        self._own_step = asked.step_size is None
        self.step_size = scale.choose_step(l2) if self._own_step else float(asked.step_size)
        self.patience, self.max_steps, self.random_state = asked.patience, asked.max_steps, int(asked.random_state)
        self.rule_name = asked.rule
        self.rule = rules.make(
            asked.rule, l2=l2, step_size=self.step_size, patience=self.patience, max_steps=self.max_steps
        )
        self.init = asked.init or self.rule.init
        if asked.rule == "fast" and scale.is_linear(tail):
            self.rule.first_step = 1.0  # to the optimum, which the second evaluation confirms
            if LINEAR not in tail.notes:
                tail.notes.append(LINEAR)

        self._kind = "cuda" if tail.device.type == "cuda" else "cpu"
        self._size = int(np.prod(tail.shape))
        self.n_steps = 0  # engine steps so far

        self.trials = Trials(len(targets), asked.n_restarts, tail.shape, self.max_steps, asked.keep_maps)
        self._seating = Seating(
            tail,
            self.rule,
            self.trials,
            targets,
            batch_size=asked.batch_size or max(1, ELEMENTS_A_STEP[self._kind] // self._size),
            random_state=self.random_state,
            init=self.init,
        )

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def l2(self) -> float:
        return self.rule.l2

    @property
    def targets(self) -> list[int]:
        """The output column of each class."""
        return self._seating.targets

    @property
    def batch_size(self) -> int:
        """Slots at the most: half of what was asked for, or less, where memory did not do."""
        return self._seating.batch_size

    @batch_size.setter
    def batch_size(self, n: int) -> None:
        self._seating.batch_size = n

    @property
    def _slots(self) -> Slots:
        return self._seating.slots

    @property
    def finished(self) -> bool:
        """Whether no trial is running or waiting."""
        return self.trials.finished

    def live_fiv(self, target: int) -> np.ndarray:
        """FIVs (T, K) of one class as they stand now, running trials included; NaN where there is none yet."""
        fiv = self.trials.fiv[target].copy()
        rows = self._slots.rows(target)
        if len(rows):
            fiv[self._slots.trials[1, rows]] = self._means(self._answers(rows))
        return fiv

    def map_of(self, target: int, restart: int) -> np.ndarray | None:
        """One trial's feature map (K, W) or (K,) as it stands now, or None where it was not kept or has not begun."""
        rows = self._slots.rows(target)
        rows = rows[self._slots.trials[1, rows] == restart]
        return self._on_host(self._answers(rows))[0] if len(rows) else self.trials.map_of(target, restart)

    # -- moving ----------------------------------------------------------------------------------------------------

    def advance(self, steps: int = 8, *, seconds: float = math.inf) -> int:
        """Evaluate up to ``steps`` times the gradient of every slot; returns the trial-steps done (0: finished).

        On a CPU it ends after the evaluation that takes it beyond ``seconds``; on a GPU, where evaluations go on after
        they were asked for, after the burst.
        """
        done, until = 0, time.monotonic() + seconds
        small = self._kind == "cpu" and self._step_elements() < SMALL_STEP
        longest = SMALL_BURST if small else BURST[self._kind]
        with _threads(1 if small else None):
            while steps > 0:
                self._seating.fill()
                n = len(self._slots)
                if n == 0:
                    break
                made = self._burst(min(steps, longest), until)
                done += made * n
                self.n_steps += made
                steps = steps - made if time.monotonic() < until else 0
        return done

    def run(self, progress: Any = None) -> Ascent:
        """Advance to the end; ``progress(finished trials)`` is called now and then."""
        while not self.finished:
            self.advance(32)
            if progress is not None:
                progress(int(self.trials.ended.sum()))
        return self

    def stop(self) -> None:
        """End here: running trials keep what they reached, marked stopped; trials never begun stay without result."""
        if len(self._slots):
            self._store(self._slots.trials, self._slots.state, status=STOPPED)
            self._slots.clear()
        for at, state in self._seating.parked.items():
            self._store(np.array([at]).T, state, status=STOPPED)
        self._seating.parked.clear()
        status = self.trials.status
        status[status == WAITING] = STOPPED

    # -- changing the plan -----------------------------------------------------------------------------------------

    def prioritise(self, target: int | None) -> None:
        """Let the waiting trials of one class go first, in the slots of others if need be; None: nobody first."""
        self._seating.prioritise(target)

    def add_restarts(self, n: int) -> None:
        """More restarts of every class; the new ones wait, the old ones stay as they are."""
        expect(n >= 1, "n", n, "at least 1")
        self.trials.grow(self.trials.n_targets, self.trials.n_restarts + n)

    def set_restarts(self, n: int) -> None:
        """Exactly ``n`` restarts a class: more are added, or the last ones dropped with what they found."""
        expect(n >= 1, "n", n, "at least 1")
        if n >= self.trials.n_restarts:
            self.trials.grow(self.trials.n_targets, n)
            return
        self._seating.drop_restarts(n)
        self.trials.drop_restarts(n)

    def add_targets(self, targets: Sequence[int]) -> None:
        """More classes, by output column; they wait, the old ones stay as they are."""
        self._seating.targets = checked_targets([*self.targets, *targets], self.tail.n_targets)
        self.trials.grow(len(self.targets), self.trials.n_restarts)

    def set_l2(self, l2: float) -> None:
        """Another ``l2``, and the step size that goes with it, unless one was asked for.

        Running trials go on from where they are, ended ones re-ascend from their end points.

        Where end points are not kept (`keep_maps="none"`, or too large), ended trials start again at random.
        """
        expect(positive(l2), "l2", l2, "a positive number")
        self._take_scale(l2, scale.choose_step(l2) if self._own_step else self.step_size)
        for state in (self._slots.state, *self._seating.parked.values()):
            if state is not None:
                self.rule.reweigh(state)
        self.trials.begin_again()

    def _take_scale(self, l2: float, step_size: float) -> None:
        self.rule.l2, self.step_size = float(l2), float(step_size)
        if isinstance(self.rule, rules.Authors):
            self.rule.step_size = self.step_size  # a step that was right for a small l2 explodes at a large one

    # -- resuming --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later or elsewhere to the same end points: tensors, arrays and plain values."""
        self._seating.park(np.arange(len(self._slots)))
        return {
            "settings": {
                "targets": list(self.targets),
                "l2": self.l2,
                "step_size": self.step_size,
                "patience": self.patience,
                "max_steps": self.max_steps,
                "rule": self.rule_name,
                "random_state": self.random_state,
                "init": self.init,
                "n_steps": self.n_steps,
                "shape": list(self.tail.shape),
            },
            "arrays": {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in self.trials.arrays().items()},
            "parked": {f"{c},{r}": dict(state) for (c, r), state in self._seating.parked.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a run where `state_dict` left it; the tail must be the same.

        Raises
        ------
        ValueError
            Where the saved run is of another layer, rule, start or random state, or stops otherwise.
        """
        saved = state["settings"]
        mine = {name: getattr(self, name) for name in ("random_state", "init", "patience", "max_steps")}
        mine["rule"] = self.rule_name
        for name, value in {**mine, "shape": list(self.tail.shape)}.items():
            if saved[name] != value:
                raise ValueError(f"the saved run has {name} {saved[name]!r}, this one {value!r}: make it the same way")
        self._seating.targets = checked_targets(saved["targets"], self.tail.n_targets)
        self._take_scale(saved["l2"], saved["step_size"])
        self.n_steps = int(saved["n_steps"])
        self.trials.load({name: tensor.numpy() for name, tensor in state["arrays"].items()})
        self._slots.clear()
        self._seating.parked = {tuple(map(int, at.split(","))): dict(rows) for at, rows in state["parked"].items()}

    # -- a burst ---------------------------------------------------------------------------------------------------

    @property
    def _many(self) -> float:
        """So many slots that are done are worth closing up."""
        small = self._kind == "cpu" and len(self._slots) * self._size < SMALL_STEP
        return (SMALL_COMPACT_SHARE if small else COMPACT_SHARE) * len(self._slots)

    def _step_elements(self) -> int:
        waiting_or_running = int((self.trials.status <= RUNNING).sum())
        return min(self.batch_size, waiting_or_running) * self._size

    def _answers(self, rows: np.ndarray) -> Tensor:
        """The maps (n, D) that are the answers so far in some slots, on the device."""
        answers = self.rule.answer(self._slots.state)
        return answers[torch.from_numpy(rows).to(answers.device)]

    def _means(self, maps: Tensor) -> np.ndarray:
        """FIVs (n, K) of maps (n, D), averaged where these are: to bring them to the host takes longer."""
        return maps.view(len(maps), self.tail.shape[0], -1).mean(2).cpu().numpy()

    def _on_host(self, maps: Tensor) -> np.ndarray:
        return maps.cpu().numpy().reshape(-1, *self.tail.shape)

    def _burst(self, steps: int, until: float = math.inf) -> int:
        """Evaluate and update all slots up to ``steps`` times; 0 when memory ran out and the batch was halved.

        Nothing in here asks the device for a value before the end, where all that is looked at comes in one transfer.
        On a CPU, where a look is free, a burst ends early when many slots are done, or it is late (`time.monotonic`).
        """
        state, shape, seen = self._slots.state, (-1, *self.tail.shape), []
        before, many = state["steps"].clone(), self._many
        try:
            for _ in range(steps):
                score, grad = self.tail.value_and_grad(state["x"].view(shape), self._slots.columns)
                self.rule.update(state, score, grad.reshape(len(grad), -1))
                seen.append(state["objective"].clone())
                if self._kind == "cpu" and (
                    time.monotonic() >= until or np.count_nonzero(state["done"].numpy()) >= many
                ):
                    break
        except OUT_OF_MEMORY as error:
            self._seating.halve(error)
            return 0
        made = len(seen)
        seen += before, state["steps"], self.rule.run_score(state), state["done"]
        self._harvest(torch.stack([one.to(torch.float32) for one in seen]).cpu().numpy())
        return made

    def _harvest(self, seen: np.ndarray) -> None:
        """Write down what a burst did; let waiting trials into the slots of those that are done, or close up."""
        objective, (before, after, score, done) = seen[:-4], seen[-4:]
        done = done > 0
        # A trial made a step at every evaluation until it was done.
        steps = np.minimum(before + np.arange(1, len(objective) + 1)[:, None], after)
        self.trials.note(*self._slots.trials, steps.astype(np.int64), objective, score)
        if not done.any():
            return
        nobody_waits = not (self.trials.status == WAITING).any()
        if nobody_waits and not done.all() and done.sum() < self._many:
            return
        rows = np.flatnonzero(done)
        self._store(self._slots.trials[:, rows], self._slots.state, torch.from_numpy(rows).to(self.tail.device))
        self._seating.refill(rows)

    def _store(
        self, trials: np.ndarray, state: rules.State, rows: Tensor | slice = slice(None), status: int | None = None
    ) -> None:
        """Write down the end points of trials (2, n), in these rows; ended as the rule says of each, or ``status``."""
        diverged, exhausted = state["diverged"][rows].cpu().numpy(), state["exhausted"][rows].cpu().numpy()
        ended = np.where(exhausted, EXHAUSTED, CONVERGED) if status is None else status
        if status is not None:  # in the middle of a burst, perhaps, of which nothing is written down yet
            for name, value in (("objective", state["objective"]), ("score", self.rule.run_score(state))):
                value = value[rows].cpu().numpy()
                getattr(self.trials, name)[tuple(trials)] = np.where(np.isfinite(value), value, np.nan)
        maps = self.rule.answer(state)[rows]
        self.trials.end(
            *trials,
            np.where(diverged, DIVERGED, ended),
            self._means(maps),
            lambda which: self._on_host(maps[torch.from_numpy(which)]),
        )


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    """Run with ``n`` CPU threads (None: as it is) and give the setting back."""
    before = torch.get_num_threads()
    if n is None or n == before:
        yield
        return
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
