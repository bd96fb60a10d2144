"""The session: a worker thread, a queue and credit, driven here without a widget or a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from dr_explorer.ascent import Ascent
from dr_explorer.tail import Tail
from dr_explorer.widget import frames
from dr_explorer.widget.plan import Plan
from dr_explorer.widget.protocol import Message, decode
from dr_explorer.widget.session import Session

NAMES = [f"class {i}" for i in range(4)]


def tail(positions: int = 7) -> Tail:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv1d(4, 5, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(5 * positions, 8),
        torch.nn.ReLU(), torch.nn.Linear(8, len(NAMES)),
    )  # fmt: skip
    return Tail(model, "1", example_input=torch.zeros(1, 4, positions + 2))


class Page:
    """A page without a browser: keeps every message, acknowledges when told to."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.arrived = threading.Condition()
        self.session: Session | None = None
        self.acknowledges = True
        self.open = True

    def send(self, header: dict[str, Any], buffers: list[bytes]) -> bool:
        message = decode(header, buffers)
        with self.arrived:
            self.messages.append(message)
            self.arrived.notify_all()
        if self.acknowledges:
            self.session.post("ack", seq=header["seq"])
        return self.open

    def wait_for(self, good: Callable[[Message], bool], timeout: float = 20.0) -> Message:
        """The first message, past or to come, that is good."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: any(map(good, self.messages)), timeout), self.types()
            return next(filter(good, self.messages))

    def types(self) -> list[str]:
        return [m.header["type"] for m in self.messages]


def open_page(session: Session) -> None:
    """What a page's first message does."""
    session.outlet.heard()
    session.post("hello")


def is_frame(**fields: Any) -> Callable[[Message], bool]:
    return lambda m: m.header["type"] == "frame" and all(m.header.get(k) == v for k, v in fields.items())


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def open_session(page: Page) -> Iterator[Callable[..., Session]]:
    opened: list[Session] = []

    def make(**settings: Any) -> Session:
        base = {"rule": "authors", "l2": 1.0, "step_size": 0.01, "n_restarts": 3, **settings}
        one = tail()

        def begin(layer: str, settings: dict[str, Any]) -> Ascent:
            if layer == "broken":
                raise ValueError("no layer 'broken'")
            return Ascent(one, **settings)

        def describe(run: Ascent, settings: dict[str, Any]) -> Message:
            return frames.meta(
                model="net", device="cpu", layer="1", layers=[], targets=NAMES, shape=one.shape,
                rule=settings["rule"], l2=settings["l2"] if run is None else run.l2, logos=None,
            )  # fmt: skip

        session = Session(Plan(begin, describe, "1", base), page.send)
        page.session = session
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close(wait=10)
        assert not session.worker.alive


#: A run that does not end by itself within a test.
ENDLESS = {"patience": 10**9, "max_steps": 10**9}


