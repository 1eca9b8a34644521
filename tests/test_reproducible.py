"""The same model gives the same bytes, whatever order sets happen to have in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

CASES = ("transformer", "lenet", "lstm", "options")

SCRIPT = """
import json
import transpile
from benchmarks.models import LSTM, EncoderLayer, LeNet, prepared
from transpile.ir.graph import Node

Node.__hash__ = lambda self: hash(str(id(self)))  # sets of nodes depend on the seed, too
encoder = prepared(lambda: EncoderLayer(24, 2, 40), (1, 6, 24), 6)
modules = {
    "transformer": transpile.compile(encoder),
    "lenet": transpile.compile(prepared(lambda: LeNet(12), (1, 1, 12, 12), 3)),
    "lstm": transpile.compile(prepared(LSTM, (1, 5, 40), 7), targets=("js", "wasm")),
    "options": transpile.compile(encoder, targets=("js", "wasm"), weights="int8", compute="int8",
                                 threads=True, relaxed_simd=True),
}
print(json.dumps({name: module.source for name, module in modules.items()}))
"""


@pytest.fixture(scope="module")
def builds() -> list[dict[str, str]]:
    """The modules' text by case, from processes with hash seeds of their own."""
    return [built(seed) for seed in range(3)]


def built(seed: int) -> dict[str, str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True,
                          check=False, env={**os.environ, "PYTHONHASHSEED": str(seed)})
    assert done.returncode == 0, done.stderr.decode()
    modules: dict[str, str] = json.loads(done.stdout)
    return modules


@pytest.mark.parametrize("case", CASES)
def test_every_hash_seed_gives_the_same_bytes(builds: list[dict[str, str]], case: str) -> None:
    first, *others = (one[case] for one in builds)
    assert len(first) > 10_000
    assert all(other == first for other in others)
