"""Gather forms of routines: running sums and sorts, each element computed on its own.

They take time quadratic in the length of the axis, unlike the loops of `lower/routine.py`, but
all elements at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from transpile.ir.dims import Axis, Dim, axis
from transpile.ir.graph import Node
from transpile.lower.expr import Const, Expr, Index, Local, call, cast
from transpile.lower.legalize import Gather, made, out_of, values_of
from transpile.lower.loops import combine_expr, identity
from transpile.lower.nest import Operand, Values
from transpile.lower.routine import loops
from transpile.lower.stmt import Assign, Declare, For, If, Let, Stmt, Store
from transpile.lower.storage import linear


def _pass(output: Node, operand: Node, along: int, values: Values,
          body: Callable[[Callable[[Dim], list[Dim]], Dim], tuple[Sequence[Stmt], Expr]]) -> Gather:
    """A pass whose body gets the index with another position along one axis, and its own."""
    shape = operand.shape
    axes = [Axis(f"i{n}", d) for n, d in enumerate(shape)]
    own = [axis(a.name, a.extent) for a in axes]

    def at(position: Dim) -> list[Dim]:
        return [position if n == along else i for n, i in enumerate(own)]
    out = out_of(output)
    setup, value = body(at, own[along])
    store = Store(out.name, linear(own, shape), value)
    return made(output, values, out, loops(axes, [*setup, store]))


def cumulative(node: Node, combine: str) -> list[Gather]:
    """Each element combines those up to its own place."""
    operand, attrs = node.inputs[0], node.attrs
    along, size = attrs["axis"], operand.shape[attrs["axis"]]
    values = values_of(frozenset())
    x = Operand(values, operand)

    def body(at: Callable[[Dim], list[Dim]], own: Dim) -> tuple[Sequence[Stmt], Expr]:
        step = Axis("k", size)
        k = axis(step.name, size)
        total = Local("total", node.dtype)
        place = size - 1 - k if attrs.get("reverse") else k
        count = (size - 1 - own if attrs.get("reverse") else own) + (
            0 if attrs.get("exclusive") else 1)
        grow = Assign("total", combine_expr(combine, total, cast(x(*at(place)), node.dtype)))
        return [Declare("total", identity(combine, node.dtype)),
                For(step, (grow,), 0, count)], total
    return [_pass(node, operand, along, values, body)]


def sorting(node: Node, positions: bool) -> list[Gather]:
    """The rank of every element, then for every place the element that has it."""
    operand, along = node.inputs[0], node.attrs["axis"]
    size = operand.shape[along]
    ranks = Node("rank", (operand,), operand.type.with_dtype("int32"), name=f"{node.name}.ranks",
                 where=node.where)
    values = values_of(frozenset())
    x = Operand(values, operand)
    other = Axis("k", size)
    k = axis(other.name, size)

    def rank(at: Callable[[Dim], list[Dim]], own: Dim) -> tuple[Sequence[Stmt], Expr]:
        from transpile.lower.routine import _order as order
        value, rival = (Local(n, operand.dtype) for n in ("value", "rival"))
        before, same = order(rival, value, node.attrs.get("descending", False))
        tie = call("logical_and", same, call("less", Index(k), Index(own)))
        count = Assign("rank", call("add", Local("rank", "int32"), Const(1, "int32")))
        return [Let("value", x(*at(own))), Declare("rank", Const(0, "int32")),
                *loops([other], [Let("rival", x(*at(k))),
                                 If(call("logical_or", before, tie), (count,))])
                ], Local("rank", "int32")

    later = values_of(frozenset())
    y, order_of = Operand(later, operand), Operand(later, ranks)

    def chosen(at: Callable[[Dim], list[Dim]], own: Dim) -> tuple[Sequence[Stmt], Expr]:
        result = Index(k) if positions else y(*at(k))
        found = call("equal", order_of(*at(k)), Index(own))
        return [Declare("found", Const(0, node.dtype)),
                *loops([other], [If(found, (Assign("found", result),))])
                ], Local("found", node.dtype)
    return [_pass(ranks, operand, along, values, rank),
            _pass(node, operand, along, later, chosen)]


FORMS: dict[str, Callable[[Node], list[Gather]]] = {
    "cumsum": partial(cumulative, combine="sum"), "cumprod": partial(cumulative, combine="prod"),
    "sort": partial(sorting, positions=False), "argsort": partial(sorting, positions=True)}
"""Passes by routine; what is missing runs on the CPU."""

