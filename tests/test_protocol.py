"""The wire: both sides read the same bytes alike (``tests/golden/wire-*.json``; the page's side is in js/tests)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from dr_explorer.widget.protocol import ARRAYS, VERSION, Message, decode, encode, pack, unpack

GOLDEN = Path(__file__).parent / "golden"
NAN = float("nan")


def messages() -> dict[str, Message]:
    """One small message of every type; NaN, negative zero and the ends of every dtype are among the values."""
    head = {"run": 2, "seq": 41}
    counts = {"trials": 6, "waiting": 0, "running": 2, "converged": 3, "exhausted": 0, "diverged": 1}
    frame_header = {
        "type": "frame", **head, "state": "running", "message": None, "l2": 0.5, "step_size": 0.1, "n_restarts": 2,
        "rule": "fast", "target": 1, "other": None, "restart": 0, "rate": 100.0, "eta": None, "elapsed": 1.5,
        "map_scale": 0.25, "step": 12, "counts": counts,
    }  # fmt: skip
    frame_arrays = {
        "class_finished": [0, 2, 65535],
        "class_progress": [0.0, 0.5, 1.0],
        "class_best": [NAN, 1.25, -3.5],
        "status": [1, 4],
        "steps": [12, 4294967295],
        "objective": [0.1, NAN],
        "score": [0.2, NAN],
        "basin": [1, 0],
        "trace_step": [[0, 8, 12], [0, 8, NAN]],
        "trace_objective": [[-1.5, 0, 0.1], [-2, NAN, NAN]],
        "fiv": [[0.25, -0.5], [NAN, NAN]],
        "ofiv": [0.25, -0.5],
        "ofiv_low": [NAN, NAN],
        "ofiv_high": [NAN, NAN],
        "deviation": [0.0, 1e-7],
        "inconsistent": [0, 1],
        "sharing": [3, 0],
        "map": [[0, 1, 128], [255, 127, 129]],
        "other_ofiv": [-0.0, 3.4e38],
        "other_low": [-0.5, NAN],
        "other_high": [0.5, NAN],
    }
    layer = {"name": "conv.2", "type": "ReLU", "shape": [2, 3], "cut": "clean", "suggested": True}
    made = {
        "meta": (
            {
                "type": "meta", **head, "model": "net", "device": "cpu", "layer": "conv.2", "layers": [layer],
                "targets": ["a", "<b>", "אב"], "channels": 2, "positions": 3,
                "segments": [{"name": "", "start": 0, "stop": 3}], "l2_range": [0.001, 10.0], "rule": "fast",
            },
            {"logos": [[[0.25, 1], [0.25, 0], [0.25, 0], [0.25, 0]], [[NAN, NAN]] * 4]},
        ),
        "frame": (frame_header, frame_arrays),
        "idle": ({"type": "frame", **head, "state": "idle", "message": None, "elapsed": 0.0, "rate": 0.0}, {}),
        "tree": (
            {"type": "tree", **head, "metric": "pearson_positive"},
            {
                "linkage": [[0, 2, 0.125, 2], [1, 3, 0.75, 3]],
                "order": [1, 0, 2],
                "support": [0.95, NAN],
                "similarity": [[255, 128, 1], [128, 255, 64], [1, 64, 255]],
            },
        ),
        "pairs": (
            {"type": "pairs", **head, "target": 1},
            {"channels": [1, 0], "nonlinearity": [[NAN, -0.25], [-0.25, NAN]]},
        ),
        "pair": (
            {
                "type": "pair", **head, "target": 1, "pair": [0, 1], "logic": "or", "confidence": 0.9,
                "words": "Either is enough", "agree": [2, 2], "groups": [[0], [1]],
                "tables": [{"label": "", "basin": None, "nonlinearity": -0.25, "low": -0.5, "high": 0.0}],
            },
            {"corners": [[[-1, 1], [1, 1.5]]], "corners_spread": [[[0, 0.1], [0.1, 0.2]]]},
        ),
    }  # fmt: skip
    return {
        name: Message(
            header,
            {
                n: np.array(a, ARRAYS[header["type"]].get(n, ARRAYS[header["type"]].get(f"{n}?"))[0])
                for n, a in arrays.items()
            },
        )
        for name, (header, arrays) in made.items()
    }


def golden(message: Message) -> dict:
    header, buffers = encode(message)
    arrays = {n: [None if np.isnan(v) else v for v in a.ravel().tolist()] for n, a in message.arrays.items()}
    return {
        "header": header,
        "buffers": [base64.b64encode(b).decode() for b in buffers],
        "expect": {"arrays": arrays},
    }


@pytest.mark.parametrize("name", messages())
def test_a_message_is_written_as_the_golden_file_has_it(name):
    assert golden(messages()[name]) == json.loads((GOLDEN / f"wire-{name}.json").read_text())


@pytest.mark.parametrize("name", messages())
def test_a_golden_message_is_read_as_it_was_meant(name):
    stored = json.loads((GOLDEN / f"wire-{name}.json").read_text())
    message = decode(stored["header"], [base64.b64decode(b) for b in stored["buffers"]])
    assert set(message.arrays) == set(stored["expect"]["arrays"])
    for array, values in stored["expect"]["arrays"].items():
        np.testing.assert_array_equal(message.arrays[array].ravel(), [np.nan if v is None else v for v in values])


def test_a_snapshot_gives_back_its_messages():
    sent = list(messages().values())
    for message, got in zip(sent, unpack(pack(sent)), strict=True):
        assert got.header == message.header
        for name, array in message.arrays.items():
            np.testing.assert_array_equal(got.arrays[name], array)


def test_a_snapshot_is_written_as_the_golden_file_has_it():
    stored = json.loads((GOLDEN / "snapshot.json").read_text())
    block = pack(messages()[n] for n in stored["names"])
    assert base64.b64encode(block).decode() == stored["block"]


def test_buffers_are_copies():
    array = np.zeros(2, np.float32)
    _, buffers = encode(Message({"type": "pairs", "target": 0}, {"channels": np.zeros(1), "nonlinearity": array}))
    array[:] = 7
    assert np.frombuffer(buffers[1], np.float32).tolist() == [0, 0]


def test_an_array_that_is_not_in_the_table_is_refused_by_name():
    with pytest.raises(KeyError, match="no array 'gossip'"):
        encode(Message({"type": "frame"}, {"gossip": np.zeros(1)}))


def test_another_version_asks_for_a_reload():
    with pytest.raises(ValueError, match=f"expected protocol version {VERSION}, got 99: reload the page"):
        decode({"v": 99, "type": "frame", "arrays": []}, [])
