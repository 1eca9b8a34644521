"""What Keras models say of themselves: inputs, layers' paths, names of weights."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from transpile.model import Spec, spec


def input_specs(model: Any) -> Mapping[str, Spec]:
    """A spec for each input of a built model; none for a subclassed one without an input shape.

    None in a shape becomes a name: `batch` for the first dimension, else `x_1`, ...
    """
    tensors = getattr(model, "inputs", None) or []
    result: dict[str, Spec] = {}
    for k, tensor in enumerate(tensors):
        name = identifier(tensor.name, k)
        result[name] = spec(str(tensor.dtype), named(name, tensor.shape))
    if not result and (shape := getattr(model, "_build_shapes_dict", None)):
        shapes = [s for s in shape.values() if isinstance(s, (tuple, list)) and s and not any(
            isinstance(d, (tuple, list, dict)) for d in s)]
        if len(shapes) == len(shape) == 1:
            result["x"] = spec("float32", named("x", shapes[0]))
    return result


def named(name: str, shape: Any) -> list[int | str]:
    """A shape with names instead of None; the batch is always named."""
    return ["batch" if axis == 0 else f"{name}_{axis}" if size is None else int(size)
            for axis, size in enumerate(shape)]


def identifier(name: str, index: int) -> str:
    """The name of an input; those that Keras made up become x, x1, ..."""
    if re.fullmatch(r"(keras_tensor|input_layer|input)(_\d+)?", name):
        return f"x{index or ''}"
    return re.sub(r"\W+", "_", name)


@contextlib.contextmanager
def path_names(model: Any) -> Iterator[None]:
    """Layers are attributes of their model under their own names while it is traced.

    Keras keeps them in lists, and torch.export would call them `_operations.3`.
    """
    own = []
    for layer in getattr(model, "layers", None) or []:
        name = re.sub(r"\W+", "_", layer.name)
        modules = getattr(model, "_modules", None)
        if modules is not None and name not in modules and not hasattr(model, name):
            modules[name] = layer
            # The first path to a layer names it.
            modules.move_to_end(name, last=False) if hasattr(modules, "move_to_end") else None
            own.append((modules, name))
    try:
        yield
    finally:
        for modules, name in own:
            modules.pop(name, None)


def restored(proto: Any, model: Any) -> None:
    """Initialisers that are a weight of the model, or one transposed, take that weight's path."""
    weights = {w.path: np.asarray(w.value.detach().cpu()) for w in model.weights}
    by_size: dict[int, list[str]] = {}
    for path, weight in weights.items():
        by_size.setdefault(weight.size, []).append(path)
    taken: dict[str, str] = {}
    from onnx import numpy_helper
    for tensor in proto.graph.initializer:
        array: np.ndarray | None = None
        for path in by_size.get(int(np.prod(tensor.dims)), ()):
            array = numpy_helper.to_array(tensor) if array is None else array
            if path not in taken.values() and array.size > 1 and same(array, weights[path]):
                taken[tensor.name] = path
                break
    for node in proto.graph.node:
        node.input[:] = [taken.get(n, n).replace("/", ".") if n in taken else n
                         for n in node.input]
    for tensor in proto.graph.initializer:
        if tensor.name in taken:
            tensor.name = taken[tensor.name].replace("/", ".")


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """True if arrays hold the same numbers, up to a transposition or reshape of the axes."""
    if a.dtype != b.dtype:
        return False
    if np.array_equal(a.ravel(), b.ravel()):
        return True
    return np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None))
