"""Runs a graph on NumPy arrays through each op's reference: what every lowering is checked by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from transpile.errors import InternalError, ShapeError
from transpile.ir.control import REGIONS, run_region
from transpile.ir.dims import Dim, Name, Poly, evaluate, names, substitute
from transpile.ir.graph import Graph, Node, topological


def interpret(graph: Graph, inputs: Mapping[str, Any], *,
              dtype: str | None = None) -> dict[str, np.ndarray]:
    """The outputs of `graph` by name.

    Args:
        inputs: an array for each input by name, of its shape; dtypes are converted to the input's.
        dtype: "float64" computes in double precision all that is float32 in the graph
            (constants are raised, integers and booleans unchanged): the reference to verify by.

    Raises:
        ShapeError: an input is missing, or its shape does not fit.
        InternalError: an op's reference fails, or its result disagrees with the inferred type.
    """
    last = _last_uses(graph)
    values: dict[Node, np.ndarray] = {}
    for node, value in _run(graph, inputs, dtype, values):
        values[node] = value
        for done in last.get(node, ()):
            del values[done]
    return {name: values[node] for name, node in graph.outputs}


def node_values(graph: Graph, inputs: Mapping[str, Any], *,
                dtype: str | None = None) -> dict[Node, np.ndarray]:
    """The value of every node; arguments and errors as for `interpret`."""
    values: dict[Node, np.ndarray] = {}
    for node, value in _run(graph, inputs, dtype, values):
        values[node] = value  # noqa: PERF403  (the loop reads what it has stored)
    return values


def bind_dims(graph: Graph, inputs: Mapping[str, Any]) -> dict[str, int]:
    """A size for each named dimension, solved from the shapes of the inputs.

    Raises:
        ShapeError: an input is missing, has another shape, or contradicts an earlier one.
    """
    pairs: list[tuple[Node, Dim, int]] = []
    for node in graph.inputs:
        if node.name not in inputs:
            raise ShapeError(f"the input {node.name!r} is missing", why=f"it is a {node.type}")
        shape = np.shape(inputs[node.name])
        if len(shape) != node.type.rank:
            raise _misfit(node, shape)
        pairs += [(node, d, n) for d, n in zip(node.shape, shape, strict=True)]
    sizes: dict[str, int] = {}
    for _, expected, size in sorted(pairs, key=lambda p: len(names(p[1]))):
        sizes.update(_solve(expected, size, sizes))
    for node, expected, size in pairs:
        if substitute(expected, dict(sizes)) != size:
            raise _misfit(node, np.shape(inputs[node.name]))
    return sizes


def evaluate_attrs(attrs: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Attributes with every symbolic size replaced by its number."""
    def plain(value: Any) -> Any:
        if isinstance(value, Poly):
            return evaluate(value, sizes)
        return tuple(map(plain, value)) if isinstance(value, tuple) else value
    return {key: plain(value) for key, value in attrs.items()}


def call_reference(node: Node, operands: list[np.ndarray], sizes: Mapping[str, int],
                   dtype: str | None = None) -> np.ndarray:
    """The NumPy reference of `node`'s op on `operands`, checked against the node's type."""
    from transpile.ops import registry
    attrs = evaluate_attrs(node.attrs, sizes)
    if dtype and attrs.get("dtype") == "float32":
        attrs["dtype"] = dtype
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(registry.get(node.op).reference(*operands, **attrs))
            result = result.astype(_dtype(node, dtype), copy=False)
    except Exception as error:
        raise InternalError(f"the reference of {node.op} fails: {error}",
                            where=str(node.where) or node.name) from error
    expected = tuple(evaluate(d, sizes) for d in node.shape)
    if result.shape != expected:
        raise InternalError(
            f"the reference of {node.op} gives shape {result.shape}, inferred was {expected}",
            where=str(node.where) or node.name)
    return result


def constant_value(node: Node) -> np.ndarray:
    """The value of a node that depends on constants alone."""
    values: dict[Node, np.ndarray] = {}
    for n in topological([node]):
        values[n] = n.value if n.is_constant else call_reference(
            n, [values[i] for i in n.inputs], {})
    return values[node]


def _run(graph: Graph, inputs: Mapping[str, Any], dtype: str | None,
         values: Mapping[Node, np.ndarray]) -> Iterator[tuple[Node, np.ndarray]]:
    sizes = bind_dims(graph, inputs)
    for node in graph.inputs:
        yield node, np.asarray(inputs[node.name]).astype(_dtype(node, dtype), copy=False)
    yield from run_nodes(graph, values, sizes, dtype)


def run_nodes(graph: Graph, values: Mapping[Node, Any], sizes: Mapping[str, int],
              dtype: str | None) -> Iterator[tuple[Node, Any]]:
    """The value of each node but the inputs; `values` must hold those of all before it.

    A branch or loop has a list of its results.
    """
    for node in graph.nodes:
        operands = [values[i] for i in node.inputs]
        if node.is_constant:
            yield node, node.value.astype(_dtype(node, dtype), copy=False)
        elif node.op in REGIONS:
            yield node, run_region(node, operands, sizes, dtype)
        elif node.op == "result":
            yield node, operands[0][node.attrs["index"]]
        elif node.op != "input":
            yield node, call_reference(node, operands, sizes, dtype)


def _dtype(node: Node, wide: str | None) -> str:
    return wide if wide and node.dtype == "float32" else node.dtype


def _last_uses(graph: Graph) -> dict[Node, list[Node]]:
    """For each node, the values that nothing needs once it has run."""
    kept = {n for _, n in graph.outputs}
    result: dict[Node, list[Node]] = {}
    seen: set[Node] = set()
    for node in reversed(graph.nodes):
        for operand in (node, *node.inputs):
            if operand not in seen and operand not in kept:
                seen.add(operand)
                result.setdefault(node, []).append(operand)
    return result


def _solve(expected: Dim, size: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """The one unknown name in `expected`, if it is there linearly."""
    rest = substitute(expected, dict(sizes))
    if isinstance(rest, int) or len(names(rest)) != 1:
        return {}
    (name,) = names(rest)
    factor = next((c for m, c in rest.terms if m and isinstance(m[0], Name)), 0)
    guess = (size - rest.const) // factor if factor else 0
    return {name: guess} if substitute(rest, {name: guess}) == size else {}


def _misfit(node: Node, shape: tuple[int, ...]) -> ShapeError:
    return ShapeError(f"the input {node.name!r} has shape {list(shape)}",
                      why=f"the model takes {node.type}")
