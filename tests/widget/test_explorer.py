"""The explorer from Python: what can be done and known without a page."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import mtsplice
from pages import Reader

import dr_explorer as dr
from dr_explorer.widget.asking import lasting
from dr_explorer.widget.pairing import READING
from dr_explorer.widget.protocol import Message, unpack

NAMES = ["GATA1", "CTCF", "REST"]
X = torch.zeros(1, 4, 10)


def network(seed: int = 0) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Conv1d(4, 6, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(6 * 8, 12), torch.nn.ReLU(),
        torch.nn.Linear(12, 3), torch.nn.Sigmoid(),
    )  # fmt: skip


@pytest.fixture
def explorer():
    made = dr.Explorer(network(), "1", example_input=X, target_names=NAMES, l2=1.0, n_restarts=3, name="net")
    yield made
    made.close()


def test_a_run_in_python_gives_what_resolve_gives(explorer: dr.Explorer) -> None:
    assert explorer.run() is explorer
    assert explorer.wait(30)
    assert explorer.state == "done"
    expected = dr.resolve(network(), "1", example_input=X, target_names=NAMES, l2=1.0, n_restarts=3)
    np.testing.assert_allclose(explorer.resolution.dataset.fiv, expected.dataset.fiv, atol=1e-5)


def test_before_a_run_the_page_shows_names_layer_and_logos(explorer: dr.Explorer) -> None:
    page = Reader(explorer)
    meta = page.wait_for(lambda m: m.header["type"] == "meta")
    assert (meta.header["targets"], meta.header["layer"], meta.header["fixed"]) == (NAMES, "1", False)
    assert meta.arrays["logos"].shape == (6, 4, 3)
    assert page.wait_for(lambda m: m.header["type"] == "frame").header["counts"]["trials"] == 9
    assert explorer.state == "idle"
    explorer.set(layer="0")
    page.wait_for(lambda m: m.header["type"] == "meta" and m.header["layer"] == "0")
    assert explorer.state == "idle"


def test_a_saved_notebook_keeps_a_small_picture_of_the_end(explorer: dr.Explorer) -> None:
    assert explorer.snapshot == b""
    explorer.run().wait(30)
    kept = {m.header["type"]: m for m in unpack(explorer.snapshot)}
    assert kept["meta"].header["targets"] == NAMES
    assert kept["frame"].header["state"] == "done"
    assert len(explorer.snapshot) < 50_000


def test_a_saved_notebook_keeps_the_class_that_was_looked_at_last_with_its_pairs(explorer: dr.Explorer) -> None:
    page = Reader(explorer)
    kept, arrived = [], threading.Event()

    def look(change: dict) -> None:
        kept[:] = unpack(change["new"])
        frame = next(m for m in kept if m.header["type"] == "frame")
        if frame.header["target"] == 2 and "pairs" in [m.header["type"] for m in kept]:
            arrived.set()

    explorer.observe(look, "snapshot")
    explorer.run().wait(30)
    explorer.select(target="REST")
    page.wait_for_pairs(2)
    assert arrived.wait(30)
    assert [m.header["target"] for m in kept if m.header["type"] == "pairs"] == [2]


def test_a_saved_view_never_says_that_it_is_reading() -> None:
    table = {"channels": np.arange(2), "nonlinearity": np.zeros((2, 2))}
    told = [
        Message({"type": "pairs", "target": 0, "message": READING}),
        Message({"type": "pairs", "target": 1, "message": "no input is a sequence"}),
        Message({"type": "pairs", "target": 2, "message": None}, table),
    ]
    assert lasting(told) == told[1:]


def test_classes_are_selected_by_name_or_position_and_observed(explorer: dr.Explorer) -> None:
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]["target"]), "selection")
    explorer.select(target="CTCF", channel=4)
    explorer.select(other=2, pair=(1, 3))
    assert explorer.selection == {
        "target": 1, "other": 2, "channel": 4, "pair": [1, 3], "clade": None, "restart": None,
    }  # fmt: skip
    explorer.select(target=None)
    assert explorer.selection["target"] is None
    assert explorer.selection["channel"] == 4
    assert seen == [1, 1, None]
    with pytest.raises(ValueError, match="did you mean 'CTCF'"):
        explorer.select(target="CTFC")
    with pytest.raises(TypeError, match="did you mean 'target'"):
        explorer.select(tarhet="CTCF")
    for part, words in (
        ({"channel": 6}, "this layer has 6, 0 to 5"),
        ({"channel": -1}, "out of range"),
        ({"pair": (2, 2)}, "two different channels"),
        ({"pair": (1, 2, 3)}, "two different channels"),
        ({"restart": -1}, "0 or more"),
    ):
        with pytest.raises(ValueError, match=words):
            explorer.select(**part)
    assert explorer.selection["channel"] == 4


@pytest.mark.parametrize(
    "sent",
    [
        {"target": 99, "other": -1, "channel": "x", "pair": [1], "clade": "all", "restart": 1.5},
        {"target": None, "pair": [2, 2], "clade": [0, 99], "extra": {"a": 1}},
        {},
    ],
)
def test_whatever_a_page_sends_only_indices_are_taken(explorer: dr.Explorer, sent: dict) -> None:
    explorer.selection = sent
    assert explorer.selection == dict.fromkeys(("target", "other", "channel", "pair", "clade", "restart"))


def test_changes_while_it_runs_are_taken_up(explorer: dr.Explorer) -> None:
    explorer.run()
    explorer.set(n_restarts=5, l2=2.0)
    explorer.wait(30)
    found = explorer.resolution
    assert found.dataset.sizes["restart"] == 5
    assert found.dataset.attrs["l2"] == 2.0
    explorer.select(target=1, channel=0)
    explorer.set(l2=3.0)
    assert explorer.selection["channel"] == 0
    explorer.set(layer="0")
    assert explorer.selection["target"] == 1
    assert explorer.selection["channel"] is None, "another layer has other channels"
    explorer.wait(30)
    assert explorer.resolution.dataset.attrs["layer"] == "0"
    assert explorer.resolution.dataset.sizes["restart"] == 5
    with pytest.raises(Exception, match="no layer 'nowhere'"):
        explorer.set(layer="nowhere")
    assert explorer.resolution.dataset.attrs["layer"] == "0"


@pytest.mark.parametrize("message", [{}, {"type": "command"}, {"type": "command", "name": "close", "id": 1},
                                     {"type": "command", "name": "set", "args": {"model": 1}, "id": 2},
                                     {"type": "command", "name": "set", "args": {"l2": -1}, "id": 3}])  # fmt: skip
def test_messages_that_make_no_sense_change_nothing(explorer: dr.Explorer, message: dict) -> None:
    explorer.run().wait(30)
    explorer._handle_custom_msg(message, [])
    assert explorer.resolution.dataset.attrs["l2"] == 1.0
    assert explorer.state == "done"


def test_bad_input_is_named_before_the_view_opens() -> None:
    before = threading.active_count()
    for change, words in (
        ({"n_restart": 3}, "did you mean 'n_restarts'"),
        ({"l2": -1}, "l2 is -1"),
        ({"targets": ["nobody"], "target_names": NAMES}, "no class named 'nobody'"),
        ({"verbose": True}, "no argument 'verbose'"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            dr.Explorer(network(), "1", example_input=X, **change)
    assert threading.active_count() <= before


@pytest.mark.parametrize("ran", [False, True])
def test_a_setting_out_of_range_is_refused_and_changes_nothing(explorer: dr.Explorer, ran: bool) -> None:
    if ran:
        explorer.run().wait(30)
    for change, words in (({"l2": -1.0}, "l2 is -1.0"), ({"n_restarts": 0}, "n_restarts is 0")):
        with pytest.raises(ValueError, match=words):
            explorer.set(**change)
    explorer.run().wait(30)
    assert explorer.resolution.dataset.attrs["l2"] == 1.0
    assert explorer.resolution.dataset.sizes["restart"] == 3


def test_a_closed_explorer_keeps_its_result_and_runs_no_more(explorer: dr.Explorer) -> None:
    explorer.run().wait(30)
    explorer.close()
    assert explorer.resolution.dataset.sizes["restart"] == 3
    with pytest.raises(RuntimeError, match="make another one"):
        explorer.run()


def test_nothing_has_run_is_said_in_words(explorer: dr.Explorer) -> None:
    with pytest.raises(RuntimeError, match=r"call run\(\) first"):
        _ = explorer.resolution


def test_an_error_in_the_run_reaches_who_waits(explorer: dr.Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    from dr_explorer.ascent import Ascent

    monkeypatch.setattr(Ascent, "advance", lambda *_, **__: 1 / 0)
    explorer.run()
    with pytest.raises(ZeroDivisionError):
        explorer.wait(30)
    assert explorer.state == "failed"


def test_a_saved_result_is_shown_without_a_model(tmp_path) -> None:
    found = dr.resolve(network(), "1", example_input=X, target_names=NAMES, l2=1.0, n_restarts=3)
    found.save(tmp_path / "x.nc")
    shown = dr.Explorer.from_resolution(dr.Resolution.load(tmp_path / "x.nc"))
    kept = {m.header["type"]: m for m in unpack(shown.snapshot)}
    np.testing.assert_allclose(kept["frame"].arrays["ofiv"], found.ofiv().values[0], rtol=1e-5)
    assert kept["meta"].arrays["logos"].shape == (6, 4, 3)
    assert kept["meta"].header["fixed"]
    np.testing.assert_array_equal(shown.resolution.dataset.fiv, found.dataset.fiv)
    with pytest.raises(RuntimeError, match="no model to run"):
        shown.set(l2=2.0)
    shown.run()
    with pytest.raises(RuntimeError, match="no model to run"):
        shown.wait(30)
    np.testing.assert_array_equal(shown.resolution.dataset.fiv, found.dataset.fiv)
    shown.close()


def test_closing_ends_the_thread_and_frees_the_widget() -> None:
    made = dr.Explorer(network(), "1", example_input=X, l2=1.0)
    made.run().wait(30)
    session, gone = made._session, weakref.ref(made)
    made.close()
    session.worker.thread.join(10)
    assert not session.worker.alive
    del made, session
    gc.collect()
    assert gone() is None


#: A script that ends while its explorer runs, or while pairs are being read.
SCRIPT = """
import torch
import dr_explorer as dr
from pages import Reader

