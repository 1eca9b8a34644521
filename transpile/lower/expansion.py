"""Expansions of weights over named sizes: one function serves the weights of all layers.

Memory is walked from front to back, so the tensor's own shape does not matter: it is one axis, or
those that tell which scale belongs to an element.
"""

from __future__ import annotations

from transpile.ir.dims import Dim, dim
from transpile.ir.graph import Node, input_node
from transpile.ir.types import TensorType
from transpile.lower.storage import Storage
from transpile.ops.compact import EXPANSIONS
from transpile.ops.registry import make

Sizes = dict[str, int]


def over_names(node: Node, storage: Storage) -> tuple[Node, Sizes] | None:
    """The same expansion over sizes `rows` and `cols`, and their values; None for other nodes.

    Only where operands and result lie in the same order, and nowhere inside another value.
    """
    stored = node.inputs[0] if node.op in EXPANSIONS else None
    if stored is None or node in storage.places or storage.panels.get(
            stored) != storage.panels.get(node) or not all(i.is_constant for i in node.inputs):
        return None
    if node.op == "expand_half":
        twin = _twin("expand half", node, (dim("rows"),), (dim("rows"),))
        return twin, {"rows": _count(node.shape)}
    rows, cols = _count(node.shape[:-1]), int(node.shape[-1])
    by_column = node.inputs[1].shape[-1] != 1
    width = storage.panels.get(node, 0)
    # No variable is named like this: they have no spaces.
    name = f"expand int8 by {'column' if by_column else 'row'}{f' in {width}' if width else ''}"
    if width:
        shape: tuple[Dim, ...] = (dim("cols"), dim("rows"), width)
        scale: tuple[Dim, ...] = (dim("cols"), 1, width) if by_column else (1, dim("rows"), 1)
        return _twin(name, node, shape, scale), {"rows": rows, "cols": cols // width}
    scale = (1, dim("cols")) if by_column else (dim("rows"), 1)
    twin = _twin(name, node, (dim("rows"), dim("cols")), scale)
    return twin, {"rows": rows, "cols": cols}


def _count(shape: tuple[Dim, ...]) -> int:
    total = 1
    for size in shape:
        assert isinstance(size, int), "constants have fixed sizes"
        total *= size
    return total


def _twin(name: str, node: Node, *shapes: tuple[Dim, ...]) -> Node:
    """`node` over operands of other shapes, all alike in name."""
    operands = [input_node(f"part{i}", TensorType(operand.dtype, shape))
                for i, (operand, shape) in enumerate(zip(node.inputs, shapes, strict=True))]
    return make(node.op, *operands, label=name)
