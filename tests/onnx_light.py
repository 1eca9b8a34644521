"""Real networks without their trained weights: the `light` graphs that come with onnx.

Each graph makes its weights with ConstantOfShape. They become seeded random initialisers here,
scaled so that activations neither vanish nor overflow, which is all that arithmetic cares about.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

NAMES = sorted(path.stem.removeprefix("light_") for path in FOLDER.glob("light_*.onnx"))


def light_model(name: str, seed: int = 0) -> onnx.ModelProto:
    """The network `name` with random weights, and its logits as a second output."""
    model = onnx.load(str(FOLDER / f"light_{name}.onnx"))
    graph = model.graph
    rng = np.random.default_rng(seed)
    values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    made = [n for n in graph.node if n.op_type == "ConstantOfShape"]
    shapes = {n.output[0]: tuple(map(int, values.pop(n.input[0]))) for n in made}
    shapes |= {k: v.shape for k, v in values.items() if v.dtype == np.float32}
    kinds = _kinds(graph)
    values |= {k: _random(rng, kinds.get(k, "bias"), shape) for k, shape in shapes.items()}
    nodes = [n for n in graph.node if n.op_type != "ConstantOfShape"]
    read = {name for n in nodes for name in n.input}
    values = {k: v for k, v in values.items() if k in read}
    inputs = [i for i in graph.input if i.name in read - set(values)]
    for part, new in ((graph.node, nodes), (graph.input, inputs), (graph.initializer, [
            numpy_helper.from_array(v, k) for k, v in values.items()])):
        del part[:]
        part.extend(new)
    if nodes[-1].op_type == "Softmax":
        graph.output.append(onnx.helper.make_tensor_value_info(nodes[-1].input[0], 1, None))
    return model


def _kinds(graph: onnx.GraphProto) -> dict[str, str]:
    """What each weight is: it decides its distribution."""
    kinds = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            kinds[node.input[1]] = "weight"
        elif node.op_type == "BatchNormalization":
            kinds |= dict(zip(node.input[1:5], ("scale", "bias", "bias", "scale"), strict=True))
        elif node.op_type == "Unsqueeze":
            factor = any(n.op_type == "Mul" and node.output[0] in n.input for n in graph.node)
            kinds[node.input[0]] = "scale" if factor else "bias"
    return kinds


def _random(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """He et al. (2015) for weights [O, I, *K]; factors about 1, terms about 0."""
    if kind == "scale":
        return rng.uniform(0.6, 1.0, shape).astype(np.float32)
    spread = np.sqrt(2 / max(np.prod(shape[1:]), 1)) if kind == "weight" else 0.05
    return rng.standard_normal(shape, np.float32) * np.float32(spread)
