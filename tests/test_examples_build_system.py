"""The build-system example: caching by content hash, and rebuilding through the depfile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MODULES = ("line.mjs", "digit.mjs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example and of the models that it builds."""
    for name in ("build_system", "linear", "digits"):
        shutil.copytree(EXAMPLES / name, tmp_path / name)
    return tmp_path / "build_system"


def make(folder: Path) -> str:
    command = ["make", "--no-print-directory", f"TRANSPILE={sys.executable} -m transpile"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def script(folder: Path) -> str:
    return subprocess.run([sys.executable, "build.py"], cwd=folder, check=True,
                          capture_output=True, text=True).stdout


def written(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "out" / name).read_bytes() for name in MODULES}


def later(path: Path) -> None:
    """Newer than everything that was built, without waiting for the clock."""
    newest = max(p.stat().st_mtime for p in (path.parent.parent / "build_system" / "out").iterdir())
    os.utime(path, (newest + 5, newest + 5))


def test_make_rebuilds_what_changed_and_nothing_else(folder: Path) -> None:
    make(folder)
    first = written(folder)
    assert "transpile" not in make(folder)
    weights = folder.parent / "linear" / "weights.npz"
    later(weights)
    again = make(folder)
    assert "line.mjs" in again
    assert "digit.mjs" not in again
    assert written(folder) == first


def test_the_script_compiles_only_what_changed(folder: Path) -> None:
    assert "up to date" not in script(folder)
    assert script(folder).count("up to date") == 2
    model = folder.parent / "linear" / "model.py"
    model.write_text(model.read_text(encoding="utf-8").replace("+ offset", "- offset"),
                     encoding="utf-8")
    assert script(folder).count("up to date") == 1
