"""Hand-written loop nests for what has no closed form at one index: running sums, sorts, scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from transpile.ir.dims import Axis, Dim, Opaque, atom, axis, floordiv
from transpile.ir.types import TensorType
from transpile.lower.expr import Const, Expr, Index, Load, Local, call, cast
from transpile.lower.loops import combine_expr, identity
from transpile.lower.share import share
from transpile.lower.stmt import Argument, Assign, Declare, For, If, Let, Stmt, Store
from transpile.ops.registry import Accessor


def _unchanged(_index: Sequence[Dim], value: Expr) -> Expr:
    return value


@dataclass(frozen=True)
class RoutineContext:
    """Where a routine writes: the output's argument and type, and what is done on the way."""

    out: Argument
    type: TensorType
    offset: Callable[[Sequence[Dim]], Dim]
    epilogue: Callable[[Sequence[Dim], Expr], Expr] = _unchanged
    scratches: list[Argument] = field(default_factory=list)

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


def _scan(steps: Dim, reverse: bool, step: Callable[[Dim, Dim | None], Sequence[Stmt]]
          ) -> tuple[Stmt, ...]:
    """The first step from the initial state, then a loop whose state is the last step's output."""
    def time(t: Dim) -> Dim:
        return steps - 1 - t if reverse else t
    first = tuple(step(time(0), None))
    if steps == 1:
        return first
    later = Axis("t", steps)
    t = _var(later)
    return (*first, For(later, tuple(step(time(t), time(t - 1))), 1, steps))


@dataclass(frozen=True)
class _Units:
    """The hidden units of a recurrent layer, in blocks where its weight lies in blocks."""

    weight: Accessor
    hidden: Dim

    @property
    def width(self) -> Dim:
        return self.weight.type.shape[3] if self.weight.type.rank == 4 else self.hidden

    @property
    def axes(self) -> list[Axis]:
        return [Axis("block", floordiv(self.hidden, self.width)), Axis("j", self.width)]

    @property
    def unit(self) -> Dim:
        block, j = map(_var, self.axes)
        return block * self.width + j

    def at(self, k: Dim, gate: int) -> Expr:
        """The weight from state `k` to a gate of this unit."""
        block, j = map(_var, self.axes)
        if self.weight.type.rank == 4:
            return self.weight(block, k, gate, j)
        return self.weight(k, j + self.hidden * gate)


def _gate_sums(units: _Units, state: Callable[[Dim], Expr], gates: int
               ) -> tuple[list[Stmt], list[Expr]]:
    """The recurrent products of every gate of one unit, in one loop over the state."""
    inner = Axis("k", units.hidden)
    k = _var(inner)
    sums = [Local(f"sum{g}") for g in range(gates)]
    grow = [Assign(s.name, call("add", s, call("mul", state(k), units.at(k, g))))
            for g, s in enumerate(sums)]
    declare: list[Stmt] = [Declare(s.name, Const(0.0)) for s in sums]
    return [*declare, *loops([inner], share(grow))], list(sums)


def build_lstm(context: RoutineContext, gates: Accessor, w_hh: Accessor, h0: Accessor,
               c0: Accessor, *, reverse: bool = False) -> tuple[Stmt, ...]:
    """An LSTM over time; the input's part of the gates is ready (Hochreiter, Schmidhuber 1997).

    Output [T, B, 2H] holds h and c of every step; gates come in the order i, f, g, o.
    """
    steps, batch, _ = gates.type.shape
    hidden = h0.type.shape[1]
    units, lane = _Units(w_hh, hidden), Axis("n", batch)
    n, j = _var(lane), units.unit

    def step(t: Dim, last: Dim | None) -> tuple[Stmt, ...]:
        def state(k: Dim) -> Expr:
            return h0(n, k) if last is None else context.load((last, n, k))
        body, sums = _gate_sums(units, state, 4)
        total = [call("add", s, gates(t, n, j + hidden * g)) for g, s in enumerate(sums)]
        cell = c0(n, j) if last is None else context.load((last, n, j + hidden))
        i, f, o = (call("sigmoid", total[g]) for g in (0, 1, 3))
        new = call("add", call("mul", f, cell), call("mul", i, call("tanh", total[2])))
        kept = Local("cell")
        body += [Let("cell", new), context.store((t, n, j + hidden), kept),
                 context.store((t, n, j), call("mul", o, call("tanh", kept)))]
        return loops([lane, *units.axes], body)
    return _scan(steps, reverse, step)


def build_gru(context: RoutineContext, gates: Accessor, w_hh: Accessor, b_hh: Accessor,
              h0: Accessor, *, reverse: bool = False) -> tuple[Stmt, ...]:
    """A GRU over time, the reset gate applied after the recurrent product (Cho et al. 2014).

    Output [T, B, H]; gates come in the order r, z, n.
    """
    steps, batch, _ = gates.type.shape
    hidden = h0.type.shape[1]
    units, lane = _Units(w_hh, hidden), Axis("n", batch)
    n, j = _var(lane), units.unit

    def step(t: Dim, last: Dim | None) -> tuple[Stmt, ...]:
        def state(k: Dim) -> Expr:
            return h0(n, k) if last is None else context.load((last, n, k))
        body, sums = _gate_sums(units, state, 3)
        own = [call("add", s, b_hh(j + hidden * g)) for g, s in enumerate(sums)]
        r, z = (call("sigmoid", call("add", own[g], gates(t, n, j + hidden * g)))
                for g in (0, 1))
        new = call("tanh", call("add", gates(t, n, j + hidden * 2), call("mul", r, own[2])))
        body += [Let("update", z), Let("fresh", new)]
        update, fresh = Local("update"), Local("fresh")
        mixed = call("add", fresh, call("mul", update, call("sub", state(j), fresh)))
        body.append(context.store((t, n, j), mixed))
        return loops([lane, *units.axes], body)
    return _scan(steps, reverse, step)


