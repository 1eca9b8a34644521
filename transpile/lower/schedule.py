"""Choosing tiles: a pure function from a nest to an L1 schedule record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from transpile.ir.dims import Axis, Dim, evaluate, names, product
from transpile.lower.expr import Load
from transpile.lower.loops import Tile
from transpile.lower.nest import Nest, coefficient
from transpile.lower.walk import parts

UNROLLED_BODY = 36
"""Multiply-adds in one innermost body at most; beyond that code grows without a gain."""

WINDOW = 9
"""Taps of a window that need no neighbour's beside them."""

SMALL = 2**14
"""Multiply-adds per call (named sizes at 1) below which a tile is not worth its bytes."""


def is_small(nest: Nest) -> bool:
    """True where the plain loop nest is good enough, and much shorter."""
    work = product(a.extent for a in (*nest.axes, *nest.reds))
    return evaluate(work, dict.fromkeys(names(work), 1)) < SMALL


def register_tile(nest: Nest, sides: Sequence[tuple[int, int]], single: int) -> Tile:
    """A register tile: reuse every load across points that do not depend on it.

    Args:
        nest: what to schedule.
        sides: tiles (points of the outer axis, points of the inner axis), the best first; the
            first one that divides both extents wins, else the first one that fits them.
        single: points side by side where only one axis can be tiled.
    """
    if not nest.combine or nest.combine.startswith("arg"):
        return Tile()
    loads = [p for p in parts(nest.body) if isinstance(p, Load)]
    if not any(_reuse_axes(nest, loads)) and (taps := unrolled(nest, WINDOW)):
        return Tile((), taps)  # one point of a pooling window keeps the processor busy
    factors = _factors(nest, loads, sides, single)
    if len(factors) > 1:  # every load serves several points as it is
        return Tile(factors)
    points = math.prod(f for _, f in factors)
    return Tile(factors, unrolled(nest, UNROLLED_BODY // points))


def _factors(nest: Nest, loads: Sequence[Load], sides: Sequence[tuple[int, int]], single: int
             ) -> tuple[tuple[str, int], ...]:
    inner, outer = _reuse_axes(nest, loads)
    if inner is None and outer is None:
        return _tileable(nest.axes[-1:], single)
    if inner is None or outer is None or not _tileable([inner, outer], 2)[1:]:
        only = [a for a in (inner, outer) if a is not None]
        return _tileable(only, single)[:1]
    rows, cols = _choose(outer.extent, inner.extent, sides)
    return (outer.name, rows), (inner.name, cols)


def _reuse_axes(nest: Nest, loads: Sequence[Load]) -> tuple[Axis | None, Axis | None]:
    """The innermost axis that some load ignores, and the innermost that another one ignores."""
    found: list[Axis] = []
    seen: list[frozenset[int]] = []
    for candidate in reversed(nest.axes):
        ignoring = frozenset(i for i, e in enumerate(loads) if not _depends(e, candidate))
        if ignoring and ignoring not in seen and len(found) < 2:
            found.append(candidate)
            seen.append(ignoring)
    return (found[0] if found else None), (found[1] if len(found) > 1 else None)


def _depends(load: Load, over: Axis) -> bool:
    return coefficient(load.index, over) != 0


def _tileable(axes: Iterable[Axis], factor: int) -> tuple[tuple[str, int], ...]:
    """Factors for axes that are long enough, halved until they divide a fixed extent."""
    result = []
    for a in axes:
        f = factor
        while isinstance(a.extent, int) and f > 1 and (a.extent < f or a.extent % f):
            f -= 1
        if f > 1 and not isinstance(a.extent, int):
            f = factor
        if f > 1:
            result.append((a.name, f))
    return tuple(result)


def _choose(outer: Dim, inner: Dim, sides: Sequence[tuple[int, int]]) -> tuple[int, int]:
    def divides(extent: Dim, factor: int) -> bool:
        return not isinstance(extent, int) or extent % factor == 0

    def fits(extent: Dim, factor: int) -> bool:
        return not isinstance(extent, int) or extent >= factor
    for test in (divides, fits):
        for rows, cols in sides:
            if test(outer, rows) and test(inner, cols):
                return rows, cols
    return 1, 1


def unrolled(nest: Nest, most: int) -> tuple[str, ...]:
    """Short reduction axes, innermost first, as long as the body stays small."""
    total = 1
    chosen: list[str] = []
    for red in reversed(nest.reds):
        if not isinstance(red.extent, int) or total * red.extent > most:
            break
        total *= red.extent
        chosen.append(red.name)
    return tuple(chosen)

