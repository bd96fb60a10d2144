"""The stand-alone page: one file with all there is to see, written whole, in which whatever arrives stays data."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import Reader
from resolutions import HOSTILE, made

import dr_explorer as dr
from dr_explorer.ascent import Ascent
from dr_explorer.resolution import Resolution
from dr_explorer.widget import columns, frames
from dr_explorer.widget.columns import NOTHING, PLANES, squeeze
from dr_explorer.widget.protocol import Message

GOLDEN = Path(__file__).parents[1] / "golden" / "columns.json"


def saved_in(page: str) -> bytes:
    """The block that a page holds, unpacked."""
    (data,) = re.findall(r'<script type="application/octet-stream" id="saved">([^<]*)</script>', page)
    return gzip.decompress(base64.b64decode(data))


def read(block: bytes) -> dict[str, Any]:
    """Selection and messages (a header with its arrays) of a block, as its layout says."""
    (length,) = struct.unpack_from("<I", block)
    told, at = json.loads(block[4 : 4 + length]), 4 + length
    messages = told["headers"]
    for column in told["columns"]:
        n, size = sum(column["lengths"]), PLANES[column["stored"]]
        planes = np.frombuffer(block, np.uint8, n * size, at).reshape(size, n)
        values = np.ascontiguousarray(planes.T).view(column["stored"]).ravel()
        at += n * size
        parts = np.split(values, np.cumsum(column["lengths"])[:-1])
        if "units" in column:
            for i, unit in enumerate(column["units"]):
                folded = parts[i].view(np.uint16).astype(np.int32)
                rows = ((folded >> 1) ^ -(folded & 1)).reshape(-1, column["row"]).cumsum(0).astype(np.int16).ravel()
                parts[i] = np.where(rows == NOTHING, np.nan, rows * np.float64(unit)).astype(np.float32)
        for i, message in enumerate(column["of"]):
            messages[message][column["name"]] = parts[0 if len(parts) == 1 else i]
    assert at == len(block)
    return {"selection": told["selection"], "messages": messages}


def of_type(saved: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [message for message in saved["messages"] if message["type"] == kind]


@pytest.fixture
def write(tmp_path):
    """Writes a resolution's page: its text and what is saved in it."""
    opened = []

    def write_(resolution: Resolution, **selection: Any) -> tuple[str, dict[str, Any]]:
        opened.append(dr.Explorer.from_resolution(resolution))
        opened[-1].select(**selection)
        opened[-1].to_html(tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        return page, read(saved_in(page))

    yield write_
    for explorer in opened:
        explorer.close()


def test_the_page_holds_every_class_as_the_live_view_shows_it(write) -> None:
    found = made()
    _, saved = write(found)
    told = {frame["target"]: frame for frame in of_type(saved, "frame")}
    assert sorted(told) == list(range(12))
    ofiv = found.ofiv().values
    for target, frame in told.items():
        np.testing.assert_array_equal(frame["ofiv"], ofiv[target].astype(np.float32))
        np.testing.assert_array_equal(frame["fiv"].reshape(6, 20), found.dataset.fiv.values[target])
        assert np.isfinite(frame["ofiv_low"]).all()
        assert frame["state"] == "done"
    (tree,) = of_type(saved, "tree")
    assert sorted(tree["order"]) == list(range(12))
    assert np.isfinite(tree["support"]).all()


def test_it_opens_on_what_is_selected(write) -> None:
    _, saved = write(made(), target=3, other="class 5", channel=7)
    assert of_type(saved, "frame")[0]["target"] == 3
    assert saved["selection"] == {
        "target": 3, "other": 5, "channel": 7, "pair": None, "clade": None, "restart": None,
    }  # fmt: skip


@pytest.mark.parametrize(("targets", "channels", "restarts"), [(1, 8, 3), (1, 1, 1), (2, 1, 4)])
def test_it_works_with_what_there_is(write, targets: int, channels: int, restarts: int) -> None:
    _, saved = write(made(targets, restarts, channels, logos=False))
    assert len(of_type(saved, "frame")) == targets
    assert len(of_type(saved, "tree")) == (targets > 1)
    assert all("map" not in frame for frame in of_type(saved, "frame"))


def test_whatever_a_class_is_called_it_is_neither_markup_nor_code(write) -> None:
    page, saved = write(made(len(HOSTILE), names=HOSTILE))
    (meta,) = of_type(saved, "meta")
    assert meta["targets"] == HOSTILE
    assert [name for name in HOSTILE if re.search(r"[<${\\n]", name) and name in page] == []
    assert page.count("<script") == page.count("</script>") == 2


def test_the_names_of_the_model_and_the_layer_are_text(tmp_path) -> None:
    name = '</title><script>window.hacked = 1</script>" onload="x\ud800'
    explorer = dr.Explorer.from_resolution(made(), name=name)
    explorer.to_html(tmp_path / "page.html")
    explorer.close()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert name not in page
    assert html.escape(name).replace("\ud800", "?") in page


def test_the_page_asks_nobody_for_anything_and_runs_its_own_script_only(write) -> None:
    page, _ = write(made())
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy.split("script-src")[1].split(";")[0]
    outside = re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)|@import|url\((?!["']?data:)""", page.split("<script")[0])
    assert outside == []


def test_a_large_view_is_rounded_far_below_what_is_drawn(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "EXACT_BYTES", 0)
    found = made()
    found.dataset["fiv"].values[2, 1, 4] = np.nan
    _, saved = write(found)
    for frame in of_type(saved, "frame"):
        exact = found.dataset.fiv.values[frame["target"]]
        half = np.nanmax(np.abs(exact)) / columns.LEVELS["fiv"] / 2
        np.testing.assert_allclose(frame["fiv"].reshape(exact.shape), exact, atol=1.01 * half)
        exact = found.ofiv().values[frame["target"]]
        np.testing.assert_allclose(frame["ofiv"], exact, atol=np.nanmax(np.abs(exact)) / 60_000, rtol=1e-6)


def test_of_too_many_maps_the_strongest_channels_keep_their_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "EXACT_BYTES", 0)
    monkeypatch.setattr(columns, "MAP_BYTES", 2 * 20 * 9)
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 256, size=(2, 30, 9)).astype(np.uint8)
    ofiv = rng.normal(size=(2, 30)).astype(np.float32)
    told = [
        Message({"type": "frame", "run": 1, "seq": i, "target": i}, {"ofiv": o, "map": m})
        for i, (o, m) in enumerate(zip(ofiv, maps, strict=True))
    ]
    block, kept = squeeze(told, {})
    assert kept == 20
    for i, frame in enumerate(read(gzip.decompress(block))["messages"]):
        shown, order = frame["map"].reshape(30, 9), np.argsort(-np.abs(ofiv[i]))
        np.testing.assert_array_equal(shown[order[:20]], maps[i, order[:20]])
        np.testing.assert_array_equal(
            shown[order[20:]], np.repeat(np.rint(maps[i, order[20:]].mean(1)), 9).reshape(-1, 9)
        )


