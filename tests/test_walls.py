"""The walls of the house hold: who may import whom, what starts without what, and what may not be committed."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dr_explorer"

#: The rooms, lowest first: a module may import, when it is loaded, its own row and the rows above it. A module that
#: is in no row is part of whoever imports it. What is imported inside a function (a method of Resolution that hands
#: its dataset on to the report) is not held to the order.
ROOMS = (
    ("tail", "rules", "keras", "sequences", "importance", "similarity"),
    ("ascent",),
    ("resolution", "resolving"),
    ("interaction", "motifs", "insertion", "synthetic"),
    ("report", "figures", "cluster"),
    ("widget",),
    ("cli",),
)

#: Packages that only one room may import, anywhere in a file.
CONFINED = {"ipywidgets": "widget", "anywidget": "widget", "traitlets": "widget", "bokeh": "report"}

#: Packages that are slow to import and needed for a drawing only.
DRAWING = ("matplotlib", "logomaker")

#: Hosts of package registries, in halves so that this file does not name them. An installation asks the registry that
#: the user's machine is set up for.
REGISTRIES = [
    f"{name}.{domain}"
    for name, domain in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("npmmirror", "com"),
        ("pytorch", "org/whl"),
        ("anaconda", "org"),
    )
]

#: Absolute paths of somebody's machine.
MACHINE_PATH = re.compile(r"(?<![\w.\-/])/(?:home|root|Users|work|opt|tmp)/\w")


@cache
def modules() -> dict[str, Path]:
    """Every module of the package, by dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, *, at_load: bool) -> set[str]:
    """Dotted names a module imports; with ``at_load``, only those imported when it is loaded."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    todo: list[ast.AST] = [parsed(path)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            names.update([source, *(f"{source}.{alias.name}" for alias in node.names)])
        elif at_load and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo.extend(node.decorator_list)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
        else:
            todo.extend(ast.iter_child_nodes(node))
    return names


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def room(module: str) -> str:
    """``tail`` of ``dr_explorer.tail``, ``widget`` of ``dr_explorer.widget.session``."""
    return module.split(".")[1] if "." in module else ""


def rank(module: str) -> int | None:
    return next((row for row, names in enumerate(ROOMS) if room(module) in names), None)


def loaded_with(module: str) -> set[str]:
    """Modules of the package that importing this one loads, other than packages on the way to them."""
    known, seen, todo = modules(), set(), [module]
    while todo:
        current = todo.pop()
        if current in known and current not in seen:
            seen.add(current)
            todo.extend(name for name in imports(current, at_load=True) if room(name))
    return seen - {module}


@pytest.mark.parametrize("module", [name for name in modules() if rank(name) is not None])
def test_a_room_loads_only_rooms_below_it(module):
    above = {other for other in loaded_with(module) if rank(other) is not None and rank(other) > rank(module)}
    assert above == set(), f"{module} imports, directly or through others, rooms above it; see ROOMS"


@pytest.mark.parametrize(("package", "home"), CONFINED.items())
def test_a_confined_package_is_imported_in_its_room_only(package, home):
    strays = [
        name
        for name in modules()
        if room(name) != home and any(used.split(".")[0] == package for used in imports(name, at_load=False))
    ]
    assert strays == [], f"only {home} may import {package}"


def test_drawing_packages_are_imported_where_a_figure_is_drawn():
    eager = [name for name in modules() if any(used.split(".")[0] in DRAWING for used in imports(name, at_load=True))]
    assert eager == [], f"import {' and '.join(DRAWING)} inside the function that draws"


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in memory after a statement in a fresh Python."""
    code = (
        f"{statement}\nimport sys, json; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(answer.stdout))


def test_importing_the_package_is_quick_because_it_imports_nothing_heavy():
    heavy = {"torch", "numpy", "scipy", "pandas", "xarray", "h5py", *CONFINED, *DRAWING}
    assert loaded_by("import dr_explorer") & heavy == set()


def test_resolving_a_network_loads_neither_a_widget_nor_a_drawing_package():
    assert loaded_by("from dr_explorer import resolve, Resolution") & {*CONFINED, *DRAWING} == set()


def test_the_explorer_loads_no_drawing_package():
    assert loaded_by("from dr_explorer import Explorer") & {"bokeh", *DRAWING} == set()


@cache
def committed() -> dict[str, str]:
    """Text files as git would commit them; outside a clone, nothing can be said."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a git clone, so nothing here is about to be committed")
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    texts = {}
    for name in filter(None, listing):
        blob = subprocess.run(["git", "show", f":{name}"], cwd=ROOT, capture_output=True, check=True).stdout
        if b"\0" not in blob:
            texts[name] = blob.decode()
    return texts


def test_committed_notebooks_have_no_outputs():
    for name, text in committed().items():
        if name.endswith(".ipynb"):
            cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
            kept = [cell["source"] for cell in cells if cell["outputs"] or cell["execution_count"] is not None]
            assert kept == [], f"{name}: clear the outputs before committing"


def test_no_committed_file_names_a_package_registry():
    named = {name: host for name, text in committed().items() for host in REGISTRIES if host in text}
    assert named == {}, "installations ask the registry that the machine is set up for"


def test_no_committed_file_holds_a_path_of_somebodys_machine():
    named = {name: match.group() for name, text in committed().items() if (match := MACHINE_PATH.search(text))}
    assert named == {}
