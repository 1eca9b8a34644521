"""Products with a weight matrix become plain matrix products over rows.

`[batch, time, K] @ [K, N]` is one product of `batch*time` rows: the fast kernels know only that
form. The reshape back sinks below the elementwise operators and row reductions that follow, so that
a block of a transformer stays two-dimensional from one product to the next.
"""

from __future__ import annotations

from transpile.ir.dims import product
from transpile.ir.graph import Graph, Node
from transpile.ops.contract import parse_equation
from transpile.passes.tools import Uses, align, is_map, plain, rewrite, same, with_inputs


def rows(graph: Graph) -> Graph:
    """Merge the leading axes of products with a constant matrix, and of what follows them."""
    return rewrite(graph, _rule)


def _rule(node: Node, uses: Uses) -> Node | None:
    if node.op == "contract":
        return _matrix_product(node, uses)
    if is_map(node):
        return _map(node)
    return _reduction(node) if node.op in ("sum", "prod", "max", "min") else None


def _matrix_product(node: Node, uses: Uses) -> Node | None:
    """A product with a constant matrix as `mk,kn->mn`, between two reshapes if need be.

    Axes of size 1 may lie anywhere; a matrix stored the other way round is transposed, unless
    something else reads it too.
    """
    x, weight = node.inputs
    a, b, out = parse_equation(node.attrs["equation"])
    inner, fresh = [c for c in b if c in a and c not in out], [c for c in b if c not in a]
    if not weight.is_constant or len(b) != 2 or len(inner) != 1 or len(fresh) != 1:
        return None
    k, n = inner[0], fresh[0]
    units = {c for c, d in zip(a, x.shape, strict=True) if same(d, 1)} - {k}
    lead = [c for c in a if c != k and c not in units]
    is_product = ([c for c in a if c not in units] == [*lead, k] and n in out
                  and [c for c in out if c not in units] == [*lead, n] and a.count(k) == 1)
    standard = len(a) == len(out) == 2 and (a[1], out) == (k, a[0] + n)
    turned = b != k + n
    if not is_product or (standard and not turned) or (turned and uses.get(weight, 1) > 1):
        return None
    size = x.shape[a.index(k)]
    count = product(d for c, d in zip(a, x.shape, strict=True) if c != k)
    flat = x if standard else plain(node, "reshape", x, shape=(count, size))
    matrix = plain(weight, "transpose", weight, perm=(1, 0)) if turned else weight
    result = plain(node, "contract", flat, matrix, equation="ab,bc->ac").named(node.name)
    return plain(node, "reshape", result, shape=node.shape)


def _rows_of(node: Node) -> Node | None:
    """The matrix whose rows `node` spreads over several axes, if it is such a reshape."""
    if node.op != "reshape" or node.type.rank in (0, 2) or node.inputs[0].type.rank != 2:
        return None
    matrix = node.inputs[0]
    return matrix if same(matrix.shape[1], node.shape[-1]) else None


def _map(node: Node) -> Node | None:
    matrices = [_rows_of(i) for i in node.inputs if i.shape == node.shape]
    if not any(matrices):
        return None
    operands = [_flat(i, node) for i in node.inputs]
    if any(o is None for o in operands):
        return None
    inner = with_inputs(node, (o for o in operands if o is not None))
    return plain(node, "reshape", inner, shape=node.shape)


def _flat(operand: Node, node: Node) -> Node | None:
    """`operand` so that it broadcasts against the rows of `node`; None if it does not."""
    shape = align(operand.shape, node.type.rank)
    partial = operand.is_constant or operand.shape != node.shape
    if partial and all(same(d, 1) for d in shape[:-1]):
        return operand if operand.type.rank < 2 else plain(operand, "reshape", operand,
                                                          shape=shape[-1:])
    if shape[:-1] != node.shape[:-1]:
        return None
    return plain(operand, "reshape", operand, shape=(product(shape[:-1]), shape[-1]))


def _reduction(node: Node) -> Node | None:
    """Over the last axis alone."""
    view = node.inputs[0]
    matrix = _rows_of(view)
    if matrix is None or tuple(node.attrs["axes"]) != (view.type.rank - 1,):
        return None
    inner = with_inputs(node, (matrix,), axes=(1,))
    return plain(node, "reshape", inner, shape=node.shape)