def test_what_all_messages_share_is_stored_once() -> None:
    same = np.arange(1000, dtype=np.uint16)
    told = [Message({"type": "frame", "run": 1, "seq": i}, {"sharing": same}) for i in range(50)]
    block = gzip.decompress(squeeze(told, {})[0])
    assert len(block) < 5 * same.nbytes
    assert all(np.array_equal(message["sharing"], same) for message in read(block)["messages"])


def golden_messages() -> list[Message]:
    """Two classes whose numbers wrap, vanish and differ in sign between restarts; one other message."""
    big, nan = np.float32(1.5), np.float32(np.nan)
    fiv = np.array([[[big, -big, 0.25], [-big, big, -0.25]], [[nan, 0, 0], [nan, 1e-9, -1e-9]]], np.float32)
    ofiv = np.array([[1, -0.5, 0.25], [0.5, 0.25, -0.125]], np.float32)
    frame = [
        Message(
            {"type": "frame", "run": 1, "seq": i, "target": i},
            {"fiv": fiv[i], "ofiv": ofiv[i], "steps": np.array([1, 2**32 - 1]), "map": np.array([[0, 255], [128, i]])},
        )
        for i in range(2)
    ]
    return [Message({"type": "meta", "run": 1, "seq": 2, "targets": ["a", "<b>אב"]}, {}), *frame]


