"""Recurrent layers over time as loops, see `ops/recurrence.py`.

A step is the product of the hidden state with the recurrent weight, into scratch memory, and then
the cell's arithmetic for one unit after the other, which may so change the states in place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from transpile.ir.dims import Axis, Dim, axis
from transpile.lower.expr import Const, Expr, Load, Local, call
from transpile.lower.routine import RoutineContext
from transpile.lower.scalar import rows_in_registers
from transpile.lower.share import share
from transpile.lower.stmt import Assign, Declare, For, Let, Stmt, Store
from transpile.ops.recurrence import CELLS, Activation, activation
from transpile.ops.registry import Accessor


def states_at_once(width: int) -> int:
    """States in one step of the product's loop, two at most, beside `width` totals."""
    return max(1, min(2, rows_in_registers(width)))


def _relu(x: Expr) -> Expr:
    return call("maximum", x, 0.0)


def _scaled(x: Expr, factor: float) -> Expr:
    return call("mul", x, factor)


def _line(x: Expr, slope: float, offset: float) -> Expr:
    return call("add", _scaled(x, slope), offset)


def _softplus(x: Expr) -> Expr:
    small = call("exp", call("neg", call("abs", x)))
    return call("add", _relu(x), call("log1p", small))


def _unit(x: Expr) -> Expr:
    return call("minimum", _relu(x), 1.0)


def _elu(x: Expr, a: float) -> Expr:
    below = _scaled(call("expm1", call("minimum", x, 0.0)), a)
    return call("select", call("less", x, 0.0), below, x)


FUNCTIONS: dict[str, Callable[..., Expr]] = {
    "sigmoid": lambda x: call("sigmoid", x), "tanh": lambda x: call("tanh", x),
    "relu": _relu, "affine": _line, "elu": _elu, "softplus": _softplus,
    "leakyrelu": lambda x, a: call("select", call("less", x, 0.0), _scaled(x, a), x),
    "thresholdedrelu": lambda x, a: call("select", call("greater", x, a), x, Const(0.0)),
    "scaledtanh": lambda x, a, b: _scaled(call("tanh", _scaled(x, b)), a),
    "hardsigmoid": lambda x, a, b: _unit(_line(x, a, b)),
    "softsign": lambda x: call("div", x, call("add", call("abs", x), 1.0))}
"""The activations of a cell by name, see `ops/recurrence.py`."""

ALIVE = Local("alive", "bool")
"""False where a step is masked."""


def _var(a: Axis) -> Dim:
    return axis(a.name, a.extent)


def _number(size: Dim) -> int:
    assert isinstance(size, int)
    return size


