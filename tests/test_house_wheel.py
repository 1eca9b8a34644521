"""The wheel alone, in a new environment and away from the checkout, builds a verified module."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent

MODEL = '''
import numpy as np
import transpile

W = np.arange(6, dtype=np.float32).reshape(3, 2)

@transpile.model(x=transpile.spec("float32", ("batch", 3)))
def project(x):
    y = np.tanh(x @ W)
    return y
'''


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation",
                    "--outdir", folder, ROOT], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_that_is_read_at_run_time(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    for folder, suffixes in ((ROOT / "runtime_js", ".js"), (ROOT / "transpile", ".j2 .mjs .js")):
        for path in folder.rglob("*"):
            if path.suffix in suffixes.split():
                inside = path.relative_to(ROOT).as_posix()
                inside = f"transpile/{inside}" if folder.name == "runtime_js" else inside
                assert inside in names
    assert not any(name.startswith(("tests/", "examples/", "tools/")) for name in names)


@pytest.mark.slow
def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    for command in (["-m", "pip", "install", "--quiet", wheel],
                    ["-m", "transpile", "build", "model.py", "-o", "project.html"],
                    ["-m", "transpile", "build", "model.py:project", "-o", "project.mjs"],
                    ["-m", "transpile", "verify", "project.mjs", "model.py:project"]):
        done = subprocess.run([python, *command], cwd=tmp_path, env=environment,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "project.d.ts").exists() or (tmp_path / "project.d.mts").exists()
