"""If, Loop and Scan: known ones written out, short ones too; all others become regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from transpile.errors import TranspileError, UnsupportedError
from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_protos import BOOL, INT64, variable_name
from transpile.frontends.onnx_values import (
    Known,
    Site,
    Tensor,
    Value,
    ValueNeededError,
    as_tracer,
)
from transpile.frontends.regions import empty_rows, traced_branch, traced_loop, with_row
from transpile.frontends.tracer import Tracer, apply, as_node
from transpile.ir.dims import Dim
from transpile.ir.graph import Node, constant, input_node, topological
from transpile.ir.types import TensorType
from transpile.ops.control import ENDLESS
from transpile.ops.registry import Pointwise, get

SHORT = 8
"""Loops of up to so many trips are written out."""

MAX_TRIPS = 4096
"""Those that can be nothing else are written out up to this many times."""

CHEAP = 4096
"""Elements that both sides of a branch may compute together, to choose between them afterwards."""


class LongLoopError(UnsupportedError):
    """A loop is not written out, as it has too many trips."""


@onnx_op("If")
def if_(n: Site) -> Any:
    """One side where the condition is known; else a branch, or both where they cost little."""
    known = n.known(0)
    if known is not None:
        chosen = "then_branch" if bool(known.all()) else "else_branch"
        return tuple(n.importer.run_graph(n.required(chosen), n.env))
    try:
        with n.importer.restored():
            sides = [[as_tracer(v, n) for v in n.importer.run_graph(n.required(b), n.env)]
                     for b in ("then_branch", "else_branch")]
    except TranspileError as error:
        raise n.needs(0, "its condition") from error
    then, other = sides
    if [t.node.type for t in then] != [t.node.type for t in other]:
        raise n.needs(0, "its condition, as the branches give different shapes,")
    outer = set(topological([v.node for v in n.env.values() if isinstance(v, Tracer)]))
    condition = n[0].reshape(())
    nodes = [[t.node for t in side] for side in sides]
    if _cheap(nodes[0] + nodes[1], outer):
        return tuple(np.where(condition, a, b) for a, b in zip(then, other, strict=True))
    found = traced_branch(condition.node, nodes[0], nodes[1], outer)
    return _noted(n, found, [n.importer.elem_of(t) for t in then])


def _cheap(results: Sequence[Node], outer: set[Node]) -> bool:
    """True if what is computed inside is elementwise and small."""
    inside = [n for n in topological(results) if n not in outer and not n.is_constant]
    if any(not isinstance(get(n.op).form, Pointwise) for n in inside):
        return False
    total: Dim = sum((n.type.size for n in inside), 0)
    return isinstance(total, int) and total <= CHEAP


def _noted(n: Site, values: Sequence[Tracer], elems: Sequence[int]) -> tuple[Tracer, ...]:
    """Results with their names and element types."""
    names = [variable_name(name) for name in n.outputs] + [""] * len(values)
    named = [Tracer(v.node.named(name)) for v, name in zip(values, names, strict=False)]
    for value, elem in zip(named, elems, strict=False):
        n.importer.note(value, elem)
    return tuple(named)


@onnx_op("Loop")
def loop(n: Site) -> Any:
    """Written out if it is short or known; else a loop."""
    return _first_that_works(n, lambda most: written_out(n, most), lambda: looped(n))


def _first_that_works(n: Site, written: Callable[[int], Any], real: Callable[[], Any]) -> Any:
    """A short loop written out, else a real one, else even a long one written out."""
    try:
        with n.importer.restored():
            return written(SHORT)
    except TranspileError:
        pass
    try:
        with n.importer.restored():
            return real()
    except TranspileError as error:
        try:
            return written(MAX_TRIPS)
        except LongLoopError:
            raise error from None
        except ValueNeededError as needed:
            raise ValueNeededError(f"{needed.what}, as it cannot be a loop: {error.what}",
                                   needed.inputs, where=needed.where) from None


def written_out(n: Site, most: int) -> Any:
    """The results of a loop, trip by trip.

    Raises:
        LongLoopError: there are more than `most` trips, and not all they give is known.
        ValueNeededError: how many there are depends on values.
    """
    body = n.required("body")
    state: list[Value] = list(n.inputs[2:])
    alive: Value = n.inputs[1] if n.has(1) else Known(np.asarray(True))
    trips = n.ints(0, "the number of trips")[0] if n.has(0) else None
    rows: list[list[Value]] = []
    while (trips is None or len(rows) < trips) and _is_true(n, alive):
        results = n.importer.run_graph(body, n.env, [Known(np.asarray(len(rows))), alive, *state])
        alive, state = results[0], results[1:1 + len(state)]
        rows.append(results[1 + len(state):])
        known = not any(isinstance(v, Tracer) for v in results)
        if len(rows) >= (MAX_TRIPS if known else most) and trips != len(rows):
            raise LongLoopError(f"{n.op}: more than {len(rows)} trips", where=n.label)
    return (*state, *_stacked(n, body, len(state), rows))


def looped(n: Site) -> Any:
    """The results of a loop whose trips are counted at run time."""
    body = n.required("body")
    first = [as_tracer(v, n) for v in n.inputs[2:]]
    alive = n[1].reshape(()) if n.has(1) else Tracer(constant(np.asarray(True)))
    limit, count = _limit(n)
    trip, inputs = _state(INT64, "trip", n), [
        _state(elem, info.name, n, t.node.type) for t, elem, info in
        zip(first, n.elems[2:], body.input[2:], strict=True)]
    results = n.importer.run_graph(body, n.env, [trip, Known(np.asarray(True)), *inputs])
    goes_on, following = results[0], [as_tracer(v, n) for v in results[1:1 + len(first)]]
    rows = [as_tracer(v, n) for v in results[1 + len(first):]]
    if rows and not (count is not None and _always(alive) and _always(as_tracer(goes_on, n))):
        raise n.refuse("the number of rows that it collects depends on values",
                       "the shape of a result must be known before the module runs")
    states = [(alive, _state(BOOL, "alive", n, TensorType("bool", ())),
               as_tracer(goes_on, n).reshape(())), *zip(first, inputs, following, strict=True)]
    found = _loop_over(trip, limit, count, states, rows)
    return _noted(n, found[1:], n.elems[2:])


def _loop_over(trip: Tracer, limit: Node, count: Dim | None,
               states: Sequence[tuple[Tracer, Tracer, Tracer]], rows: Sequence[Tracer]
               ) -> list[Tracer]:
    """The last states, then the rows; a state is its first value, its input, its next value."""
    first, inputs, following = ([t.node for t in column] for column in zip(*states, strict=True))
    for k, row in enumerate(rows):
        empty = empty_rows(count, row.node.type)
        inputs.append(input_node(f"rows{k}", empty.type))
        first.append(empty)
        following.append(with_row(inputs[-1], row.node, trip.node))
    return traced_loop(limit, first, [trip.node, *inputs], following)


def _limit(n: Site) -> tuple[Node, Dim | None]:
    """How many trips there are at most, as a node, and as a size if it is known."""
    if not n.has(0):
        return constant(np.int32(ENDLESS)), None
    known = n.known(0)
    if known is None:
        return n[0].reshape(()).astype(np.int32).node, None
    count = n.sizes(0, "the number of trips")[0]
    return _count_node(count), count


def _count_node(count: Dim) -> Node:
    if isinstance(count, int):
        return constant(np.int32(max(0, min(count, ENDLESS))))
    return as_node(count)


def _state(elem: int, name: str, n: Site, type_: TensorType | None = None) -> Tracer:
    """What stands for a value that is another one in each trip."""
    tracer = Tracer(input_node(name, type_ or TensorType("int32", ())))
    n.importer.note(tracer, elem)
    return tracer


def _always(condition: Tracer) -> bool:
    node = condition.node
    return node.is_constant and bool(node.value.all())


def _is_true(n: Site, condition: Value) -> bool:
    """The loop's condition, which must be known before the module runs."""
    if isinstance(condition, Known):
        return bool(condition.array.all())
    probe = Site(n.op, n.version, [condition], n.attrs, n.outputs, n.label, n.importer, n.env, [0])
    return bool(probe.array(0, "how often it runs").all())