@dataclass
class _Layer:
    """One layer in the making.

    Attributes:
        extra: what comes after the states: a bias, or peepholes.
        mask: what a step gives that is masked: "zero", or "hold"; "" where none is.
        panel: how the weight lies, see `ops/recurrence.py`.
        functions: activations, in the order of ONNX.
        unit: the hidden unit that the cell's arithmetic is for.
        at: time and row of the batch.
    """

    context: RoutineContext
    gates: Accessor
    weight: Accessor
    states: Sequence[Accessor]
    extra: Sequence[Accessor]
    functions: Sequence[Activation]
    clip: float
    coupled: bool
    mask: str
    panel: int
    scratches: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hidden = _number(self.states[0].type.shape[1])
        self.axis = Axis("j", self.hidden)
        self.unit = _var(self.axis)
        self.at: tuple[Dim, Dim] = (0, 0)

    def scratch(self, name: str, size: int | None = None) -> str:
        """A buffer of one value for each unit, the same for the same name."""
        if name not in self.scratches:
            self.scratches[name] = self.context.scratch(size or self.hidden)
        return self.scratches[name]

    def state(self, name: str) -> Load:
        return Load(self.scratch(name), self.unit)

    def keep(self, name: str, value: Expr) -> Store:
        """The next state; the old one where the step is masked."""
        if self.mask:
            value = call("select", ALIVE, value, self.state(name))
        return Store(self.scratch(name), self.unit, value)

    def apply(self, place: int, value: Expr) -> Expr:
        """An activation by its place, of a value clipped before."""
        if self.clip:
            value = call("minimum", call("maximum", value, -self.clip), self.clip)
        return self.bare(place, value)

    def bare(self, place: int, value: Expr) -> Expr:
        name, *parameters = self.functions[place]
        return FUNCTIONS[name](value, *parameters)

    def given(self, gate: int) -> Expr:
        """The input's part of a gate."""
        return self.gates(*self.at, self.unit + self.hidden * gate)

    def product_of(self, gate: int) -> Expr:
        """The state's part of a gate, once it is computed."""
        return Load(self.sums, self.unit + self.hidden * gate)

    def gate(self, gate: int) -> Expr:
        return call("add", self.product_of(gate), self.given(gate))

    # ---- the product

    @property
    def sums(self) -> str:
        return self.scratch("sums", _number(self.weight.type.size) // self.hidden)

    def product(self, source: str, first: int, last: int) -> Iterator[Stmt]:
        """Gates of a vector's product with the weight, from one on and before another."""
        if not self.panel:
            def column(gate: int) -> Dim:
                return self.unit + self.hidden * (first + gate)
            yield _loop(self.axis, self._columns(
                source, last - first, column, lambda k, gate: self.weight(k, column(gate))))
            return
        rows, lanes = map(_number, self.weight.type.shape)
        vectors = rows // self.hidden
        start, stop = first * self.hidden // lanes, -(-last * self.hidden // lanes)
        whole, rest = divmod(vectors, self.panel)
        panels = range(start // self.panel, min(whole, -(-stop // self.panel)))
        if panels:
            panel = Axis("panel", panels.stop)
            body = self._panel(source, _var(panel) * self.panel, self.panel)
            yield For(panel, (body,), panels.start, panels.stop)
        if stop > vectors - rest:
            yield self._panel(source, vectors - rest, rest)

    def _panel(self, source: str, at: Dim, width: int) -> Stmt:
        """The columns of a panel that begins with vector `at`."""
        lane = Axis("j", self.weight.type.shape[1])
        j, before = _var(lane), at * self.hidden
        return _loop(lane, self._columns(
            source, width, lambda s: (at + s) * lane.extent + j,
            lambda k, s: self.weight(before + k * width + s, j)))

    def _columns(self, source: str, count: int, column: Callable[[int], Dim],
                 weight: Callable[[Dim, int], Expr]) -> list[Stmt]:
        """Some columns of the product, all of them in one loop over the state."""
        def grow(states: Sequence[Dim]) -> list[Stmt]:
            return [Assign(f"sum{s}", call("add", Local(f"sum{s}"), functools.reduce(
                partial(call, "add"), [call("mul", Load(source, k), weight(k, s))
                                       for k in states]))) for s in range(count)]
        step = states_at_once(count)
        whole = self.hidden - self.hidden % step
        k = Axis("k", whole - step + 1)
        result: list[Stmt] = [Declare(f"sum{s}", Const(0.0)) for s in range(count)]
        if whole:
            body = grow([_var(k) + u for u in range(step)])
            result.append(For(k, share(body), 0, whole, step))
        result += [s for rest in range(whole, self.hidden) for s in grow([rest])]
        return result + [Store(self.sums, column(s), Local(f"sum{s}")) for s in range(count)]


def _loop(over: Axis, body: Sequence[Stmt]) -> For:
    return For(over, tuple(body), 0, over.extent)


def _lstm(layer: _Layer) -> Iterator[Stmt]:
    """Hochreiter, Schmidhuber 1997; with peepholes Gers, Schmidhuber 2000.

    A loop for the cells and one for the states: short bodies overlap better in a processor.
    """
    yield from layer.product(layer.scratch("h"), 0, 4)
    cell = layer.state("c")
    i, f, g, o = map(layer.gate, range(4))
    if layer.extra:
        at_i, at_o, at_f = (layer.extra[0](layer.unit + layer.hidden * k) for k in range(3))
        i, f = (call("add", x, call("mul", p, cell)) for x, p in ((i, at_i), (f, at_f)))
        o = call("add", o, call("mul", at_o, cell))
    add_new = layer.apply(0, i)
    keep = call("sub", Const(1.0), add_new) if layer.coupled else layer.apply(0, f)
    yield _loop(layer.axis, [layer.keep("c", call(
        "add", call("mul", keep, cell), call("mul", add_new, layer.apply(1, g))))])
    yield _loop(layer.axis, [
        Let("hidden", call("mul", layer.apply(0, o), layer.bare(2, cell))),
        *_results(layer, Local("hidden"))])


def _gru(layer: _Layer) -> Iterator[Stmt]:
    """Cho et al. 2014, the reset gate applied after the recurrent product."""
    yield from layer.product(layer.scratch("h"), 0, 3)
    inner = call("add", layer.product_of(2), layer.extra[0](layer.unit))
    new = call("add", layer.given(2), call("mul", layer.apply(0, layer.gate(0)), inner))
    yield _loop(layer.axis, _mixed(layer, layer.apply(0, layer.gate(1)), layer.apply(1, new)))


def _gru_before(layer: _Layer) -> Iterator[Stmt]:
    """The same with the reset gate applied to the state, before the product."""
    yield from layer.product(layer.scratch("h"), 0, 2)
    reset = call("mul", layer.apply(0, layer.gate(0)), layer.state("h"))
    yield _loop(layer.axis, [
        Store(layer.scratch("reset"), layer.unit, reset),
        Store(layer.scratch("update"), layer.unit, layer.apply(0, layer.gate(1)))])
    yield from layer.product(layer.scratch("reset"), 2, 3)
    yield _loop(layer.axis, _mixed(layer, layer.state("update"), layer.apply(1, layer.gate(2))))


def _mixed(layer: _Layer, update: Expr, fresh: Expr) -> list[Stmt]:
    """What is new and the old state, weighed by the update gate."""
    new = Local("fresh")
    old = call("mul", update, call("sub", layer.state("h"), new))
    return [Let("fresh", fresh), Let("hidden", call("add", new, old)),
            *_results(layer, Local("hidden"))]


def _rnn(layer: _Layer) -> Iterator[Stmt]:
    """Elman 1990."""
    yield from layer.product(layer.scratch("h"), 0, 1)
    yield _loop(layer.axis, [Let("hidden", layer.apply(0, layer.gate(0))),
                             *_results(layer, Local("hidden"))])


def _results(layer: _Layer, hidden: Expr) -> list[Stmt]:
    """The step's result and its state."""
    result = hidden
    if layer.mask:
        other = Const(0.0) if layer.mask == "zero" else layer.state("h")
        result = call("select", ALIVE, hidden, other)
    return [layer.context.store((*layer.at, layer.unit), result), layer.keep("h", hidden)]


STEPS: dict[str, Callable[[_Layer], Iterator[Stmt]]] = {
    "lstm": _lstm, "gru": _gru, "gru_before": _gru_before, "rnn": _rnn}


def build_recurrence(context: RoutineContext, gates: Accessor, weight: Accessor,
                     *rest: Accessor, cell: str, activations: Sequence[Activation] = (),
                     clip: float = 0.0, coupled: bool = False, peepholes: bool = False,
                     mask: str = "", reverse: bool = False, panel: int = 0) -> tuple[Stmt, ...]:
    """For each row of the batch the loop over time, its states in scratch memory.

    Output [T+S, B, H] holds the hidden states of all steps, then the S last states.
    """
    del peepholes
    kind = CELLS[cell]
    states, extra = rest[:kind.states], list(rest[kind.states:])
    alive = extra.pop() if mask else None
    functions = activations or [activation(name) for name in kind.activations]
    layer = _Layer(context, gates, weight, states, extra, functions, clip, coupled, mask, panel)
    steps, batch = gates.type.shape[:2]
    row, time = Axis("n", batch), Axis("t", steps)
    n, t = _var(row), _var(time)
    t = steps - 1 - t if reverse else t
    layer.at = (t, n)
    names = "hc"[:kind.states]
    first = [Store(layer.scratch(name), layer.unit, state(n, layer.unit))
             for name, state in zip(names, states, strict=True)]
    last = [context.store((steps + k, n, layer.unit), layer.state(name))
            for k, name in enumerate(names)]
    step = [Let(ALIVE.name, alive(t, n))] if alive else []
    return (_loop(row, [_loop(layer.axis, first), _loop(time, [*step, *STEPS[cell](layer)]),
                        _loop(layer.axis, last)]),)
