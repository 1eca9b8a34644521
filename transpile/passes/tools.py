"""What the passes share: a bottom-up rewriter, node builders and questions about constants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from transpile.errors import InternalError
from transpile.ir.dims import Dim
from transpile.ir.graph import NOWHERE, Graph, Node
from transpile.ir.types import TensorType
from transpile.ops.registry import Pointwise, get, make

Uses = Mapping[Node, int]
Rule = Callable[[Node, Uses], "Node | None"]

COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "equal", "not_equal", "logical_and",
                         "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"})


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """Rebuild bottom-up: `rule(node, uses)` gives a node of the same type, or None to keep.

    `uses` tells how often each operand of `node` is read in all. A replacement without a name or
    place takes those of the node that it replaces.
    """
    done: dict[Node, Node] = {}
    uses: dict[Node, int] = {}
    reads = _reads(graph)
    for node in graph.nodes:
        inputs = tuple(done[i] for i in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        fresh = node if same else replace(node, inputs=inputs)
        result = fresh
        if node.op not in ("input", "constant"):
            result = rule(fresh, uses) or fresh
        if result is not fresh:
            result = _checked(result, node)
            result = result if result in uses else _inherit(result, node)
        done[node] = result
        uses[result] = uses.get(result, 0) + reads[node]
    outputs = tuple((name, done[n]) for name, n in graph.outputs)
    same = all(a is b for (_, a), (_, b) in zip(outputs, graph.outputs, strict=True))
    return graph if same else replace(graph, outputs=outputs)


def _reads(graph: Graph) -> dict[Node, int]:
    reads = {n: len(u) for n, u in graph.users.items()}
    for _, node in graph.outputs:
        reads[node] += 1
    return reads


def _checked(result: Node, node: Node) -> Node:
    if result.type != node.type:
        raise InternalError(f"a rewrite of {node.op} changes its type from {node.type} to "
                            f"{result.type}", where=str(node.where) or node.name)
    return result


def _inherit(result: Node, node: Node) -> Node:
    """A new node with the name and place of the one that it replaces, where it has none."""
    if result.op in ("input", "constant"):
        return result
    name = result.name or node.name
    where = node.where if result.where is NOWHERE else result.where
    if name == result.name and where is result.where:
        return result
    return replace(result, name=name, where=where)


def like(node: Node, op: str, *inputs: Node, **attrs: Any) -> Node:
    """A node of `op` with the name and place of `node`."""
    return make(op, *inputs, where=node.where, label=node.name, **attrs)


def plain(node: Node, op: str, *inputs: Node, **attrs: Any) -> Node:
    """A nameless node of `op` with the place of `node`."""
    return make(op, *inputs, where=node.where, **attrs)


def with_inputs(node: Node, inputs: Iterable[Node], **attrs: Any) -> Node:
    """`node` over other operands and with some other attributes, its type inferred anew."""
    return like(node, node.op, *inputs, **{**node.attrs, **attrs})


def is_map(node: Node) -> bool:
    """True for elementwise operators with implicit broadcasting."""
    if node.op in ("input", "constant"):
        return False
    form = get(node.op).form
    return isinstance(form, Pointwise) and form.kind == "map"


def uniform(node: Node) -> Any:
    """The one value of all elements of a constant; None for anything else."""
    if not node.is_constant or node.value.size == 0:
        return None
    first = node.value.flat[0]
    return first.item() if np.all(node.value == first) else None


def new_constant(value: np.ndarray, source: Node) -> Node:
    """A constant that replaces `source`: its name, place and whether it is a parameter."""
    array = np.ascontiguousarray(value).reshape(value.shape)
    array.flags.writeable = False
    return replace(source, inputs=(), op="constant",
                   type=TensorType(array.dtype.name, array.shape), attrs=MappingProxyType(
                       {"value": array, "parameter": source.attrs.get("parameter", False)}))


def part_of(source: Node, part: str, value: np.ndarray) -> Node:
    """A constant that stands for a part of `source`: named after it, and no parameter."""
    made = new_constant(value, source)
    return replace(made, name=f"{source.name}.{part}",
                   attrs=MappingProxyType({**made.attrs, "parameter": False}))


def scalar(value: float, dtype: str) -> Node:
    """A nameless constant of rank 0."""
    array = np.array(value, dtype)
    array.flags.writeable = False
    return Node("constant", (), TensorType(dtype, ()),
                MappingProxyType({"value": array, "parameter": False}))


def inverse(perm: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `perm`."""
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


def align(shape: Sequence[Dim], rank: int) -> tuple[Dim, ...]:
    """`shape` with leading ones up to `rank`, as broadcasting reads it."""
    return (1,) * (rank - len(shape)) + tuple(shape)


def moves_only_units(shape: Sequence[Dim], perm: Sequence[int]) -> bool:
    """True if a transpose leaves the order of elements as it is."""
    kept = [p for p in perm if not same(shape[p], 1)]
    return kept == sorted(kept)


def same(a: Dim, b: Dim) -> bool:
    """True if two sizes are provably equal."""
    return bool(a == b)
