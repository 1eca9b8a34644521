"""Sequences and optional values whose length is known during import: Python lists of values."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.shapes import axis_attr
from transpile.frontends.onnx_values import Site, as_tracer


def items(n: Site, index: int = 0) -> list[Any]:
    """A sequence operand."""
    value = n.inputs[index]
    if not isinstance(value, list):
        raise n.refuse("its operand is no sequence")
    return value


def position(n: Site, index: int, length: int) -> int:
    """A place in a sequence, counted from the front; at the end where it is not given."""
    if not n.has(index):
        return length
    place = n.ints(index, "the position")[0]
    if not -length <= place <= length:
        raise n.refuse(f"the position {place} lies outside of a sequence of {length}")
    return place + length if place < 0 else place


@onnx_op("SequenceConstruct")
def construct(n: Site) -> Any:
    return list(n.inputs)


@onnx_op("SequenceEmpty")
def empty(n: Site) -> Any:  # noqa: ARG001 - all builders take the site
    return []


@onnx_op("SequenceInsert")
def insert(n: Site) -> Any:
    given = items(n)
    place = position(n, 2, len(given))
    return [*given[:place], n.inputs[1], *given[place:]]


@onnx_op("SequenceErase")
def erase(n: Site) -> Any:
    given = items(n)
    place = position(n, 1, len(given)) if n.has(1) else len(given) - 1
    return given[:place] + given[place + 1:]


@onnx_op("SequenceAt")
def at(n: Site) -> Any:
    given = items(n)
    place = position(n, 1, len(given))
    if place == len(given):
        raise n.refuse(f"a sequence of {place} has no element {place}")
    return given[place]


@onnx_op("SequenceLength")
def length(n: Site) -> Any:
    return np.asarray(len(items(n)), np.int64)


@onnx_op("ConcatFromSequence")
def concat(n: Site) -> Any:
    parts = [as_tracer(v, n) for v in items(n)]
    axis = int(n.required("axis"))
    return np.stack(parts, axis=axis) if n.attr("new_axis", 0) else np.concatenate(parts, axis)


@onnx_op("SplitToSequence")
def split(n: Site) -> Any:
    x = n[0]
    axis = axis_attr(n, x.ndim)
    size = x.shape[axis]
    given = n.known(1) if n.has(1) else np.asarray(1)
    if given is None or not isinstance(size, int):
        raise n.needs(1, "the sizes of the parts") if given is None else n.refuse(
            "the axis needs a fixed size")
    whole = given.ndim == 0
    step = int(given) if whole else 1
    sizes = [min(step, size - k) for k in range(0, size, step)] if whole else given.tolist()
    parts, start = [], 0
    for count in sizes:
        parts.append(x[(slice(None),) * axis + (slice(start, start + count),)])
        start += count
    if not n.has(1) and not n.attr("keepdims", 1):
        parts = [np.squeeze(p, axis) for p in parts]
    return parts


@onnx_op("SequenceMap")
def map_(n: Site) -> Any:
    """The body on each element; further sequences give theirs at the same place."""
    body = n.required("body")
    rows = []
    for place in range(len(items(n))):
        given = [v[place] if isinstance(v, list) else v for v in n.inputs]
        rows.append(n.importer.run_graph(body, n.env, given))
    return tuple([row[k] for row in rows] for k in range(len(body.output)))


@onnx_op("Optional", "OptionalGetElement")
def optional(n: Site) -> Any:
    if not n.has(0):
        raise n.refuse("an optional value without an element is not supported")
    return n.inputs[0]


@onnx_op("OptionalHasElement")
def has_element(n: Site) -> Any:
    return np.asarray(n.has(0))
