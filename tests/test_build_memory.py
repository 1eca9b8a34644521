"""The memory that a build without verification needs, in multiples of the weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SCRIPT = """
import json, re, sys
from pathlib import Path
import transpile

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10

small, large, out = sys.argv[1:4]
options = json.loads(sys.argv[4])
transpile.build(small, out, verify=False, **options)
before = peak()
module = transpile.build(large, out, verify=False, **options)
print(json.dumps([peak() - before, module.report.total_bytes + sum(module.report.files.values())]))
"""


def network(path: Path, width: int, layers: int) -> int:
    """Write convolutions with batch norms; returns the bytes of their weights."""
    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for k in range(layers):
        weights += [rng.normal(0, 0.01, (width, width, 3, 3)).astype(np.float32),
                    *(rng.uniform(0.9, 1.1, width).astype(np.float32) for _ in range(4))]
        names = [f"{name}{k}" for name in ("w", "scale", "bias", "mean", "var")]
        nodes += [helper.make_node("Conv", [last, names[0]], [f"c{k}"], pads=[1, 1, 1, 1]),
                  helper.make_node("BatchNormalization", [f"c{k}", *names[1:]], [f"n{k}"]),
                  helper.make_node("Relu", [f"n{k}"], [f"r{k}"])]
        last = f"r{k}"
    names = [f"{name}{k}" for k in range(layers) for name in ("w", "scale", "bias", "mean", "var")]
    shape = [1, width, 6, 6]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(w, n) for w, n in zip(weights, names, strict=True)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return sum(w.nbytes for w in weights)


@pytest.mark.slow
@pytest.mark.parametrize(("options", "times"), [
    ({}, 2.9), ({"weights_file": True}, 2.9), ({"weights": "float16", "minify": True}, 4.6)],
    ids=str)
def test_peak_in_multiples_of_the_weights(tmp_path: Path, options: dict[str, Any], times: float
                                          ) -> None:
    """What the interpreter, packages and code take is there after a small build already."""
    network(tmp_path / "small.onnx", 16, 2)
    weights = network(tmp_path / "large.onnx", 512, 7)
    paths = [str(tmp_path / name) for name in ("small.onnx", "large.onnx", "out.mjs")]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *paths, json.dumps(options)],
                          capture_output=True, text=True, check=True)
    growth, written = json.loads(done.stdout)
    assert written > 0.45 * weights
    assert growth < times * weights
