"""What is installed is whole: the wheel carries the page's bundle, and the build finds a Node or asks for one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: What a build reads; the rest of the tree is not copied.
BUILD_INPUT = ("pyproject.toml", "hatch_build.py", "constraints.txt", "README.md", "LICENSE", "dr_explorer", "js")


@pytest.fixture(scope="module")
def hatch_build():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fresh_tree(tmp_path_factory, hatch_build) -> Path:
    """A copy of the sources without a bundle; building there leaves the working tree alone."""
    if hatch_build.node_requirement():
        pytest.fail(f"no Node on the PATH: run the tests with `make test`, or install {hatch_build.NODE_REQUIREMENT}")
    tree = tmp_path_factory.mktemp("tree")
    for name in BUILD_INPUT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, symlinks=True, ignore=shutil.ignore_patterns("static", "__pycache__"))
        else:
            shutil.copy2(source, tree / name)
    return tree


def build(tree: Path, target: str, out: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return next(out.iterdir())


def test_the_wheel_carries_the_bundle(fresh_tree, tmp_path):
    with zipfile.ZipFile(build(fresh_tree, "wheel", tmp_path)) as wheel:
        sizes = {info.filename: info.file_size for info in wheel.infolist()}
    for name in ("index.js", "index.css"):
        assert sizes[f"dr_explorer/widget/static/{name}"] > 0
    outside = [name for name in sizes if not name.startswith(("dr_explorer/", "dr_explorer-"))]
    assert outside == [], "the wheel installs the package and nothing beside it"


def test_the_source_archive_can_build_the_bundle_and_does_not_carry_it(fresh_tree, tmp_path):
    shutil.unpack_archive(build(fresh_tree, "sdist", tmp_path / "sdist"), tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert not (unpacked / "dr_explorer" / "widget" / "static").exists()
    assert not (unpacked / "js" / "node_modules").exists()
    for name in ("js/package.json", "js/package-lock.json", "js/src/index.ts", "hatch_build.py"):
        assert (unpacked / name).is_file()


@pytest.mark.parametrize(
    ("installed", "asks"),
    [
        ({}, True),
        ({"node": "v22.1.0"}, True),  # Debian's nodejs comes without npm
        ({"node": "v18.20.4", "npm": "10"}, True),
        ({"node": "v20.0.0", "npm": "10"}, False),
        ({"node": "v24.19.0", "npm": "11"}, False),
        ({"node": "not a version", "npm": "10"}, True),
    ],
    ids=["none", "no npm", "too old", "oldest", "new", "broken"],
)
def test_the_build_asks_for_a_node_only_where_the_machine_has_none_that_will_do(
    hatch_build, tmp_path, monkeypatch, installed, asks
):
    for name, version in installed.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hatch_build.node_requirement() == ([hatch_build.NODE_REQUIREMENT] if asks else [])


def test_a_failing_bundle_fails_the_build_and_shows_why(hatch_build, tmp_path):
    js = tmp_path / "js"
    (js / "node_modules").mkdir(parents=True)
    (js / "package-lock.json").write_text("{}")
    (js / "node_modules" / ".package-lock.json").write_text("{}")
    (js / "package.json").write_text('{"scripts": {"build": "echo the reason && exit 1"}}')
    with pytest.raises(RuntimeError, match="the reason"):
        hatch_build.build_bundle(tmp_path)


def test_building_without_npm_says_what_to_install(hatch_build, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(RuntimeError, match="install Node"):
        hatch_build.npm(tmp_path, "ci")
