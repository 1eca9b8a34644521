"""Hand-written loop nests for what has no closed form at one index: running sums and sorts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from transpile.ir.dims import Axis, Dim, Opaque, atom, axis
from transpile.ir.types import TensorType
from transpile.lower.expr import Const, Expr, Index, Load, Local, call, cast
from transpile.lower.loops import combine_expr, identity
from transpile.lower.stmt import Argument, Assign, Declare, For, If, Let, Stmt, Store
from transpile.ops.registry import Accessor


def _unchanged(_index: Sequence[Dim], value: Expr) -> Expr:
    return value


@dataclass(frozen=True)
class RoutineContext:
    """Where a routine writes: the output's argument and type, and what is done on the way.

    With `in_place` the first operand lies in the output's memory.
    """

    out: Argument
    type: TensorType
    offset: Callable[[Sequence[Dim]], Dim]
    epilogue: Callable[[Sequence[Dim], Expr], Expr] = _unchanged
    scratches: list[Argument] = field(default_factory=list)
    in_place: bool = False

    def scratch(self, size: int) -> str:
        """A float32 buffer of `size` elements that lives during one call."""
        name = f"scratch{len(self.scratches) or ''}"
        self.scratches.append(Argument(name, "float32", size, written=True))
        return name

    def store(self, index: Sequence[Dim], value: Expr) -> Store:
        return Store(self.out.name, self.offset(index), self.epilogue(index, value))

    def load(self, index: Sequence[Dim]) -> Expr:
        """What was stored before at `index`."""
        return Load(self.out.name, self.offset(index), self.type.dtype)


def loops(axes: Sequence[Axis], body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """`body` inside loops over `axes`, the first outermost; no loop for a size of 1."""
    result = tuple(body)
    for a in reversed(axes):
        if a.extent != 1:
            result = (For(a, result, 0, a.extent),)
    return result


def _around(shape: Sequence[Dim], skip: int) -> tuple[list[Axis], Callable[[Dim], list[Dim]]]:
    """Loops over all axes but `skip`, and the full index for a position along it."""
    axes = [Axis(f"i{n}", d) for n, d in enumerate(shape)]
    outer = [a for n, a in enumerate(axes) if n != skip]

    def index(position: Dim) -> list[Dim]:
        return [position if n == skip else axis(a.name, a.extent) for n, a in enumerate(axes)]
    return outer, index


def build_cumulative(context: RoutineContext, x: Accessor, *, combine: str, axis: int,
                     exclusive: bool = False, reverse: bool = False) -> tuple[Stmt, ...]:
    """A running sum or product along one axis."""
    size, dtype = x.type.shape[axis], context.type.dtype
    outer, index = _around(x.type.shape, axis)
    step = Axis("k", size)
    k = _var(step)
    at = index(size - 1 - k if reverse else k)
    total = Local("total", dtype)
    grow = Assign("total", combine_expr(combine, total, cast(x(*at), dtype)))
    store = context.store(at, total)
    body = (store, grow) if exclusive else (grow, store)
    return loops(outer, [Declare("total", identity(combine, dtype)), *loops([step], body)])


def _var(a: Axis) -> Dim:
    return axis(a.name, a.extent)


def build_sort(context: RoutineContext, x: Accessor, *, axis: int, descending: bool = False,
               positions: bool = False) -> tuple[Stmt, ...]:
    """Values, or with `positions` their indices, in stable order along one axis.

    Each element's rank is counted and the element stored there: quadratic in the size of the
    axis, without branches or scratch memory.
    """
    size = x.type.shape[axis]
    outer, index = _around(x.type.shape, axis)
    this, other = Axis("j", size), Axis("k", size)
    value, rival = Local("value", x.type.dtype), Local("rival", x.type.dtype)
    before, same = _order(rival, value, descending)
    tie = call("logical_and", same,
               call("less", Index(_var(other)), Index(_var(this))))
    count = Assign("rank", call("add", Local("rank", "int32"), Const(1, "int32")))
    rank = atom(Opaque(Local("rank", "int32"), 0, size - 1))
    result: Expr = Index(_var(this)) if positions else value
    body: list[Stmt] = [
        Let("value", x(*index(_var(this)))), Declare("rank", Const(0, "int32")),
        *loops([other], [Let("rival", x(*index(_var(other)))),
                         If(call("logical_or", before, tie), (count,))]),
        context.store(index(rank), result)]
    return loops(outer, loops([this], body))


def _order(rival: Expr, value: Expr, descending: bool) -> tuple[Expr, Expr]:
    """Whether a rival comes before a value, and whether they tie.

    NaN is the largest of all, as in NumPy and PyTorch.
    """
    before = call("greater" if descending else "less", rival, value)
    same = call("equal", rival, value)
    if value.dtype != "float32":
        return before, same
    value_nan, rival_nan = call("isnan", value), call("isnan", rival)
    largest, other = (rival_nan, value_nan) if descending else (value_nan, rival_nan)
    return (call("logical_or", before, call("logical_and", largest, call("logical_not", other))),
            call("logical_or", same, call("logical_and", value_nan, rival_nan)))
