"""If, Loop and Scan: branches chosen or selected, loops with known counts written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.errors import TranspileError
from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_values import Known, Site, Tensor, Value, as_tracer

MAX_TRIPS = 4096
"""Loops are written out up to this many times."""


@onnx_op("If")
def if_(n: Site) -> Any:
    """One branch where the condition is known; else both are computed and one result chosen."""
    known = n.known(0)
    if known is not None:
        chosen = "then_branch" if bool(known.all()) else "else_branch"
        return tuple(n.importer.run_graph(n.required(chosen), n.env))
    try:
        then, other = (n.importer.run_graph(n.required(b), n.env)
                       for b in ("then_branch", "else_branch"))
        pairs = [(as_tracer(a, n), as_tracer(b, n)) for a, b in zip(then, other, strict=True)]
    except TranspileError:
        raise n.needs(0, "its condition") from None
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
        raise n.needs(0, "its condition, as the branches give different shapes,")
    condition = n[0].reshape(())
    return tuple(np.where(condition, a, b) for a, b in pairs)


@onnx_op("Loop")
def loop(n: Site) -> Any:
    body = n.required("body")
    state: list[Value] = list(n.inputs[2:])
    alive: Value = n.inputs[1] if n.has(1) else Known(np.asarray(True))
    trips = n.ints(0, "the number of trips")[0] if n.has(0) else None
    rows: list[list[Value]] = []
    done = 0
    while trips is None or done < trips:
        if not _is_true(n, alive):
            break
        if done >= MAX_TRIPS:
            raise n.refuse(f"more than {MAX_TRIPS} trips")
        results = n.importer.run_graph(body, n.env, [Known(np.asarray(done)), alive, *state])
        alive, state = results[0], results[1:1 + len(state)]
        rows.append(results[1 + len(state):])
        done += 1
    return (*state, *_stacked(n, body, len(state), rows))


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
    """A scan written out: the final states, then the stacked results of each step."""
    xs = [np.moveaxis(x, a, 0) for x, a in zip(xs, axes, strict=True)]
    count = xs[0].shape[0]
    if not isinstance(count, int) or count > MAX_TRIPS:
        raise n.refuse(f"{count} steps", f"the number must be fixed and at most {MAX_TRIPS}")
    rows: list[list[Tensor]] = []
    width = len(state)
    for t in range(count):
        step = [x[count - 1 - t if back else t] for x, back in zip(xs, turned, strict=True)]
        results = [as_tracer(v, n) for v in n.importer.run_graph(body, n.env, [*state, *step])]
        state = results[:width]
        rows.append(results[width:])
    found = []
    for k in range(len(rows[0])):
        column = [row[k] for row in rows]
        back = k < len(out_turned) and out_turned[k]
        axis = out_axes[k] if k < len(out_axes) else 0
        found.append(np.stack(column[::-1] if back else column, axis=axis))
    return [*state, *found]
