"""How a function of `transpile.nn` runs: on arrays at once, on tracers as a node of the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.tracer import Tracer, apply
from transpile.ops.composite import present
from transpile.ops.registry import get

Array = Any
"""An array (or what NumPy makes one of), or a tracer."""


def call(op: str, *operands: Array, **attrs: Any) -> Array:
    """The op `op`: a node if some operand is a tracer, otherwise its NumPy reference.

    Operands that are None are left out.
    """
    values, given = present(op, operands)
    if any(isinstance(v, Tracer) for v in values):
        return apply(op, *values, **attrs, **given)
    return get(op).reference(*map(np.asarray, values), **attrs, **given)


def plain(value: Any) -> Any:
    """An attribute as immutable data: lists become tuples."""
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value
