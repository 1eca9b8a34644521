"""The README keeps up with the tables, and its examples work as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    """The code block of the README with `containing` in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)
    return next(b for b in blocks if containing in b)


def test_the_table_is_up_to_date() -> None:
    command = [sys.executable, ROOT / "tools" / "update_readme.py", "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_help_lists_every_target_of_the_readme() -> None:
    listed = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True,
                            text=True, check=True).stdout
    targets = set(re.findall(r"make ([a-z-]+)$|`make ([a-z-]+)`", README, flags=re.M))
    assert targets
    assert all(f"  {a or b} " in listed for a, b in targets)


def test_the_model_and_the_five_lines_for_node_work(tmp_path: Path, node: str) -> None:
    rng = np.random.default_rng(0)
    shapes = {"w1": (784, 16), "b1": (16,), "w2": (16, 10), "b2": (10,)}
    weights = {k: rng.normal(0, 0.1, s).astype(np.float32) for k, s in shapes.items()}
    np.savez(tmp_path / "weights.npz", **weights)
    (tmp_path / "model.py").write_text(block("python", "def classify"), encoding="utf-8")
    (tmp_path / "predict.mjs").write_text(block("js", "predict.mjs"), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "transpile", "build", "model.py:classify",
                    "-o", "classify.mjs"], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run([node, "predict.mjs"], cwd=tmp_path, check=True, capture_output=True,
                          text=True)
    printed = re.match(r"\[ 1, 10 \] Float32Array\(10\) \[(.*)\]", done.stdout, flags=re.S)
    assert printed
    scores = np.maximum(weights["b1"], 0) @ weights["w2"] + weights["b2"]
    np.testing.assert_allclose([float(n) for n in printed[1].split(",")],
                               np.exp(scores) / np.exp(scores).sum(), rtol=1e-5)
