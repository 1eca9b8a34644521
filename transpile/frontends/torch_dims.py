"""Named sizes for torch.export: example sizes to trace with, and its own names for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from transpile.ir.dims import Dim, evaluate, names
from transpile.ir.types import TensorType

TRIES = (2, 8, 32, 64, 224)
"""The first of the sizes tried; torch.export takes 0 and 1 for numbers."""


LARGEST = 1 << 24
"""What torch.export takes for the bound of a named size."""


def least_sizes(problem: Exception, known: Mapping[str, int]) -> dict[str, int]:
    """Lower bounds that torch.export suggests, and nothing else, so that a module exports.

    Returns:
        none if it asks for anything but bounds above the `known` ones.
    """
    text = str(problem)
    fixes = text.partition("Suggested fixes:")[2].strip().partition("\n\n")[0]
    found = [re.fullmatch(rf"\s*(\w+) = Dim\('\1', min=(\d+)(?:, max={LARGEST})?\)", line)
             for line in fixes.split("\n")]
    if not all(found) or re.search(r"guard (?!\d+ <= )", text):
        return {}
    least = {m[1]: int(m[2]) for m in found if m}
    return least if all(low > known.get(name, 1) for name, low in least.items()) else {}


def example_sizes(types: Mapping[str, TensorType]) -> Iterator[dict[str, int]]:
    """Sizes of the named dimensions to trace with; different ones, so that none look equal.

    Later ones are larger, for models whose windows do not fit into the first.
    """
    known = sorted({n for t in types.values() for n in t.names})
    for first in TRIES if known else (0,):
        yield {name: first + 2 * place for place, name in enumerate(known)}


def dynamic_shapes(types: Mapping[str, TensorType],
                   least: Mapping[str, int] = MappingProxyType({})) -> dict[str, Any] | None:
    """torch.export's description of the sizes that are named; None if there are none.

    Args:
        least: the smallest value of a named size, where that is not 1.
    """
    if not any(t.names for t in types.values()):
        return None
    import torch
    table: dict[str, Any] = {name: torch.export.Dim(name, min=low, max=LARGEST)
                             for name, low in least.items()}
    return {name: {axis: _size(d, table) for axis, d in enumerate(t.shape)
                   if not isinstance(d, int)} for name, t in types.items()}


def _size(d: Dim, table: dict[str, Any]) -> Any:
    """A size that is a linear function of one name; any other is left to torch.export."""
    import torch
    used = sorted(names(d))
    if len(used) != 1:
        return torch.export.Dim.AUTO
    name = used[0]
    base = table.setdefault(name, torch.export.Dim(name, min=1, max=LARGEST))
    start, one, two = (evaluate(d, {name: k}) for k in range(3))
    if two - one != one - start:
        return torch.export.Dim.AUTO
    scaled = base if one - start == 1 else (one - start) * base
    return scaled + start if start else scaled
