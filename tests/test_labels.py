"""Labels: the best of each row by name, in results, in declarations, from the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from transpile.errors import ShapeError
from transpile.image import top_k
from transpile.module import Module

HOSTILE = ("</script><!--", "'\"`\\", "${alert(1)}", "\u2028\n*/", "__proto__", "\U0001F600 \u00e9")
SCORES = np.random.default_rng(0).permutation(12).reshape(2, 6).astype(np.float32)


@transpile.model(x=transpile.spec("float32", ("batch", 6)), outputs=("scores", "__proto__"))
def classify(x: Any) -> Any:
    return x * np.float32(2), np.argmax(x, axis=1).astype(np.int32)


def run_node(node: str, folder: Path, module: Module, script: str) -> Any:
    module.save(folder / "model.mjs")
    (folder / "main.mjs").write_text(f"import {{ load }} from './model.mjs';\n"
                                     f"const x = {SCORES.tolist()};\n{script}")
    done = subprocess.run([node, "main.mjs"], cwd=folder, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("minify", [True, False])
def test_results_hold_the_best_by_name(node: str, tmp_path: Path, minify: bool) -> None:
    module = transpile.compile(classify, minify=minify,
                               labels={"scores": HOSTILE, "__proto__": HOSTILE})
    assert module.source.isascii()
    found = run_node(node, tmp_path, module, """
      const results = [];
      for (const options of [{}, { top: 2 }, { top: 0, reuse: true }]) {
        const model = await load(options);
        const result = await model.run(x);
        results.push([result.scores.top, result['__proto__'].names]);
        results.push(Object.keys(model.labels), model.labels['__proto__']);
      }
      console.log(JSON.stringify(results));""")
    values, order = top_k(SCORES * 2, 5)
    wanted = [[{"label": HOSTILE[i], "index": int(i), "value": float(v)}
               for v, i in zip(*row, strict=True)] for row in zip(values, order, strict=True)]
    names = [HOSTILE[i] for i in SCORES.argmax(axis=1)]
    rest = [["scores", "__proto__"], list(HOSTILE)]
    assert found == [[wanted, names], *rest, [[row[:2] for row in wanted], names], *rest,
                     [[[], []], names], *rest]


def test_without_labels_nothing_is_different() -> None:
    plain = transpile.compile(classify)
    assert not re.search(r"labels:|addBest|Ranked", plain.source + plain.dts)
    labelled = transpile.compile(classify, labels=HOSTILE)
    assert "top: Ranked[][]" in labelled.dts
    assert "names: string[]" not in labelled.dts
    assert 'readonly labels: { "scores": string[] };' in labelled.dts


def test_labels_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"2 labels are given for scores, which is float32"):
        transpile.compile(classify, labels=("a", "b"))
    with pytest.raises(ShapeError, match="which is no output"):
        transpile.compile(classify, labels={"probs": HOSTILE})


def test_a_file_of_labels(node: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import transpile\n@transpile.model(x='float32[6]', outputs=('y',))\n"
        "def net(x):\n    return x + 1\n")
    lines = ["a cat", "</script>", "\u00e9t\u00e9, 2", "`", "${x}", "z"]
    (tmp_path / "labels.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for out in ("net.mjs", "net.html"):
        done = subprocess.run([sys.executable, "-m", "transpile", "build", "net.py:net", "-o", out,
                               "--labels", "labels.txt", "-q"], cwd=tmp_path, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stderr
    (tmp_path / "main.mjs").write_text("""import { predict } from './net.mjs';
      const { y } = await predict([1, 6, 3, 2, 5, 4]);
      console.log(JSON.stringify(y.top[0].map(({ label }) => label)));""")
    done = subprocess.run([node, "main.mjs"], cwd=tmp_path, capture_output=True, text=True,
                          check=True)
    assert json.loads(done.stdout) == ["</script>", "${x}", "z", "\u00e9t\u00e9, 2", "`"]
    assert (tmp_path / "net.html").read_text().count("</script>") == 2
