"""The command line from end to end on a small model, in this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from transpile.cli import main
from transpile.verify.node import find_node

MODEL = """
from pathlib import Path
import numpy as np
import transpile
from helper import shift

W = np.load(Path(__file__).with_name("w.npy"))

@transpile.model(x=transpile.spec("float32", ("batch", 4)))
def score(x):
    hidden = np.maximum(x @ W + shift, 0)
    return transpile.nn.softmax(hidden)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, its weights, and a module that it imports."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "helper.py").write_text("shift = 0.5\n")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "w.npy", rng.standard_normal((4, 3)).astype(np.float32))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    return tmp_path


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def reference(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    hidden = np.maximum(x.astype(np.float64) @ w + 0.5, 0)
    powers = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_build_then_run_gives_numpys_result(folder: Path, capsys: pytest.CaptureFixture[str]
                                            ) -> None:
    assert run("build", "model.py:score", "-o", "out.mjs") == 0
    table = capsys.readouterr().out
    for word in ("code", "weights", "gzip", "peak memory", "FLOP", "kernels", "verified js",
                 "seconds"):
        assert word in table
    assert (folder / "out.d.mts").read_text().count("readonly")
    x = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
    np.save("x.npy", x)
    assert run("run", "out.mjs", "--input", "x=x.npy", "-o", "y.npz") == 0
    (got,) = np.load("y.npz").values()
    np.testing.assert_allclose(got, reference(x, np.load("w.npy")), rtol=1e-6)


@pytest.mark.parametrize("out", ["m.js", "m.mjs", "m.cjs", "m.html"])
def test_every_format_verifies_against_its_source(folder: Path, out: str) -> None:
    assert run("build", "model.py", "-o", out, "-q") == 0
    assert run("verify", out, "model.py") == 0


def test_a_changed_source_fails_verification(folder: Path, capsys: pytest.CaptureFixture[str]
                                             ) -> None:
    assert run("build", "model.py", "-o", "m.js", "-q") == 0
    (folder / "model.py").write_text(MODEL.replace("+ shift", "- shift"))
    assert run("verify", "m.js", "model.py") == 1
    error = capsys.readouterr().err
    assert "disagrees" in error
    assert "Traceback" not in error


def test_the_same_input_gives_the_same_bytes(folder: Path) -> None:
    for name in ("a.js", "b.js"):
        assert run("build", "model.py", "-o", name, "-q", "--no-verify") == 0
    assert (folder / "a.js").read_bytes() == (folder / "b.js").read_bytes()


def test_the_depfile_names_source_imports_and_data(folder: Path) -> None:
    assert run("build", "model.py", "-o", "m.js", "-q", "--no-verify", "--depfile", "m.d") == 0
    rule, _, empty = (folder / "m.d").read_text().partition("\n\n")
    assert rule.replace("\\\n ", "").split() == ["m.js:", "helper.py", "model.py", "w.npy"]
    assert "helper.py:\n" in empty


@pytest.mark.parametrize("out", ["m.js", "m.html"])
def test_the_cache_notices_weights_options_and_nothing_else(
        folder: Path, capsys: pytest.CaptureFixture[str], out: str) -> None:
    build = ("build", "model.py", "-o", out, "--no-verify", "--cache")
    assert run(*build) == 0
    capsys.readouterr()
    (folder / "unrelated.txt").write_text("x")
    assert run(*build) == 0
    assert "up to date" in capsys.readouterr().out
    assert run(*build, "--minify") == 0
    assert "up to date" not in capsys.readouterr().out
    assert run(*build) == 0
    np.save("w.npy", np.ones((4, 3), np.float32))
    capsys.readouterr()
    assert run(*build) == 0
    assert "up to date" not in capsys.readouterr().out


def test_samples_and_fixed_input_sizes(folder: Path) -> None:
    np.savez("inputs.npz", x=np.full((2, 4), 1e3, np.float32))
    assert run("build", "model.py", "-o", "m.js", "-q", "--sample", "inputs.npz",
               "--input", "x=float32[2,4]") == 0
    assert "float32[2, 4]" in (folder / "m.js").read_text()


def test_inspect_shows_graphs_passes_and_kernels(folder: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "model.py") == 0
    text = capsys.readouterr().out
    assert "softmax(" in text.split("# optimised")[0]
    assert "softmax(" not in text.split("# optimised")[1].split("# expand")[0]
    assert run("inspect", "model.py", "--pass", "expand") == 0
    assert "# before expand" in capsys.readouterr().out
    assert run("inspect", "model.py", "--all") == 0
    assert "# after expand" in capsys.readouterr().out
    assert run("inspect", "model.py", "--kernels") == 0
    assert "function " in capsys.readouterr().out


def test_bench_lists_kernels_with_their_work(folder: Path, capsys: pytest.CaptureFixture[str]
                                             ) -> None:
    assert run("build", "model.py", "-o", "m.js", "-q", "--no-verify") == 0
    assert run("bench", "m.js", "model.py", "--seconds", "0.05") == 0
    text = capsys.readouterr().out
    assert "median ms" in text
    assert "FLOP" in text


def test_ops_come_from_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    from transpile.ops import registry
    assert run("ops", "--markdown") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| op | kind | dtypes | summary |"
    assert [line.split(" ")[1] for line in lines[2:]] == list(registry.names())
    assert run("ops", "--frontend", "numpy", "--markdown") == 0
    assert "np.einsum" in capsys.readouterr().out


def test_the_module_runs_as_a_program_and_node_takes_the_file(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "transpile", "build", "model.py", "-o", "m.mjs"],
                          capture_output=True, text=True, check=False, env=_environment())
    assert done.returncode == 0, done.stderr
    script = ("import { predict } from './m.mjs'; const out = await predict([[1, 2, 3, 4]]);"
              "console.log(Object.values(out)[0].data.length);")
    (folder / "use.mjs").write_text(script)
    assert subprocess.check_output([find_node(), "use.mjs"], text=True) == "3\n"


def _environment() -> dict[str, str]:
    import os
    root = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": root}
