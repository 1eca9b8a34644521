"""The target webgl on the command line: `transpile run`, `bench` and `verify` of built files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from transpile.bench_browser import measure_webgl
from transpile.cli import main
from transpile.compile import lower_graph
from transpile.targets.glsl.programs import plan_webgl

pytestmark = pytest.mark.browser

RNG = np.random.default_rng(7)
W = RNG.standard_normal((12, 8)).astype(np.float32)
X = RNG.standard_normal((5, 12)).astype(np.float32)
MODEL = """
import numpy as np, transpile
W = np.random.default_rng(7).standard_normal((12, 8)).astype(np.float32)
@transpile.model(x=transpile.spec("float32", ("batch", 12)))
def dense(x):
    return np.tanh(x @ W)
"""


@transpile.model(x=transpile.spec("float32", ("batch", 12)))
def dense(x: Any) -> Any:
    hidden = np.maximum(x @ W, 0)
    return np.exp(-hidden).sum(axis=1)


def succeeds(*arguments: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert left.value.code in (0, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("webgl")
    (folder / "dense.py").write_text(MODEL)
    np.save(folder / "x.npy", X)
    return folder


@pytest.mark.parametrize(("out", "options"), [
    ("a.mjs", {}), ("b.cjs", {}), ("c.js", {"format": "iife"}), ("d.html", {}),
    ("e.mjs", {"weights_file": True}), ("f.cjs", {"minify": True})])
def test_every_format_runs_in_the_browser(folder: Path, out: str, options: dict[str, Any]) -> None:
    from transpile.sources import resolve
    path = folder / out
    transpile.build(resolve(str(folder / "dense.py")), path, targets=["js", "webgl"], verify=False,
                    **options)
    succeeds("run", str(path), "--input", f"x={folder / 'x.npy'}", "--target", "webgl",
             "-o", str(folder / "y.npz"))
    (y,) = np.load(folder / "y.npz").values()
    np.testing.assert_allclose(y, np.tanh(X @ W), atol=1e-5)


def test_a_built_file_is_verified_and_timed(folder: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    path, source = folder / "g.html", f"{folder / 'dense.py'}:dense"
    succeeds("build", source, "-o", str(path), "--targets", "js,webgl", "--no-verify", "-q")
    succeeds("verify", str(path), source, "--target", "webgl")
    assert "verified webgl" in capsys.readouterr().out
    succeeds("bench", str(path), source, "--target", "webgl", "--seconds", "0.05")
    assert "webgl: kernels" in capsys.readouterr().out


def test_a_broken_file_fails_verification(folder: Path) -> None:
    """It is the file that is run, not a module compiled anew."""
    path, source = folder / "h.js", f"{folder / 'dense.py'}:dense"
    succeeds("build", source, "-o", str(path), "--targets", "js,webgl", "--no-verify", "-q",
             "--format", "iife")
    text = path.read_text()
    assert text.count("= tanh_(sum)") == 1
    path.write_text(text.replace("= tanh_(sum)", "= sin(sum)"))
    with pytest.raises(SystemExit) as left:
        main(["verify", str(path), source, "--target", "webgl"])
    assert left.value.code == 1


def test_every_draw_is_timed_with_its_work() -> None:
    module = transpile.compile(dense, targets=["js", "webgl"])
    found = measure_webgl(module.source, "esm", {"x": X}, 0.05, module.debug_source,
                          module.programs)
    (target,) = found.targets
    assert target.median > 0
    draws = plan_webgl(lower_graph(transpile.trace(dense), "webgl").graph).draws
    assert {k.name for k in target.kernels} == {d.label for d in draws}
    assert max(k.flops for k in target.kernels) >= 2 * 5 * 12 * 8
    assert all(k.bytes >= 16 for k in target.kernels)


def test_a_module_that_fails_is_told() -> None:
    with pytest.raises(transpile.TranspileError, match="could not be timed"):
        measure_webgl("export const load = () => { throw new Error('no'); };", "esm", {}, 0.0)
