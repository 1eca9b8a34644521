"""Named sizes for torch.export: example sizes to trace with, and its own names for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transpile.ir.dims import Dim, evaluate, names
from transpile.ir.types import TensorType

TRIES = (2, 8, 32, 64, 224)
"""The first of the sizes tried; torch.export takes 0 and 1 for numbers."""


def example_sizes(types: Mapping[str, TensorType]) -> Iterator[dict[str, int]]:
    """Sizes of the named dimensions to trace with; different ones, so that none look equal.

    Later ones are larger, for models whose windows do not fit into the first.
    """
    known = sorted({n for t in types.values() for n in t.names})
    for first in TRIES if known else (0,):
        yield {name: first + 2 * place for place, name in enumerate(known)}


def dynamic_shapes(types: Mapping[str, TensorType]) -> dict[str, Any] | None:
    """torch.export's description of the sizes that are named; None if there are none."""
    if not any(t.names for t in types.values()):
        return None
    table: dict[str, Any] = {}
    return {name: {axis: _size(d, table) for axis, d in enumerate(t.shape)
                   if not isinstance(d, int)} for name, t in types.items()}


def _size(d: Dim, table: dict[str, Any]) -> Any:
    """A size that is a linear function of one name; any other is left to torch.export."""
    import torch
    used = sorted(names(d))
    if len(used) != 1:
        return torch.export.Dim.AUTO
    name = used[0]
    base = table.setdefault(name, torch.export.Dim(name, min=1, max=1 << 24))
    start, one, two = (evaluate(d, {name: k}) for k in range(3))
    if two - one != one - start:
        return torch.export.Dim.AUTO
    scaled = base if one - start == 1 else (one - start) * base
    return scaled + start if start else scaled
