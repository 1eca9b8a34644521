"""Large products with constant matrices become Strassen's, which multiply less."""

from __future__ import annotations

import numpy as np

from transpile.ir.graph import Graph, Node
from transpile.ir.interpret import constant_value
from transpile.ops.compact import EXPANSIONS
from transpile.ops.contract import parse_equation
from transpile.ops.registry import make
from transpile.ops.strassen import SIDE, strassen_input, strassen_product

LEAST_ROWS = 96
"""Rows below which sums of the weights' blocks cost what is saved."""

LEAST_SIDE = 256
"""Rows and columns of a matrix below which the sums cost too much of what is saved."""

GRAIN = 16
"""Block sides that full tiles need."""

BOUND = 4e-6
"""Root mean square of the error of a column, relative to the exact one's: several times what
networks were found to have. A direct product has 2e-7 to 5e-7."""

TRIED = 64
"""Rows on which the error is measured."""


def strassen(graph: Graph) -> Graph:
    """Products of fixed size with constant matrices: 49 for 64 multiplications.

    A layer whose error in float32 passes its bound stays direct, and so does one whose weights
    are read otherwise, too: they would be there twice.
    """
    matrices = dict.fromkeys(n.inputs[1] for n in graph.nodes if suits(n))
    blocks = {w: _blocks(w) for w in matrices
              if all(map(suits, graph.users[w])) and error(w) <= BOUND}
    return graph.rewrite(lambda node: _product(node, blocks[node.inputs[1]]) if suits(node) and (
        node.inputs[1] in blocks) else None)


def suits(node: Node) -> bool:
    """Whether a product is large enough, and its weights are known when the model is loaded."""
    if node.op != "contract" or node.dtype != "float32":
        return False
    x, weight = node.inputs
    a, b, out = parse_equation(node.attrs["equation"])
    stored = weight.is_constant or weight.op in EXPANSIONS
    if not (stored and len(a) == len(b) == 2 and a[1] == b[0] and out == a[0] + b[1]):
        return False
    (rows, _), (inputs, outputs) = x.shape, weight.shape
    return isinstance(rows, int) and rows >= LEAST_ROWS and all(
        isinstance(d, int) and d >= LEAST_SIDE and d % (SIDE * GRAIN) == 0
        for d in (inputs, outputs))


def _product(node: Node, blocks: Node) -> Node:
    x = node.inputs[0]
    name, rows = node.name or node.where.scope or "product", int(x.shape[0])
    beyond = -rows % (SIDE * 2)
    if beyond:
        x = make("pad", x, low=(0, 0), high=(beyond, 0), mode="constant", value=0.0,
                 where=node.where, label=f"{name}.padded")
    sums = make("strassen_input", x, where=node.where, label=f"{name}.sums")
    return make("strassen_product", sums, blocks, rows=rows, where=node.where, label=node.name)


def _blocks(weight: Node) -> Node:
    """A matrix [K, N] as `strassen_product` reads it: [K/4, 2, 2, 2, 2, N/4]."""
    rows, columns = (d // SIDE for d in weight.shape)
    split = make("reshape", weight, shape=(2, 2, rows, 2, 2, columns), where=weight.where)
    return make("transpose", split, perm=(2, 0, 3, 1, 4, 5), where=weight.where,
                label=f"{weight.name}.blocks")


def error(weight: Node) -> float:
    """The largest error of a column, every step in float32, on normally distributed values."""
    matrix = constant_value(weight)
    x = np.random.default_rng(0).standard_normal((TRIED, len(matrix))).astype(np.float32)
    exact = x.astype(np.float64) @ matrix.astype(np.float64)
    with np.errstate(all="ignore"):
        got = strassen_product(strassen_input(x), constant_value(_blocks(weight)), TRIED)
        off, size = (np.sqrt(np.square(v).mean(axis=0)) for v in (got - exact, exact))
        found = float(np.max(off / np.where(size > 0, size, 1.0)))
    return found if np.isfinite(found) else np.inf
