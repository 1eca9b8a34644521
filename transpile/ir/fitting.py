"""How named sizes would have to be written for shapes to fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypedDict

from transpile.ir.dims import Dim, dim, evaluate, names, nonnegative, substitute

FACTORS = (2, 4, 8, 16, 32, 64, 128)
"""Sizes of a pyramid of images often differ by rounding alone, and not at all for multiples."""

BATCH = re.compile(r"(n|b|.*batch.*|.*_0)$", re.IGNORECASE)
"""Names that the size of a batch has in models."""

MOST_TRIED = 1024
"""Numbers that are tried for a size."""

MOST_STEPS = 12
"""Powers of two up to which a size is made larger."""


class Advice(TypedDict):
    """The last parts of an error: text for the user, and the sizes by name, if any are known."""

    fix: str
    fitting: Mapping[str, Dim]


def equal_sizes(groups: Iterable[set[Dim]]) -> Advice:
    """What makes the sizes of each group equal."""
    unequal = [group for group in groups if len(group) > 1]
    named = sorted({name for group in unequal for size in group for name in names(size)})
    for sizes in _choices(unequal, named) if named else ():
        if all(len({substitute(size, sizes) for size in group}) == 1 for group in unequal):
            general = any(not isinstance(size, int) for size in sizes.values())
            return {"fix": _written(sizes) + ", or numbers" * general, "fitting": sizes}
    fix = f"give {' and '.join(named)} numbers in the input's type" if named else ""
    return {"fix": fix, "fitting": {}}


def _choices(unequal: Sequence[set[Dim]], named: Sequence[str]) -> Iterator[Mapping[str, Dim]]:
    """Sizes that may be worth a try: names, the numbers that names meet, multiples, any number.

    What is one number only is a batch less often than anything else.
    """
    numbers = [(n, d) for group in unequal for n in group if isinstance(n, int) for d in group]
    if numbers:
        yield {name: n for n, d in numbers for name in names(d) if d == dim(name)}
    yield {name: dim(named[0]) for name in named[1:]}
    yield from ({name: n * dim(name) for name in named} for n in FACTORS)
    for name in sorted(named, key=lambda name: bool(BATCH.match(name))):
        yield from ({name: n} for n in range(1, MOST_TRIED) if _may_fit(unequal, named, {name: n}))


def _may_fit(unequal: Iterable[set[Dim]], named: Iterable[str], sizes: Mapping[str, int]) -> bool:
    """True if all are equal for some other sizes: quicker than for any."""
    values = {name: sizes.get(name, 1009 + k) for k, name in enumerate(named)}
    return all(len({evaluate(size, values) for size in group}) == 1 for group in unequal)


def least_size(size: Dim, least: int, otherwise: str) -> Advice:
    """What makes a size so large; `otherwise` is said where no sum is known to."""
    for step in range(MOST_STEPS):
        sizes = {name: dim(name) + ((2 << step) - 1) for name in sorted(names(size))}
        if sizes and nonnegative(substitute(size, sizes) - least):
            return {"fix": _written(sizes), "fitting": sizes}
    return {"fix": otherwise, "fitting": {}}


def _written(sizes: Mapping[str, Dim]) -> str:
    return "in the input's type write " + " and ".join(
        f"{size} for {name}" for name, size in sizes.items())
