"""Requests that cannot be met end with status 2 and a few lines, disagreement with 1."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import transpile
from transpile.cli import main
from transpile.errors import DependencyError
from transpile.frontends import foreign
from transpile.targets import js

MODELS = """
import numpy as np
import transpile

W = np.arange(16.0).reshape(4, 4) / 16

@transpile.model(x=transpile.spec("float32", (2, 4)))
def good(x):
    total = np.tanh(x @ W)
    scores = total @ W
    return scores

@transpile.model(x=transpile.spec("float32", (4,)))
def branches(x):
    if x[0] > 0:
        return x
    return -x

@transpile.model(x=transpile.spec("float32", (4, 4)))
def eigen(x):
    return np.linalg.eigvalsh(x)

def plain(x):
    return x + 1

value = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "raises.py").write_text("import numpy\n\nnumpy.zeros(-1)\n")
    (tmp_path / "net.keras").write_bytes(b"\x08\x07")
    (tmp_path / "other.js").write_text("export const x = 1;\n")
    (tmp_path / "bad.npz").write_text("no")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(("source", "words"), [
    ("missing.py:f", ["there is no file missing.py"]),
    ("models.py:nothing", ["has no 'nothing'", "good"]),
    ("models.py", ["holds 3 models", "good, branches, eigen"]),
    ("broken.py:f", ["broken.py cannot be imported", "broken.py:1", "SyntaxError"]),
    ("raises.py:f", ["raises.py:3", "ValueError"]),
    ("net.keras", ["keras"]),
    ("no_such_package:f", ["there is no module no_such_package"]),
    ("models.py:branches", ["models.py:15"]),
    ("models.py:eigen", ["eigvalsh", "models.py:21"]),
    ("models.py:plain", ["x"]),
    ("models.py:value", ["int"]),
])
def test_a_bad_source(folder: Path, capsys: pytest.CaptureFixture[str], source: str,
                      words: list[str]) -> None:
    assert run("build", source, "-o", "out.js") == 2
    error = capsys.readouterr().err
    for word in words:
        assert word in error
    assert "Traceback" not in error
    assert len(error.splitlines()) <= 8
    assert not (folder / "out.js").exists()


@pytest.mark.parametrize(("options", "word"), [
    (["--weights", "float64"], "unknown"),
    (["--targets", "webgpu"], "later version"),
    (["--targets", "cuda"], "unknown"),
    (["--input", "x"], "NAME=DTYPE[DIMS]"),
    (["--input", "x=complex64[4]"], "complex64"),
    (["--input", "y=float32[4]"], "y"),
    (["--format", "amd"], "amd"),
    (["--train", "mse"], "--train"),
    (["--sample", "bad.npz"], "bad.npz"),
    (["--sample", "nothing.npz"], "nothing.npz"),
    (["--node", "/nowhere/node"], "pip install nodejs-bin"),
])
def test_a_bad_option(folder: Path, capsys: pytest.CaptureFixture[str], options: list[str],
                      word: str) -> None:
    assert run("build", "models.py:good", "-o", "out.js", *options) == 2
    assert word in capsys.readouterr().err
    assert not (folder / "out.js").exists()


def test_a_suffix_without_a_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", "models.py:good", "-o", "out.txt") == 2
    assert "suffix" in capsys.readouterr().err


def test_a_folder_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", "models.py:good", "-o", "no/out.js") == 2
    assert "no/out.js cannot be written" in capsys.readouterr().err


def test_a_plain_function_works_with_its_inputs_given(folder: Path) -> None:
    assert run("build", "models.py:plain", "-o", "p.js", "-q", "--input", "x=float32[n]") == 0


def test_debug_shows_the_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", "raises.py:f", "-o", "out.js", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_running_what_is_no_module(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "other.js") == 2
    assert "not a module that transpile made" in capsys.readouterr().err


def test_wrong_inputs_of_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", "models.py:good", "-o", "good.js", "-q", "--no-verify") == 0
    np.save("x.npy", np.zeros((3, 3), np.float32))
    assert run("run", "good.js", "--input", "x=x.npy") == 2
    assert "TypeError" in capsys.readouterr().err
    assert run("run", "good.js", "--input", "x=missing.npy") == 2


@pytest.fixture
def broken_total(monkeypatch: pytest.MonkeyPatch) -> None:
    """A printer that spoils the kernel of `total`."""
    honest = js.print_kernel

    def spoiled(kernel: Any, *args: Any) -> str:
        text = honest(kernel, *args)
        return text.replace("Math.tanh", "Math.sin") if "total" in kernel.name else text
    monkeypatch.setattr(js, "print_kernel", spoiled)


def test_a_failed_verification_names_the_kernel_and_leaves_nothing(
        folder: Path, broken_total: None, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out.js").write_text("an older build")
    assert run("build", "models.py:good", "-o", "out.js") == 1
    error = capsys.readouterr().err
    for word in ("good disagrees", "total", "models.py:9", "expected", "ulps"):
        assert word in error
    assert sorted(p.name for p in folder.glob("*out*")) == []


def test_without_verification_it_is_built_all_the_same(folder: Path, broken_total: None) -> None:
    assert run("build", "models.py:good", "-o", "out.js", "-q", "--no-verify") == 0
    assert run("verify", "out.js", "models.py:good") == 1


def test_a_loose_tolerance_lets_it_pass(folder: Path, broken_total: None) -> None:
    assert run("build", "models.py:good", "-o", "out.js", "-q", "--atol", "3") == 0


def test_a_module_that_throws_fails_verification(
        folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    honest = js.print_kernel
    monkeypatch.setattr(js, "print_kernel", lambda *args: honest(*args).replace(
        "{\n", "{\n  throw new Error('spoiled');\n", 1))
    assert run("build", "models.py:good", "-o", "out.js", "-q") == 1
    assert "Error: spoiled" in capsys.readouterr().err
    assert not (folder / "out.js").exists()


def test_the_library_neither_prints_nor_changes_the_path(
        folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from transpile.sources import resolve
    before = list(sys.path)
    stages: list[str] = []
    module = transpile.build(resolve("models.py:good"), "out.js",
                             progress=lambda stage, *_: stages.append(stage))
    assert module is not None
    assert capsys.readouterr() == ("", "")
    assert sys.path == before
    assert {"trace", "emit", "verify"} <= set(stages)
    x = np.array([[1, 2, 3, 4], [4, 3, 2, 1]], np.float32)
    w = np.arange(16.0).reshape(4, 4) / 16
    np.testing.assert_allclose(module.run({"x": x})["scores"], np.tanh(x @ w) @ w, rtol=1e-6)


@pytest.mark.parametrize(("imported", "missing", "fix"), [
    ("keras", "keras", "pip install keras"),
    ("keras", "torch", "pip install torch"),  # Keras is there, its back end is not
    ("sklearn", "sklearn", "pip install scikit-learn skl2onnx"),
    ("keras", "tensorflow.python", "pip install tensorflow"),
    ("h5py", "", "pip install h5py"),
])
def test_what_is_missing_is_what_to_install(monkeypatch: pytest.MonkeyPatch, imported: str,
                                            missing: str, fix: str) -> None:
    def absent(name: str) -> None:
        assert name == imported
        raise ModuleNotFoundError("absent", name=missing or None)
    monkeypatch.setattr(foreign, "importlib", SimpleNamespace(import_module=absent))
    with pytest.raises(DependencyError) as caught:
        foreign.needs(imported)
    assert caught.value.fix == fix
