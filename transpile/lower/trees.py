"""The walk down decision trees, every tree for every row."""

from __future__ import annotations

from transpile.ir.dims import Axis, Dim, Opaque, atom, axis
from transpile.lower.expr import Const, Expr, Local, call
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.stmt import Assign, Declare, If, Let, Stmt
from transpile.ops.registry import Accessor


def build_leaves(context: RoutineContext, x: Accessor, feature: Accessor, threshold: Accessor,
                 left: Accessor, right: Accessor, roots: Accessor, *, depth: int,
                 missing: bool = False) -> tuple[Stmt, ...]:
    """`depth` steps for each tree, of which those at a leaf do nothing; see `ops/trees.py`."""
    row, tree = Axis("row", x.type.shape[0]), Axis("tree", roots.type.shape[0])
    n, t = axis(row.name, row.extent), axis(tree.name, tree.extent)
    node = Local("node", "int32")
    at = _index(node, feature.type.shape[0])
    split, column = _column(feature(at), missing)
    value = Local("value")
    goes_left = call("less_equal", value, threshold(at))
    if missing:
        lost = call("logical_and", call("less", Local("split", "int32"), Const(0, "int32")),
                    call("isnan", value))
        goes_left = call("logical_or", goes_left, lost)
    step = If(call("greater_equal", node, Const(0, "int32")), (
        Let("split", split), Let("value", x(n, _index(column, x.type.shape[1]))),
        Assign("node", call("select", goes_left, left(at), right(at)))))
    walk = loops([Axis("step", depth)], [step]) if depth else ()
    leaf = call("bitwise_not", node)
    return loops([row, tree], [Declare("node", roots(t)), *walk, context.store((n, t), leaf)])


def _column(feature: Expr, missing: bool) -> tuple[Expr, Expr]:
    """What is kept of a split's feature, and the column that follows from it."""
    split = Local("split", "int32")
    if not missing:
        return feature, split
    flipped = call("bitwise_not", split)
    return feature, call("select", call("less", split, Const(0, "int32")), flipped, split)


def _index(value: Expr, size: Dim) -> Dim:
    """A value that is known to lie within an axis of this size."""
    return atom(Opaque(value, 0, size - 1)) if size != 1 else 0