def _stacked(n: Site, body: Any, count: int, rows: list[list[Value]]) -> list[Value]:
    """What each trip gave, one below the other."""
    wanted = len(body.output) - 1 - count
    if not rows:
        return [_empty(body.output[1 + count + k]) for k in range(wanted)]
    stack: Any = np.stack
    return [stack([as_tracer(row[k], n) for row in rows]) for k in range(wanted)]


def _empty(info: Any) -> Known:
    from transpile.frontends.onnx_protos import inner_dtype
    tensor = info.type.tensor_type
    shape = [0, *(d.dim_value for d in tensor.shape.dim)]
    return Known(np.zeros(shape, inner_dtype(tensor.elem_type, f"the result {info.name!r}")))


@onnx_op("Scan")
def scan_old(n: Site) -> Any:
    """Opset 8: every operand has a batch axis, and the first one holds lengths."""
    if n.has(0):
        raise n.refuse("sequence lengths are not supported in opset 8")
    body, count = n.required("body"), int(n.required("num_scan_inputs"))
    operands = [n[i] for i in range(1, len(n))]
    batch = operands[0].shape[0]
    if not isinstance(batch, int):
        raise n.refuse("opset 8 needs a fixed batch")
    split = len(operands) - count
    turned = n.attr("directions", (0,) * count)
    each = [scanned(n, body, [x[b] for x in operands[:split]], [x[b] for x in operands[split:]],
                    turned, (0,) * count, (), ()) for b in range(batch)]
    return tuple(np.stack(list(column)) for column in zip(*each, strict=True))


