"""Hand-written loop nests for what has no closed form at one index: running sums and sorts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from transpile.ir.dims import Axis, Dim, Opaque, atom, axis
from transpile.ir.types import TensorType
from transpile.lower.expr import Const, Expr, Index, Load, Local, call, cast
from transpile.lower.loops import combine_expr, identity, scheduled
from transpile.lower.nest import Nest, flatten, split_last_axis
from transpile.lower.stmt import Argument, Assign, Declare, For, If, Let, Stmt, Store
from transpile.ops.registry import Accessor


def _unchanged(_index: Sequence[Dim], value: Expr) -> Expr:
    return value


@dataclass(frozen=True)
class RoutineContext:
    """Where a routine writes: the output's argument and type, and what is done on the way.

    Attributes:
        in_place: True where the first operand lies in the output's memory.
        schedule: the statements of a nest that is a part of the routine.
    """

    out: Argument
    type: TensorType
    offset: Callable[[Sequence[Dim]], Dim]
    epilogue: Callable[[Sequence[Dim], Expr], Expr] = _unchanged
    scratches: list[Argument] = field(default_factory=list)
    in_place: bool = False
    schedule: Callable[[Nest], tuple[Stmt, ...]] = scheduled

    def nested(self, nest: Nest, weight: Accessor | None = None) -> tuple[Stmt, ...]:
        """A product as a part of the routine; `weight` is the operand whose columns are its own."""
        width = weight.panel if weight else 0
        return self.schedule(flatten(split_last_axis(nest, width) if width else nest))

    def scratch(self, size: Dim, dtype: str = "float32") -> str:
        """A buffer of `size` elements that lives during one call."""
        name = f"scratch{len(self.scratches) or ''}"
        self.scratches.append(Argument(name, dtype, size, written=True))
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

    A merge sort of the indices from runs of one on (Knuth, volume 3, 5.2.4): each pass walks one
    half of the scratch memory and writes the other.
    """
    size = x.type.shape[axis]
    outer, index = _around(x.type.shape, axis)
    order, place = context.scratch(2 * size, "int32"), Axis("k", size)
    start = Store(order, _var(place), Index(_var(place)))
    found = Load(order, size * _at("turn", 1) + _var(place), "int32")
    there = _at("found", size - 1)
    result: Expr = Local("found", "int32") if positions else x(*index(there))
    return loops(outer, [
        *loops([place], [start]), Declare("turn", Const(0, "int32")),
        *_passes(size, _merge(order, size, lambda at: x(*index(at)), descending)),
        *loops([place], [Let("found", found), context.store(index(_var(place)), result)])])


def _at(local: str, high: Dim) -> Dim:
    """An index that a local holds, at most `high`."""
    return atom(Opaque(Local(local, "int32"), 0, high))


def _int(fn: str, *args: Expr | int | str) -> Expr:
    """Arithmetic on int32: numbers, and locals by name."""
    return call(fn, *(Local(a, "int32") if isinstance(a, str) else Const(a, "int32")
                      if isinstance(a, int) else a for a in args))


def _passes(size: Dim, merge: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """`merge` for runs of `width` elements, which doubles from 1 on until it reaches the size."""
    known = isinstance(size, int)
    level = Axis("level", (size - 1).bit_length() if isinstance(size, int) else MOST_PASSES)
    width = Let("width", _int("shift_left", 1, Index(_var(level))))
    body = merge if known else [If(_int("less", "width", Index(size)), tuple(merge))]
    return (For(level, (width, *body), 0, level.extent),) if level.extent != 0 else ()


MOST_PASSES = 30
"""Of a sort whose size is known at run time only; those that are not needed do nothing."""


def _merge(order: str, size: Dim, value: Callable[[Dim], Expr], descending: bool) -> list[Stmt]:
    """One pass: for each place the first of two runs' heads, the left one among equals."""
    step = Axis("p", size)
    p = Index(_var(step))
    inside = _int("bitwise_and", p, _int("sub", _int("shift_left", "width", 1), 1))
    start = _int("sub", p, "inside")

    def limited(at: Expr, most: Dim) -> Expr:
        return call("minimum", at, Index(most))
    middle = limited(_int("add", "begin", "width"), size)
    stop = limited(_int("add", "begin", _int("shift_left", "width", 1)), size)
    heads = [s for side in ("left", "right") for s in (
        Let(f"{side}At", limited(Local(side, "int32"), size - 1)),
        Let(f"{side}Id", Load(order, size * _at("turn", 1) + _at(f"{side}At", size - 1), "int32")),
        Let(f"{side}Value", value(_at(f"{side}Id", size - 1))))]
    dtype = value(_at("leftId", size - 1)).dtype
    before, _ = _order(Local("rightValue", dtype), Local("leftValue", dtype), descending)
    wins = call("logical_and", _int("less", "right", "stop"), before)
    chosen = call("logical_or", _int("greater_equal", "left", "middle"), wins)
    target = size * (1 - _at("turn", 1)) + _var(step)

    def take(side: str) -> tuple[Stmt, ...]:
        return (Store(order, target, Local(f"{side}Id", "int32")),
                Assign(side, _int("add", side, 1)))
    body: list[Stmt] = [
        Let("inside", inside), Let("begin", start), Let("middle", middle), Let("stop", stop),
        If(_int("equal", "inside", 0), (Assign("left", Local("begin", "int32")),
                                        Assign("right", Local("middle", "int32")))),
        *heads, If(chosen, take("right"), take("left"))]
    return [Declare("left", Const(0, "int32")), Declare("right", Const(0, "int32")),
            For(step, tuple(body), 0, size), Assign("turn", _int("sub", 1, "turn"))]


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
