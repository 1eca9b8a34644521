"""Products of two computed operands are laid out so that the lanes run along the result."""

from __future__ import annotations

from transpile.ir.dims import Dim, nonnegative, product
from transpile.ir.graph import Graph, Node
from transpile.lower.scalar import LANES
from transpile.ops.contract import parse_equation
from transpile.ops.registry import make

LEAST_ROWS = 8
"""Rows of the result that must share an operand for turning it to be worth a pass over it."""

LONGEST = 256
"""Products summed from which on dot products lose little by adding up their lanes at the end."""


def lanes(graph: Graph) -> Graph:
    """Keys of an attention, and the like: the operand turned once instead of dot products."""
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    if node.op != "contract" or node.dtype != "float32":
        return None
    a, b = node.inputs
    labels, turned, out = parse_equation(node.attrs["equation"])
    if not out or not turned or b.is_constant:
        return None
    summed, column = turned[-1], out[-1]
    apart = summed in labels and summed not in out and column in turned and column not in labels
    sizes = dict(zip(turned, b.shape, strict=True))
    rows = product(d for label, d in zip(out, node.shape, strict=True) if label not in turned)
    if not apart or not _pays(rows, sizes[column], sizes[summed]):
        return None
    order = turned.replace(column, "") + column
    keys = make("transpose", b, perm=tuple(turned.index(label) for label in order),
                where=node.where)
    keys = make("copy", keys, where=node.where, label=f"{node.name or 'contract'}.columns")
    return make("contract", a, keys, equation=f"{labels},{order}->{out}", where=node.where,
                label=node.name)


def _pays(rows: Dim, columns: Dim, terms: Dim) -> bool:
    return (isinstance(terms, int) and terms <= LONGEST and nonnegative(rows - LEAST_ROWS)
            and nonnegative(columns - 2 * LANES))