torch.manual_seed(0)
network = torch.nn.Sequential(
    torch.nn.Conv1d(4, 32, 8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32 * 193, 64), torch.nn.ReLU(),
    torch.nn.Linear(64, 4),
)
explorer = dr.Explorer(network, "1", example_input=torch.zeros(1, 4, 200), l2=1.0, {settings})
reader = Reader(explorer)
explorer.run()
reader.wait_for(lambda m: {until})
"""


@pytest.mark.parametrize(
    ("settings", "until"),
    [
        ('rule="authors", patience=10**9, max_steps=10**9', 'm.header.get("step", 0) > 0'),
        ("max_steps=20", 'm.header.get("state") == "done" and explorer._session._asking._pairing is not None'),
    ],
    ids=["running", "reading pairs"],
)
def test_a_script_ends_well_whatever_the_threads_are_at(settings: str, until: str) -> None:
    code = SCRIPT.format(settings=settings, until=until)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.real
def test_released_models_run_through_the_explorer(shared_data) -> None:
    for path in sorted((shared_data / "tf422" / "models").glob("*Ctcf*.h5"))[:3]:
        made = dr.Explorer(dr.load_keras(path), example_input=torch.zeros(1, 4, 101), l2=2.8, name=path.stem)
        assert made.run().wait(60)
        kept = {m.header["type"]: m for m in unpack(made.snapshot)}
        assert kept["frame"].header["counts"]["converged"] == 10
        assert kept["meta"].arrays["logos"].shape == (16, 4, 25)
        made.close()


@pytest.mark.real
def test_a_network_of_56_tissues_and_two_inputs_runs_through_the_explorer(shared_data) -> None:
    names = (shared_data / "mtsplice" / "tissue_names.txt").read_text().split("\n")
    inputs = (torch.zeros(1, 4, 400), torch.zeros(1, 4, 400))
    made = dr.Explorer(
        mtsplice(shared_data / "mtsplice" / "mtsplice0.h5"), example_input=inputs, target_names=[n for n in names if n]
    )
    assert made.run().wait(120)
    kept = {m.header["type"]: m for m in unpack(made.snapshot)}
    assert kept["frame"].header["counts"]["trials"] == 560
    assert kept["frame"].arrays["class_finished"].tolist() == [10] * 56
    assert sorted(kept["tree"].arrays["order"].tolist()) == list(range(56))
    made.close()
