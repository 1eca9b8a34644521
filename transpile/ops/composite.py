"""Composites: operators that are functions of other operators.

A composite is one `body`: NumPy-style maths over tracers. Its type rule and its expansion both
follow from tracing that body; only the NumPy reference is written a second time, by direct
formulas, so that tests compare two independent things.

Optional operands: the parameters of the body that default to None (after the required ones, before
the keyword-only attributes). A node holds only the operands that are there. They fill the body's
parameters in order; where one is left out before one that is given, the attribute `operands` holds
the names of the optional ones that are there, such as `operands=("bias",)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim
from transpile.ir.graph import Node, input_node
from transpile.ir.types import TensorType
from transpile.ops.registry import Composite, Op, Sample, register

Value = Any
"""A tracer inside a body; an array inside a reference."""

Body = Callable[..., Value]


def composite(name: str, body: Body, reference: Callable[..., Any],
              samples: Sequence[Sample]) -> Op:
    """Register an op whose type rule and expansion follow from `body`.

    Args:
        name: the op's name.
        body: `body(*tracers, **attrs)` gives a tracer; see the module's text for None defaults.
        reference: the same on arrays, written independently; float64 in gives float64 out.
        samples: what tests try.
    """
    @lru_cache(maxsize=4096)
    def cached(types: tuple[TensorType, ...], attrs: tuple[tuple[str, Any], ...]) -> TensorType:
        return expand(*(input_node(f"x{i}", t) for i, t in enumerate(types)), **dict(attrs)).type

    def infer(*types: TensorType, **attrs: Any) -> TensorType:
        return cached(types, tuple(sorted(attrs.items())))

    def expand(*nodes: Node, **attrs: Any) -> Node:
        return unwrap(bound(body, tuple(map(wrap, nodes)), attrs))

    def evaluate(*arrays: np.ndarray, **attrs: Any) -> np.ndarray:
        return np.asarray(bound(reference, arrays, attrs))

    evaluate.__doc__ = reference.__doc__
    OPERANDS[name] = _signature(body)
    return register(Op(name, infer, evaluate, Composite(expand), tuple(samples)))


def bound(function: Body, values: Sequence[Value], attrs: dict[str, Any]) -> Value:
    """Call `function` with its optional operands put where the attribute `operands` says."""
    rest = dict(attrs)
    given = rest.pop("operands", None)
    if given is None:
        return function(*values, **rest)
    count = len(values) - len(given)
    return function(*values[:count], **dict(zip(given, values[count:], strict=True)), **rest)


OPERANDS: dict[str, tuple[tuple[str, ...], int]] = {}
"""The operand names of each composite, and how many of them are required."""


def _signature(body: Body) -> tuple[tuple[str, ...], int]:
    """The positional parameters of a body are its operands; those with a default are optional."""
    operands = [p for p in inspect.signature(body).parameters.values()
                if p.kind is p.POSITIONAL_OR_KEYWORD]
    return tuple(p.name for p in operands), sum(p.default is p.empty for p in operands)


def present(name: str, operands: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The operands of a composite that are not None, and the attribute that tells which.

    There is no attribute where the first ones are given and the rest are not.
    """
    kept = [o for o in operands if o is not None]
    if all(o is not None for o in operands[:len(kept)]):
        return kept, {}
    names, required = OPERANDS[name]
    given = [n for n, o in zip(names, operands, strict=False) if o is not None]
    return kept, {"operands": tuple(given[required:])}


def wrap(node: Node) -> Value:
    """A tracer of `node`."""
    from transpile.frontends.tracer import Tracer
    return Tracer(node)


def unwrap(value: Value) -> Node:
    """The node of a tracer; numbers and arrays become constants."""
    from transpile.frontends.tracer import as_node
    return as_node(value)


def apply(name: str, *operands: Value, **attrs: Any) -> Value:
    """The op `name` on tracers, arrays or numbers, for what NumPy has no spelling of."""
    from transpile.frontends import tracer
    return tracer.apply(name, *operands, **attrs)


def size_of(dims: Sequence[Dim]) -> Value:
    """The product of sizes as something a tracer can be divided by.

    A number where it is known; otherwise a float32 scalar computed from the shapes at run time,
    the last element of `1, 2, ..., n`.
    """
    total: Value = 1
    for d in dims:
        total = total * (d if isinstance(d, int) else _runtime_size(d))
    return total


def _runtime_size(d: Dim) -> Value:
    count = apply("iota", shape=(d,), axis=0, dtype="float32")
    last = apply("slice", count, starts=(d - 1,), sizes=(1,), steps=(1,))
    return apply("reshape", last, shape=()) + 1.0


def normalise_axes(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative numbers; None means all."""
    given = range(rank) if axes is None else (axes,) if isinstance(axes, int) else axes
    if any(not -rank <= a < rank for a in given):
        raise ShapeError(f"axis {axes} is out of range for a tensor of rank {rank}",
                         fix=f"use -{rank} to {rank - 1}")
    return tuple(sorted({a % rank for a in given}))


def floating(x: np.ndarray) -> np.ndarray:
    """`x` itself if it holds floats, else as float32: what composites compute in."""
    array = np.asarray(x)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def as_float(x: Value) -> Value:
    """The same for a tracer."""
    return x if unwrap(x).dtype == "float32" else apply("cast", x, dtype="float32")


def static(size: Dim, what: str) -> int:
    """`size` as a number; ShapeError, saying what needs it, if it is symbolic."""
    if isinstance(size, int):
        return size
    raise ShapeError(f"{what} needs a fixed size, and {size} is known only at run time",
                     fix="give that dimension a number in the input's spec")