def test_a_block_is_written_as_the_golden_file_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "EXACT_BYTES", 0)
    block = gzip.decompress(squeeze(golden_messages(), {"target": 1})[0])
    golden = json.loads(GOLDEN.read_text())
    assert base64.b64encode(block).decode() == golden["block"]
    told = [{name: plain(value) for name, value in message.items()} for message in read(block)["messages"]]
    assert told == golden["messages"]
    clade = frames.clade(np.stack([m["ofiv"] for m in read(block)["messages"] if "ofiv" in m]), [0, 1])
    assert {name: plain(value.astype(np.float32)) for name, value in clade.items()} == golden["clade"]


def plain(value: Any) -> Any:
    """Arrays as JSON has them."""
    return [None if np.isnan(v) else float(v) for v in value] if isinstance(value, np.ndarray) else value


# -- of a run ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv1d(4, 6, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(6 * 8, 12), torch.nn.ReLU(),
        torch.nn.Linear(12, 3),
    )  # fmt: skip
    made = dr.Explorer(
        network, "1", example_input=torch.zeros(1, 4, 10), l2=1.0, n_restarts=3, rule="authors", patience=10**9,
        max_steps=10**9,
    )  # fmt: skip
    yield made
    made.close()


def moving(explorer: dr.Explorer) -> int:
    """Start a run and wait for its first steps; how many."""
    explorer.run()
    while (steps := explorer._session.post("call", function=lambda run: run.n_steps).result(10)) == 0:
        pass
    return steps


def test_before_a_run_there_is_nothing_to_write(explorer: dr.Explorer, tmp_path) -> None:
    with pytest.raises(RuntimeError, match=r"call run\(\) first"):
        explorer.to_html(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_written_as_it_stands_and_goes_on(explorer: dr.Explorer, tmp_path) -> None:
    steps = moving(explorer)
    explorer.to_html(tmp_path / "page.html")
    assert explorer.state == "running"
    saved = read(saved_in((tmp_path / "page.html").read_text(encoding="utf-8")))
    for frame in of_type(saved, "frame"):
        assert frame["message"] == "Saved before the run had ended: 0 of 9 trials"
        assert frame["state"] == "paused"
        assert frame["step"] >= steps
        assert np.isfinite(frame["fiv"]).all()
        assert frame["map"].size == 6 * 8
    assert len({frame["step"] for frame in of_type(saved, "frame")}) == 1, "all classes at one moment"


def test_a_run_stopped_before_its_first_step_is_written_too(explorer: dr.Explorer, tmp_path) -> None:
    explorer._session.post("run")
    explorer._session.post("stop")
    explorer.to_html(tmp_path / "page.html")
    saved = read(saved_in((tmp_path / "page.html").read_text(encoding="utf-8")))
    assert [frame["state"] for frame in of_type(saved, "frame")] == ["stopped"] * 3


def test_a_failed_run_is_written_with_its_reason(
    explorer: dr.Explorer, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ascent, "advance", lambda *_, **__: 1 / 0)
    explorer.run()
    with pytest.raises(ZeroDivisionError):
        explorer.wait(30)
    explorer.to_html(tmp_path / "page.html")
    saved = read(saved_in((tmp_path / "page.html").read_text(encoding="utf-8")))
    assert {(f["state"], f["message"]) for f in of_type(saved, "frame")} == {("failed", "division by zero")}


def test_pairs_that_were_read_are_kept_class_by_class(explorer: dr.Explorer, tmp_path) -> None:
    moving(explorer)
    explorer.stop()
    reader = Reader(explorer)
    for target in (0, 2):
        explorer.select(target=target, pair=(1, 4))
        reader.wait_for_pairs(target)
    explorer.to_html(tmp_path / "page.html")
    saved = read(saved_in((tmp_path / "page.html").read_text(encoding="utf-8")))
    assert {message["target"] for message in of_type(saved, "pairs")} == {0, 2}
    assert [(message["target"], message["pair"]) for message in of_type(saved, "pair")] == [(0, [1, 4]), (2, [1, 4])]
    assert all(np.isfinite(message["others"]).all() for message in of_type(saved, "pair"))


def test_what_cannot_be_written_leaves_what_was_there(explorer: dr.Explorer, tmp_path) -> None:
    moving(explorer)
    explorer.stop()
    path = tmp_path / "page.html"
    explorer.to_html(path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="cannot write"):
        explorer.to_html(tmp_path / "nowhere" / "page.html")
    path.chmod(0o400)
    explorer.to_html(path)  # replaced, not written into
    assert saved_in(path.read_text(encoding="utf-8")) == saved_in(before.decode())
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