@onnx_op("Scan", since=9)
def scan(n: Site) -> Any:
    body, count = n.required("body"), int(n.required("num_scan_inputs"))
    operands = n.all()
    split = len(operands) - count
    return tuple(scanned(n, body, operands[:split], operands[split:],
                         n.attr("scan_input_directions", (0,) * count),
                         n.attr("scan_input_axes", (0,) * count),
                         n.attr("scan_output_directions", ()), n.attr("scan_output_axes", ())))


def scanned(n: Site, body: Any, state: list[Tensor], xs: list[Tensor], turned: Any, axes: Any,
            out_turned: Any, out_axes: Any) -> list[Tensor]:
    """A scan: the final states, then the stacked results of each step."""
    xs = [np.moveaxis(x, a, 0) for x, a in zip(xs, axes, strict=True)]
    count = xs[0].shape[0]
    if not isinstance(count, int):  # what is counted from the end is turned as a whole
        xs = [np.flip(x, 0) if back else x for x, back in zip(xs, turned, strict=True)]
        turned = (0,) * len(xs)
    found = _first_that_works(n, lambda most: _written_scan(n, body, state, xs, turned, most),
                              lambda: _looped_scan(n, body, state, xs, turned))
    rows = []
    for k, row in enumerate(found[len(state):]):
        back = k < len(out_turned) and out_turned[k]
        axis = out_axes[k] if k < len(out_axes) else 0
        rows.append(np.moveaxis(np.flip(row, 0) if back else row, 0, axis))
    return [*found[:len(state)], *rows]


def _written_scan(n: Site, body: Any, state: list[Tensor], xs: list[Tensor], turned: Any,
                  most: int) -> list[Tensor]:
    """A scan written out step by step."""
    count, width = xs[0].shape[0], len(state)
    if not isinstance(count, int) or not 0 < count <= most:
        raise LongLoopError(f"{n.op}: {count} steps", where=n.label)
    rows: list[list[Tensor]] = []
    for t in range(count):
        step = [x[count - 1 - t if back else t] for x, back in zip(xs, turned, strict=True)]
        results = [as_tracer(v, n) for v in n.importer.run_graph(body, n.env, [*state, *step])]
        state = results[:width]
        rows.append(results[width:])
    stack: Any = np.stack
    return [*state, *(stack(list(column)) for column in zip(*rows, strict=True))]


def _looped_scan(n: Site, body: Any, state: list[Tensor], xs: list[Tensor], turned: Any
                 ) -> list[Tensor]:
    count, width = xs[0].shape[0], len(state)
    elems = [n.importer.elem_of(s) for s in state]
    trip, inputs = _state(INT64, "trip", n), [
        _state(elem, info.name, n, s.node.type) for s, elem, info in
        zip(state, elems, body.input, strict=False)]
    step = [apply("take", x, count - 1 - trip if back else trip, axis=0)
            for x, back in zip(xs, turned, strict=True)]
    for x, part in zip(xs, step, strict=True):
        n.importer.note(part, n.importer.elem_of(x))
    results = [as_tracer(v, n) for v in n.importer.run_graph(body, n.env, [*inputs, *step])]
    yes = Tracer(constant(np.asarray(True)))
    states = [(yes, _state(BOOL, "alive", n, TensorType("bool", ())), yes),
              *zip(state, inputs, results[:width], strict=True)]
    found = _loop_over(trip, _count_node(count), count, states, results[width:])
    return list(_noted(n, found[1:], elems))
