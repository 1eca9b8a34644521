"""Named sizes for torch.export: example sizes to trace with, and its own names for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from transpile.ir.dims import Dim, evaluate, names
from transpile.ir.types import TensorType

TRIES = (2, 8, 32, 64, 224)
"""The first of the sizes tried; torch.export takes 0 and 1 for numbers."""

TRIES_WITH_BOUNDS = (32, 64, 8)
"""Those for which windows fit into an image, and one that fits into a short table."""


LARGEST = 1 << 24
"""What torch.export takes for the bound of a named size."""


Bounds = Mapping[str, "tuple[int, int]"]
"""The smallest and the largest value of named sizes."""

ANY = (1, LARGEST)
"""What is no bound."""


def suggested_bounds(problem: Exception, known: Bounds) -> dict[str, tuple[int, int]]:
    """Bounds that torch.export suggests, and nothing else, so that a module exports.

    Returns:
        none if it asks for anything but bounds inside the `known` ones.
    """
    fixes = str(problem).partition("Suggested fixes:")[2].strip().partition("\n\n")[0]
    found = {}
    for line in fixes.split("\n"):
        match = re.fullmatch(r"\s*(\w+) = Dim\('\1'(?:, min=(\d+))?(?:, max=(\d+))?\)", line)
        if match is None:
            return {}
        old = known.get(match[1], ANY)
        new = max(int(match[2] or 1), old[0]), min(int(match[3] or LARGEST), old[1])
        if new == old:
            return {}
        found[match[1]] = new
    return {} if re.search(r"guard (?!\d+ <= |.* <= \d+$)", str(problem), re.MULTILINE) else found


def beyond(bounds: Bounds, known: Bounds) -> Iterator[tuple[str, int]]:
    """Names with a value that is just outside of bounds but inside of the `known` ones."""
    for name, (low, high) in bounds.items():
        least, most = known.get(name, ANY)
        if low > least:
            yield name, low - 1
        if high < most:
            yield name, high + 1


def example_sizes(types: Mapping[str, TensorType], tries: Sequence[int] = TRIES
                  ) -> Iterator[dict[str, int]]:
    """Sizes of the named dimensions to trace with; different ones, so that none look equal.

    Later ones are larger, for models whose windows do not fit into the first.
    """
    known = sorted({n for t in types.values() for n in t.names})
    for first in tries if known else (0,):
        yield {name: first + 2 * place for place, name in enumerate(known)}


def dynamic_shapes(types: Mapping[str, TensorType],
                   bounds: Bounds = MappingProxyType({})) -> dict[str, Any] | None:
    """torch.export's description of the sizes that are named; None if there are none."""
    if not any(t.names for t in types.values()):
        return None
    import torch
    table: dict[str, Any] = {name: torch.export.Dim(name, min=low, max=high)
                             for name, (low, high) in bounds.items()}
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
