"""Fixtures of the browser tests: one JupyterLab for all of them, a fresh notebook for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.lab import Lab, Notebook, notebook_of
from e2e.measures import ENDLESS


@pytest.fixture(scope="session")
def lab(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(browser, tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Remember how the test itself went, for the fixture that takes a picture of a failure."""
    report = yield
    if report.when == "call":
        item.failed = report.failed
    return report


@pytest.fixture
def open_notebook(lab: Lab, artefacts: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Notebook]]:
    """Call it with the sources of code cells, or with a whole notebook: a page with it, ready to run.

    A console error in any of the pages fails the test; a failed test leaves a picture of each page.
    """
    opened: list[Notebook] = []

    def open_(*cells: str | dict, **page_options: object) -> Notebook:
        (whole,) = cells if cells and isinstance(cells[0], dict) else (notebook_of(*cells),)
        opened.append(lab.open_copy(whole, **page_options))
        return opened[-1]

    yield open_
    failed = getattr(request.node, "failed", True)
    for number, notebook in enumerate(opened):
        if failed:
            notebook.page.screenshot(path=artefacts / f"failed-{request.node.name}-{number}.png")
        notebook.close()
    assert [error for notebook in opened for error in notebook.errors] == []


@pytest.fixture
def running(open_notebook: Callable[..., Notebook]) -> Callable[..., Notebook]:
    """Call it with the sources of further cells: a notebook with an endless run on the screen in its first."""

    def start(*cells: str) -> Notebook:
        notebook = open_notebook(ENDLESS, *cells)
        notebook.run(0)
        notebook.wait_for_state("idle")
        notebook.press("Run")
        notebook.wait_for_state("running")
        return notebook

    return start


FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def measured(pytestconfig: pytest.Config) -> Callable[..., float]:
    """Note a figure for the end of the run, beside its target, and give it back."""

    def note(what: str, value: float, unit: str, *, at_most: float | None = None) -> float:
        target = "" if at_most is None else f"   (target: at most {at_most:g} {unit})"
        pytestconfig.stash.setdefault(FIGURES, []).append(f"{what}: {value:.2f} {unit}{target}")
        return value

    return note


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("measured in the browser")
        for line in figures:
            terminalreporter.write_line(line)
