"""Ascent: every trial (class x restart) of a run, climbing together in slots, a few steps at a time.

Trials are independent. Each starts from a generator keyed by ``(random_state, class, restart)`` and carries all it
knows in its slot, so where it ends does not depend (beyond rounding) on the batch it ran in, on pauses, or on what
was added later. Finished trials leave their slots to waiting ones; the class someone looks at goes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dr_explorer import rules, scale
from dr_explorer.tail import Tail
from dr_explorer.trials import CONVERGED, DIVERGED, EXHAUSTED, RUNNING, STOPPED, WAITING, Trials

#: Feature-map numbers a step works on at once: enough to fill the device, few enough to stay lively and in cache.
ELEMENTS_A_STEP = {"cpu": 2**21, "cuda": 2**26}
SMALL_STEP = 2**17  # below this many numbers a step, more than one CPU thread costs more than it brings
#: Evaluations between two looks at which trials are done; on a GPU each look waits for the device.
BURST = {"cpu": 2, "cuda": 8}
SMALL_BURST = 8  # of small steps on a CPU: there the look costs more than the evaluations of trials already done
LINEAR = "the network is linear behind this layer: each class has one optimum, grad S / (2 l2), reached in one step"
COMPACT_SHARE = 0.25  # slots are closed up when this share of them is done and nobody waits


def start(shape: tuple[int, ...], *, random_state: int, target: int, restart: int, init: str = "uniform") -> np.ndarray:
    """The random feature map (K, W) or (K,) float32 a trial starts from, the same on every machine.

    ``init`` is ``"uniform"``, U[0, 1) (the released code; the published statistics fit it), or ``"normal"``, N(0, 1)
    (the paper's word). On a layer with many positions uniform starts all have nearly the same mean, and end in fewer of
    the basins there are. The generator is Philox, keyed by ``(random_state, target, restart)``: no draw depends on
    another trial's.
    """
    return _Starts().draw(shape, random_state, target, restart, init)


class _Starts:
    """A Philox generator that is given another key for every draw: making a new one takes longer than the draw."""

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=[0, 0])
        self._generator = np.random.Generator(self._bits)
        self._fresh = self._bits.state

    def draw(self, shape: tuple[int, ...], random_state: int, target: int, restart: int, init: str) -> np.ndarray:
        self._fresh["state"]["key"][:] = random_state, (target << 32) | restart
        self._bits.state = self._fresh
        if init == "uniform":
            return self._generator.random(shape, dtype=np.float32)
        return self._generator.standard_normal(shape, dtype=np.float32)


class Ascent:
    """All trials of one run; `advance` moves them, everything else looks or changes the plan.

    Parameters
    ----------
    tail : Tail
        From feature maps to logits.
    targets : indices of output columns (the paper's classes); default all.
    n_restarts : trials a class.
    l2 : weight of ``sum(H**2)``; None chooses it from the network (`dr_explorer.scale.choose_l2`).
    step_size : of the authors' rule; None scales theirs to ``l2`` (`dr_explorer.scale.choose_step`).
    patience, max_steps : when the authors' rule stops; `max_steps` bounds every rule.
    rule : "fast" or "authors", see `dr_explorer.rules.make`.
    init : "uniform" or "normal", see `start`; None takes the rule's own, uniform for the authors', normal for the fast.
    keep_maps : "best" keeps each class's best map, "all" every trial's, "none" none: memory stays flat.
    batch_size : slots; None fits the device. Halved, and the run goes on, when memory runs out.
    random_state : 0 <= int < 2**64.

    Raises
    ------
    ValueError
        For settings out of range, targets that do not exist or none at all.
    """

    def __init__(
        self,
        tail: Tail,
        *,
        targets: Sequence[int] | None = None,
        n_restarts: int = 10,
        l2: float | None = None,
        step_size: float | None = None,
        patience: int = 10,
        max_steps: int = 10_000,
        rule: str = "fast",
        init: str | None = None,
        keep_maps: str = "best",
        batch_size: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.tail = tail
        self.targets = _checked_targets(targets, tail.n_targets)
        _check(n_restarts >= 1, "n_restarts", n_restarts, "at least 1")
        _check(patience >= 1, "patience", patience, "at least 1")
        _check(max_steps >= 1, "max_steps", max_steps, "at least 1")
        _check(init in (None, "uniform", "normal"), "init", init, "'uniform' or 'normal'")
        _check(keep_maps in ("best", "all", "none"), "keep_maps", keep_maps, "'best', 'all' or 'none'")
        _check(batch_size is None or batch_size >= 1, "batch_size", batch_size, "None or at least 1")
        _check(0 <= random_state < 2**64, "random_state", random_state, "an integer from 0 to 2**64 - 1")
        _check(l2 is None or (np.isfinite(l2) and l2 > 0), "l2", l2, "None or a positive number")
        _check(step_size is None or (np.isfinite(step_size) and step_size > 0), "step_size", step_size, "None or > 0")
        if l2 is None or step_size is None:
            l2 = scale.choose_l2(tail, self.targets) if l2 is None else l2
            step_size = scale.choose_step(l2) if step_size is None else step_size
        self.rule_name = rule
        self.rule = rules.make(rule, l2=float(l2), step_size=float(step_size), patience=patience, max_steps=max_steps)
        if rule == "fast" and scale.is_linear(tail):
            self.rule.first_step = 1.0  # to the optimum, which the second evaluation confirms
            if LINEAR not in tail.notes:
                tail.notes.append(LINEAR)
        self.step_size, self.patience, self.max_steps = float(step_size), patience, max_steps
        self.init, self.random_state = init or self.rule.init, int(random_state)

        self._kind = "cuda" if tail.device.type == "cuda" else "cpu"
        self._size = int(np.prod(tail.shape))
        fitting = max(1, ELEMENTS_A_STEP[self._kind] // self._size)
        self.batch_size = batch_size or fitting
        self.n_steps = 0  # engine steps so far

        self.trials = Trials(len(self.targets), n_restarts, tail.shape, max_steps, keep_maps)
        self._first: int | None = None
        self._state: rules.State | None = None
        self._slot = np.empty((2, 0), np.int64)  # class index and restart of each slot
        self._columns = torch.empty(0, dtype=torch.int64, device=tail.device)
        self._parked: dict[tuple[int, int], rules.State] = {}

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def l2(self) -> float:
        return self.rule.l2

    @property
    def finished(self) -> bool:
        """Whether no trial is running or waiting."""
        return self.trials.finished

    def live_fiv(self, target: int) -> np.ndarray:
        """FIVs (T, K) of one class as they stand now, running trials included; NaN where there is none yet."""
        fiv = self.trials.fiv[target].copy()
        rows = np.flatnonzero(self._slot[0] == target)
        if len(rows):
            maps = self._maps(rows)
            fiv[self._slot[1, rows]] = maps.reshape(*maps.shape[:2], -1).mean(2)
        return fiv

    def map_of(self, target: int, restart: int) -> np.ndarray | None:
        """One trial's feature map (K, W) or (K,) as it stands now, or None where it was not kept or has not begun."""
        rows = np.flatnonzero((self._slot[0] == target) & (self._slot[1] == restart))
        if len(rows):
            return self._maps(rows)[0]
        return self.trials.map_of(target, restart)

    # -- moving ----------------------------------------------------------------------------------------------------

    def advance(self, steps: int = 8) -> int:
        """Evaluate up to ``steps`` times the gradient of every slot; returns the trial-steps done (0: finished)."""
        done = 0
        small = self._kind == "cpu" and self._step_elements() < SMALL_STEP
        with _threads(1 if small else None):
            while steps > 0:
                self._fill()
                n = self._slot.shape[1]
                if n == 0:
                    break
                burst = min(steps, SMALL_BURST if small else BURST[self._kind])
                if self._burst(burst):
                    done += burst * n
                    self.n_steps += burst
                    steps -= burst
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
        self._release(np.arange(self._slot.shape[1]), STOPPED)
        for at, state in self._parked.items():
            self._store(np.array([at]).T, state, STOPPED)
        self._parked.clear()
        status = self.trials.status
        status[status == WAITING] = STOPPED

    # -- changing the plan -----------------------------------------------------------------------------------------

    def prioritise(self, target: int | None) -> None:
        """Let the waiting trials of one class go first, in the slots of others if need be; None: nobody first."""
        self._first = target
        if target is None or self._state is None:
            return
        wanted = int((self.trials.status[target] == WAITING).sum())
        free = self.batch_size - self._slot.shape[1]
        others = np.flatnonzero(self._slot[0] != target)
        self._park(others[len(others) - max(0, min(wanted - free, len(others))) :])

    def add_restarts(self, n: int) -> None:
        """More restarts of every class; the new ones wait, the old ones stay as they are."""
        _check(n >= 1, "n", n, "at least 1")
        self.trials.grow(self.trials.n_targets, self.trials.n_restarts + n)

    def set_restarts(self, n: int) -> None:
        """Exactly ``n`` restarts a class: more are added, or the last ones dropped with what they found."""
        _check(n >= 1, "n", n, "at least 1")
        if n >= self.trials.n_restarts:
            self.trials.grow(self.trials.n_targets, n)
            return
        self._keep_slots(np.flatnonzero(self._slot[1] < n))
        self._parked = {(c, r): state for (c, r), state in self._parked.items() if r < n}
        self.trials.drop_restarts(n)

    def add_targets(self, targets: Sequence[int]) -> None:
        """More classes, by output column; they wait, the old ones stay as they are."""
        self.targets = _checked_targets([*self.targets, *targets], self.tail.n_targets)
        self.trials.grow(len(self.targets), self.trials.n_restarts)

    def set_l2(self, l2: float) -> None:
        """Another ``l2``: running trials go on from where they are, ended ones re-ascend from their end points.

        Where end points are not kept (`keep_maps="none"`, or too large), ended trials start again at random.
        """
        _check(np.isfinite(l2) and l2 > 0, "l2", l2, "a positive number")
        self.rule.l2 = float(l2)
        for state in (self._state, *self._parked.values()):
            if state is not None:
                self.rule.reweigh(state)
        self.trials.begin_again()

    # -- resuming --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later or elsewhere to the same end points: tensors, arrays and plain values."""
        self._park(np.arange(self._slot.shape[1]))
        return {
            "settings": {
                "targets": list(self.targets),
                "l2": self.l2,
                "rule": self.rule_name,
                "random_state": self.random_state,
                "init": self.init,
                "n_steps": self.n_steps,
                "shape": list(self.tail.shape),
            },
            "arrays": {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in self.trials.arrays().items()},
            "parked": {f"{c},{r}": dict(state) for (c, r), state in self._parked.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a run where `state_dict` left it; the tail must be the same.

        Raises
        ------
        ValueError
            Where the saved run is of another layer, rule, start or random state.
        """
        saved = state["settings"]
        mine = {"rule": self.rule_name, "random_state": self.random_state, "init": self.init}
        for name, value in {**mine, "shape": list(self.tail.shape)}.items():
            if saved[name] != value:
                raise ValueError(f"the saved run has {name} {saved[name]!r}, this one {value!r}: make it the same way")
        self.targets = _checked_targets(saved["targets"], self.tail.n_targets)
        self.rule.l2, self.n_steps = float(saved["l2"]), int(saved["n_steps"])
        self.trials.load({name: tensor.numpy() for name, tensor in state["arrays"].items()})
        self._drop_slots()
        self._parked = {tuple(map(int, at.split(","))): dict(rows) for at, rows in state["parked"].items()}

    # -- slots -----------------------------------------------------------------------------------------------------

    def _step_elements(self) -> int:
        waiting_or_running = int((self.trials.status <= RUNNING).sum())
        return min(self.batch_size, waiting_or_running) * self._size

    def _maps(self, rows: np.ndarray) -> np.ndarray:
        at = torch.from_numpy(rows).to(self.tail.device)
        return self.rule.answer(self._state)[at].cpu().numpy().reshape(len(rows), *self.tail.shape)

    def _burst(self, steps: int) -> bool:
        """Evaluate and update all slots ``steps`` times; False when memory ran out and the batch was halved."""
        state, shape = self._state, (-1, *self.tail.shape)
        seen_steps, seen_objective = [], []
        try:
            for _ in range(steps):
                score, grad = self.tail.value_and_grad(state["x"].view(shape), self._columns)
                self.rule.update(state, score, grad.reshape(len(grad), -1))
                seen_steps.append(state["steps"].clone())
                seen_objective.append(state["objective"].clone())
        except (torch.OutOfMemoryError, MemoryError) as error:
            self._halve(error)
            return False
        self._harvest(torch.stack(seen_steps).cpu().numpy(), torch.stack(seen_objective).cpu().numpy())
        return True

    def _halve(self, error: BaseException) -> None:
        n = self._slot.shape[1]
        if n <= 1:
            raise MemoryError(
                "one feature map at a time does not fit into memory: choose a later layer, or another device"
            ) from error
        self.batch_size = max(1, n // 2)
        self._park(np.arange(self.batch_size, n))
        if self._kind == "cuda":
            torch.cuda.empty_cache()

    def _harvest(self, steps: np.ndarray, objective: np.ndarray) -> None:
        """Write down what a burst did; release the trials that are done."""
        state = self._state
        self.trials.note(*self._slot, steps, objective, self.rule.run_score(state).cpu().numpy())
        done = state["done"].cpu().numpy()
        nobody_waits = not (self.trials.status == WAITING).any()
        if done.all() or (done.any() and not nobody_waits) or done.sum() >= COMPACT_SHARE * len(done):
            self._release(np.flatnonzero(done), None)

    def _release(self, rows: np.ndarray, status: int | None) -> None:
        """Take trials out of their slots, writing their end points down, and let waiting ones in.

        ``status`` None: what the rule says of each.
        """
        if len(rows) == 0:
            return
        self._store(self._slot[:, rows], self._take(rows), status)
        targets, restarts = self._next(len(rows)) if status is None else ((), ())
        if n := len(targets):  # in place: the others are not copied
            at = torch.from_numpy(rows[:n]).to(self.tail.device)
            for name, tensor in self._enter(targets, restarts).items():
                self._state[name][at] = tensor
            self._slot[:, rows[:n]] = targets, restarts
            self._columns[at] = self._columns_of(targets)
        if n < len(rows):
            self._keep_slots(np.delete(np.arange(self._slot.shape[1]), rows[n:]))

    def _take(self, rows: np.ndarray) -> rules.State:
        at = torch.from_numpy(rows).to(self.tail.device)
        return {name: tensor[at] for name, tensor in self._state.items()}

    def _store(self, slot: np.ndarray, state: rules.State, status: int | None) -> None:
        diverged, exhausted = state["diverged"].cpu().numpy(), state["exhausted"].cpu().numpy()
        ended = np.where(exhausted, EXHAUSTED, CONVERGED) if status is None else status
        maps = self.rule.answer(state).cpu().numpy().reshape(-1, *self.tail.shape)
        self.trials.end(*slot, np.where(diverged, DIVERGED, ended), maps)

    def _park(self, rows: np.ndarray) -> None:
        """Put running trials aside, on the host, to go on later from exactly here."""
        if len(rows) == 0:
            return
        taken = {name: tensor.cpu() for name, tensor in self._take(rows).items()}
        for i, (target, restart) in enumerate(self._slot[:, rows].T.tolist()):
            self._parked[target, restart] = {name: tensor[i : i + 1].clone() for name, tensor in taken.items()}
            self.trials.status[target, restart] = WAITING
        self._keep_slots(np.delete(np.arange(self._slot.shape[1]), rows))

    def _keep_slots(self, rows: np.ndarray) -> None:
        if len(rows) == 0:
            self._drop_slots()
            return
        self._state = self._take(rows)
        self._columns = self._columns[torch.from_numpy(rows).to(self.tail.device)]
        self._slot = self._slot[:, rows]

    def _drop_slots(self) -> None:
        self._state, self._slot = None, np.empty((2, 0), np.int64)
        self._columns = self._columns[:0]

    def _fill(self) -> None:
        """Let waiting trials into free slots."""
        targets, restarts = self._next(self.batch_size - self._slot.shape[1])
        if len(targets) == 0:
            return
        fresh = self._enter(targets, restarts)
        self._state = fresh if self._state is None else {k: torch.cat([t, fresh[k]]) for k, t in self._state.items()}
        self._slot = np.concatenate([self._slot, [targets, restarts]], axis=1)
        self._columns = torch.cat([self._columns, self._columns_of(targets)])

    def _next(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        targets, restarts = self.trials.waiting(self._first)
        return targets[: max(n, 0)], restarts[: max(n, 0)]

    def _enter(self, targets: np.ndarray, restarts: np.ndarray) -> rules.State:
        """The states of trials that start running now, parked ones from where they were."""
        self.trials.status[targets, restarts] = RUNNING
        parked = {}
        for i, at in enumerate(zip(targets.tolist(), restarts.tolist(), strict=True)):
            if at in self._parked:
                parked[i] = self._parked.pop(at)
        if not parked:
            return self._begin(targets, restarts)
        new = [i for i in range(len(targets)) if i not in parked]
        begun = self._begin(targets[new], restarts[new]) if new else {}
        order = torch.from_numpy(np.argsort([*new, *parked])).to(self.tail.device)
        states = ([begun] if new else []) + list(parked.values())
        return {name: torch.cat([s[name].to(self.tail.device) for s in states])[order] for name in states[0]}

    def _columns_of(self, targets: np.ndarray) -> Tensor:
        return torch.tensor([self.targets[t] for t in targets], dtype=torch.int64).to(self.tail.device)

    def _begin(self, targets: np.ndarray, restarts: np.ndarray) -> rules.State:
        maps, starts = np.empty((len(targets), self._size), np.float32), _Starts()
        for i, (target, restart) in enumerate(zip(targets.tolist(), restarts.tolist(), strict=True)):
            if self.trials.warm[target, restart]:
                maps[i] = self.trials.ends[target, restart].ravel()
                continue
            maps[i] = starts.draw((self._size,), self.random_state, self.targets[target], restart, self.init)
        self.trials.warm[targets, restarts] = False
        return self.rule.begin(torch.from_numpy(maps).to(self.tail.device, self.tail.dtype))


def _checked_targets(targets: Sequence[int] | None, n_targets: int) -> list[int]:
    if targets is None:
        return list(range(n_targets))
    chosen = [int(t) for t in targets]
    if not chosen:
        raise ValueError("targets is empty: give at least one output column, or None for all of them")
    for target in chosen:
        if not 0 <= target < n_targets:
            raise ValueError(f"target {target} is out of range: the network has outputs 0 to {n_targets - 1}")
    if len(set(chosen)) < len(chosen):
        twice = next(t for t in chosen if chosen.count(t) > 1)
        raise ValueError(f"target {twice} is given twice: give each output column once")
    return chosen


def _check(good: bool, name: str, value: Any, expected: str) -> None:
    if not good:
        raise ValueError(f"{name} is {value!r}; expected {expected}")


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