def test_a_run_ends_with_a_frame_that_says_so(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    last = page.wait_for(is_frame(state="done"))
    assert page.types()[0] in ("meta", "frame")
    assert last.header["counts"]["converged"] == 12
    assert last.arrays["class_finished"].tolist() == [3] * 4
    assert last.arrays["map"].shape == (5, 7)
    assert np.isfinite(last.arrays["ofiv_low"]).all()
    tree = page.wait_for(lambda m: m.header["type"] == "tree" and np.isfinite(m.arrays["support"]).all())
    assert sorted(tree.arrays["order"].tolist()) == [0, 1, 2, 3]


def test_the_support_of_the_tree_survives_a_snapshot_taken_meanwhile(page: Page, open_session) -> None:
    session = open_session()
    session._finished = lambda: session._do_snapshot()  # as the widget does, on the session's thread
    open_page(session)
    session.post("run")
    page.wait_for(lambda m: m.header["type"] == "tree" and np.isfinite(m.arrays["support"]).all())
    kept = session.post("snapshot").result(5)
    assert np.isfinite(next(m for m in kept if m.header["type"] == "tree").arrays["support"]).all()


def test_without_a_page_it_runs_the_same_and_sends_nothing(page: Page, open_session) -> None:
    session = open_session()
    session.post("run")
    assert session.at_rest.wait(20)
    assert session.state == "done"
    assert page.messages == []
    packed = session.post("snapshot").result(5)
    assert [m.header["type"] for m in packed] == ["meta", "frame", "tree"]


def test_a_page_that_opens_late_gets_the_whole_state(page: Page, open_session) -> None:
    session = open_session()
    session.post("run")
    session.at_rest.wait(20)
    open_page(session)
    for kind in ("meta", "frame", "tree"):
        page.wait_for(lambda m, kind=kind: m.header["type"] == kind)


def test_before_the_first_run_a_page_is_told_the_classes_and_what_a_run_would_do(page: Page, open_session) -> None:
    session = open_session(l2=None)
    open_page(session)
    meta = page.wait_for(lambda m: m.header["type"] == "meta")
    assert meta.header["targets"] == NAMES
    assert meta.header["l2_range"] is None
    idle = page.wait_for(is_frame(state="idle"))
    assert (idle.header["n_restarts"], idle.header["l2"], idle.header["rule"]) == (3, None, "authors")
    assert idle.header["counts"]["trials"] == idle.header["counts"]["waiting"] == 12
    assert idle.arrays == {}
    assert session._run is None


def test_what_is_set_before_the_first_run_is_shown_at_once_and_taken_up_by_it(page: Page, open_session) -> None:
    session = open_session(l2=None)
    open_page(session)
    session.post("set", n_restarts=5, l2=2.0)
    assert page.wait_for(is_frame(state="idle", n_restarts=5, l2=2.0)).header["counts"]["trials"] == 20
    page.wait_for(lambda m: m.header["type"] == "meta" and m.header["l2_range"] == [0.02, 200.0])
    session.post("run")
    page.wait_for(is_frame(state="done", n_restarts=5, l2=2.0))  # so short a run may be over before its first frame


def test_hello_in_the_middle_of_a_run_starts_the_credit_anew(page: Page, open_session) -> None:
    session = open_session(**ENDLESS)
    page.acknowledges = False
    open_page(session)
    session.post("run")
    page.wait_for(is_frame(state="running"))
    with page.arrived:
        before = len(page.messages)
    page.acknowledges = True
    open_page(session)
    with page.arrived:
        assert page.arrived.wait_for(lambda: len(page.messages) > before + 4, 10)
        assert "meta" in page.types()[before:]


def test_only_two_messages_are_ever_unanswered(page: Page, open_session) -> None:
    session = open_session(**ENDLESS)
    page.acknowledges = False
    session.post("run")
    open_page(session)
    page.wait_for(is_frame(state="running"))
    steps = session.post("call", function=lambda run: run.n_steps).result(5)
    # The engine goes on while the page keeps silent; the third message waits for a second of silence.
    while session.post("call", function=lambda run: run.n_steps).result(5) < steps + 50:
        assert len(page.messages) <= 3


def test_commands_are_obeyed_while_it_runs(page: Page, open_session) -> None:
    session = open_session(**ENDLESS)
    open_page(session)
    session.post("run")
    page.wait_for(is_frame(state="running"))
    began = time.monotonic()
    session.post("pause").result(5)
    assert time.monotonic() - began < 0.5
    page.wait_for(is_frame(state="paused"))
    steps = session.post("call", function=lambda run: run.n_steps).result(5)
    assert session.post("call", function=lambda run: run.n_steps).result(5) == steps
    session.post("resume")
    page.wait_for(lambda m: is_frame(state="running")(m) and m.header["step"] > steps)
    session.post("stop")
    last = page.wait_for(is_frame(state="stopped"))
    assert last.header["counts"]["stopped"] == 12
    assert session.at_rest.wait(5)


def test_l2_and_restarts_change_while_it_runs(page: Page, open_session) -> None:
    session = open_session(**ENDLESS)
    open_page(session)
    session.post("run")
    page.wait_for(is_frame(state="running", l2=1.0, n_restarts=3))
    session.post("set", l2=2.0, n_restarts=5)
    frame = page.wait_for(is_frame(l2=2.0, n_restarts=5))
    assert frame.arrays["status"].shape == (5,)
    session.post("set", n_restarts=2)
    assert page.wait_for(is_frame(n_restarts=2)).arrays["fiv"].shape[0] == 2


def test_more_restarts_wake_a_run_that_was_done(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    page.wait_for(is_frame(state="done", n_restarts=3))
    session.post("set", n_restarts=4)
    done = page.wait_for(is_frame(state="done", n_restarts=4))
    assert done.header["counts"]["converged"] == 16


def test_selecting_a_class_shows_that_class(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    session.at_rest.wait(20)
    session.post("select", selection={"target": 2, "other": 1, "restart": 1})
    frame = page.wait_for(is_frame(target=2, other=1, restart=1))
    run = session.post("call", function=lambda run: run).result(5)
    np.testing.assert_allclose(frame.arrays["fiv"], run.trials.fiv[2], atol=1e-6)
    of_other = [frame.arrays[name] for name in ("other_low", "other_ofiv", "other_high")]
    session.post("select", selection={"target": 1})
    alone = page.wait_for(is_frame(target=1, other=None))
    for there, own in zip(of_other, ("ofiv_low", "ofiv", "ofiv_high"), strict=True):
        np.testing.assert_allclose(there, alone.arrays[own], atol=1e-6)  # float32 on the wire


def test_selecting_a_branch_shows_what_its_classes_share(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    session.at_rest.wait(20)
    session.post("select", selection={"clade": [1, 3]})
    frame = page.wait_for(lambda m: "clade_ofiv" in m.arrays)
    run = session.post("call", function=lambda run: run).result(5)
    np.testing.assert_allclose(frame.arrays["clade_ofiv"], frames.all_ofiv(run)[[1, 3]].mean(0), atol=1e-6)
    assert frame.arrays["clade_sharing"].max() <= 2


def test_an_error_in_the_middle_is_told_in_words_and_the_session_lives_on(
    page: Page, open_session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session()
    open_page(session)
    monkeypatch.setattr(Ascent, "advance", lambda *_, **__: 1 / 0)
    session.post("run")
    frame = page.wait_for(is_frame(state="failed"))
    assert frame.header["message"] == "division by zero"
    monkeypatch.undo()
    session.post("run")
    page.wait_for(is_frame(state="done"))


def test_a_layer_that_cannot_be_cut_leaves_the_old_run_in_place(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    session.at_rest.wait(20)
    with pytest.raises(ValueError, match="no layer 'broken'"):
        session.post("set", layer="broken").result(5)
    assert session.plan.layer == "1"
    assert session.state == "done"
    assert session.post("call", function=lambda run: run.finished).result(5)


def test_a_new_run_has_a_new_number(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    page.wait_for(is_frame(state="done", run=1))
    session.post("run")
    page.wait_for(is_frame(state="done", run=2))
    numbers = [m.header["run"] for m in page.messages]
    assert numbers == sorted(numbers)
    sequence = [m.header["seq"] for m in page.messages]
    assert sequence == sorted(set(sequence))


def test_the_thread_ends_when_nobody_is_left_to_send_for(page: Page, open_session) -> None:
    session = open_session(**ENDLESS)
    page.open = False
    open_page(session)
    session.post("run")
    session.worker.thread.join(20)
    assert not session.worker.alive


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_after_an_error_in_sending_the_next_command_is_carried_out_all_the_same(page: Page, open_session) -> None:
    session = open_session(**ENDLESS)
    page.send, send = lambda header, buffers: 1 / 0, page.send
    session.outlet.deliver = page.send
    open_page(session)
    session.worker.thread.join(20)
    assert not session.worker.alive
    session.outlet.deliver = send
    assert session.post("call", function=lambda run: "answered").result(10) == "answered"


def test_commands_from_many_threads_at_once_are_all_carried_out(page: Page, open_session) -> None:
    session = open_session(**ENDLESS)
    open_page(session)
    session.post("run")
    threads = [
        threading.Thread(target=lambda i=i: session.post("select", selection={"target": i % 4})) for i in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.post("select", selection={"target": 3}).result(5)
    page.wait_for(is_frame(target=3))


def test_the_pairs_of_a_class_come_when_it_has_converged(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    session.post("select", selection={"target": 1, "pair": [0, 3]})
    pair = page.wait_for(lambda m: m.header["type"] == "pair", 60)
    assert pair.header["pair"] == [0, 3]
    assert pair.arrays["corners"].shape == (1, 2, 2)
    assert pair.arrays["others"].shape == (4, 2)
    whole = page.wait_for(
        lambda m: m.header["type"] == "pairs" and np.isfinite(m.arrays["nonlinearity"]).sum() == 5 * 4, 60
    )
    table = whole.arrays["nonlinearity"]
    np.testing.assert_array_equal(table, table.T)
    corners, (i, j) = pair.arrays["corners"][0], (whole.arrays["channels"].tolist().index(k) for k in (0, 3))
    # The matrix is read on fewer backgrounds than the chosen pair.
    told = pair.header["tables"][0]
    assert corners[1, 1] - corners[1, 0] - corners[0, 1] + corners[0, 0] == pytest.approx(
        told["nonlinearity"], abs=1e-4
    )
    assert told["low"] - 0.5 <= table[i, j] <= told["high"] + 0.5


def test_while_the_first_pairs_are_read_the_page_is_told_so(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    first = page.wait_for(lambda m: m.header["type"] == "pairs", 60)
    assert first.header["message"].startswith("Reading")
    assert first.arrays["channels"].size == 0
    whole = page.wait_for(lambda m: m.header["type"] == "pairs" and m.arrays["channels"].size == 5, 60)
    assert whole.header["message"] is None


def test_a_page_that_opens_late_gets_the_pairs_too(page: Page, open_session) -> None:
    session = open_session()
    open_page(session)
    session.post("run")
    page.wait_for(lambda m: m.header["type"] == "pairs" and np.isfinite(m.arrays["nonlinearity"]).sum() == 20, 60)
    with page.arrived:
        page.messages.clear()
    open_page(session)
    page.wait_for(lambda m: m.header["type"] == "pairs")
