"""L1 schedules for WASM: which axis the lanes run over, and register tiles.

Sixteen vector registers hold a tile's accumulators, a spread operand per row and one streamed
vector: 2 rows x 16 columns and 4 x 8 reach the multiply-add rate, larger tiles spill. The
innermost reduction is not written out: V8 up to Node 20 loads all that a body needs before it
computes, so that totals would no longer fit the registers beside it, and halves its speed.
"""

from __future__ import annotations

from transpile.ir.dims import Axis, Dim
from transpile.lower.expr import Load
from transpile.lower.loops import Tile, leaf
from transpile.lower.nest import Nest, coefficient
from transpile.lower.scalar import LANES, cost, rows_in_registers
from transpile.lower.schedule import is_small, register_tile, unrolled
from transpile.lower.vectorize import NotVector, lift
from transpile.lower.walk import parts

TAPS = 20
"""Taps of a window in one body at most, those of all its points: 3 in a row of 4 points, 5 at most.
With three rows of a window beside each other the registers do not suffice."""

COPIES = 4
"""Vectors side by side where nothing is reduced."""


def schedule(nest: Nest) -> Tile:
    """Lanes over the axis along which the result is contiguous, if everything else allows it."""
    lane = _lane_axis(nest)
    if lane is None:
        return _scalar_tile(nest)
    if is_small(nest):
        return Tile(((lane.name, 1),), lanes=lane.name)
    if not nest.combine:
        copies = 2 if cost(nest.epilogue) >= 20 else COPIES
        return Tile(((lane.name, _fitting(lane.extent, copies)),), lanes=lane.name)
    return _tile(nest, lane)


FEW_ROWS = 4
"""Rows up to which tiles are 4 x 8: all of them use a weight while it comes from memory."""


def panel(columns: Dim, rows: Dim) -> int:
    """Columns of a weight matrix that lie together: as wide as a tile.

    Two or three lie one by one, so that the lanes can run along the reduction.
    """
    if not isinstance(columns, int):
        return 0
    if 1 < columns < LANES:
        return 1
    few = isinstance(rows, int) and 1 < rows <= FEW_ROWS
    return next((w for w in ((8, 4) if few else (16, 8, 4)) if columns % w == 0), 0)


def _lane_axis(nest: Nest) -> Axis | None:
    for candidate in reversed(nest.axes):
        if coefficient(nest.out_index, candidate) == 1:
            return candidate if _long(candidate) and _lifts(nest, candidate) else None
    return None


def _long(over: Axis) -> bool:
    return not isinstance(over.extent, int) or over.extent >= LANES


def _lifts(nest: Nest, over: Axis) -> bool:
    try:
        lift(leaf(nest, Tile(), ({},)), over)
    except NotVector:
        return False
    return True


def _fitting(extent: Dim, most: int) -> int:
    return min(most, extent // LANES) if isinstance(extent, int) else most


def _tile(nest: Nest, lane: Axis) -> Tile:
    loads = [p for p in parts(nest.body) if isinstance(p, Load)]
    along = [e for e in loads if coefficient(e.index, lane) != 0]
    spread = len(along) < len(loads)
    row = _row_axis(nest, along, lane)
    vectors = _fitting(lane.extent, COPIES if spread or row is None else 1)
    factors = {lane.name: vectors}
    if row is not None:
        sizes = range(8 // vectors, 1, -1) if spread else range(4, 2, -1)
        factors[row.name] = _rows(row.extent, sizes)
    elif spread and any(a.name == "panel" for a in nest.axes):
        factors["panel"] = COPIES // vectors
    points = vectors * factors.get(row.name, 1) if row is not None else vectors
    return Tile(tuple(factors.items()), () if spread else unrolled(nest, TAPS // points),
                lane.name, _order(nest, along, lane),
                _steps(nest, along, loads) if row is None else 1,
                rest=not spread, together=not spread and not nest.combine.startswith("arg"))


def _row_axis(nest: Nest, along: list[Load], lane: Axis) -> Axis | None:
    """The innermost axis over whose points a vector can be used again."""
    for candidate in reversed(nest.axes):
        if candidate != lane and candidate.extent != 1 and any(
                coefficient(e.index, candidate) == 0 for e in along):
            return candidate
    return None


def _steps(nest: Nest, along: list[Load], loads: list[Load]) -> int:
    """Steps in one body of a matrix's product with a vector, which streams the matrix.

    4 totals of two steps, their 8 vectors of the matrix and 2 spread numbers fit the registers;
    of 8 totals of one step V8 keeps some in memory, and each step waits for those.
    """
    inner = nest.reds[-1].extent
    product = nest.combine == "sum" and len(along) == 1 and len(loads) == 2
    return 2 if product and isinstance(inner, int) and inner > 1 else 1


def _rows(extent: Dim, sizes: range) -> int:
    """The first size that divides the rows, else the largest one that they fill."""
    if not isinstance(extent, int):
        return sizes.start
    return next((r for r in sizes if extent % r == 0), min(sizes.start, extent))


def _order(nest: Nest, along: list[Load], lane: Axis) -> tuple[str, ...]:
    """Panels outside all axes that their weights do not depend on: a panel stays in the cache."""
    names = [a.name for a in nest.axes]
    first = next((i for i, a in enumerate(nest.axes) if a != lane and along and all(
        coefficient(e.index, a) == 0 for e in along)), None)
    moved = [n for n in names if n in ("panel", lane.name)]
    if first is None:
        return ()
    rest = [n for n in names[first:] if n not in moved]
    before = [n for n in names[:first] if n not in moved]
    return (*before, *moved, *rest)


def _scalar_tile(nest: Nest) -> Tile:
    """Tiles of dot products, whose own vectors run along the reduction, or of single values."""
    narrow = next((a for a in nest.axes if a.name == "panel"), None)
    if narrow is not None and nest.combine == "sum" and not is_small(nest):
        return _narrow_tile(nest, narrow)
    tile = register_tile(nest, ((4, 2), (2, 4), (3, 2), (2, 2)), 4)
    inner = nest.reds[-1] if nest.reds else None
    if inner is not None and inner.name in tile.unroll and _long(inner) and _reduces(nest, inner):
        return Tile(tile.factors)
    return tile


def _narrow_tile(nest: Nest, columns: Axis) -> Tile:
    """All of a few columns, and as many rows as the registers hold beside them."""
    loads = [p for p in parts(nest.body) if isinstance(p, Load)]
    row = _row_axis(nest, [e for e in loads if coefficient(e.index, columns) != 0], columns)
    count = columns.extent
    assert isinstance(count, int)
    factors = {columns.name: count}
    if row is not None:
        factors[row.name] = _rows(row.extent, range(rows_in_registers(count), 1, -1))
    return Tile(tuple(factors.items()), rest=True)


def _reduces(nest: Nest, red: Axis) -> bool:
    return all(coefficient(e.index, red) in (0, 1) for e in parts(nest.body)
               if isinstance(e, Load))
