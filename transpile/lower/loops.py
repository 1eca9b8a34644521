"""From a `Nest` and a `Tile` to statements: the scheduled loops, L0 and L1."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

from transpile.ir.dims import Axis, Dim, atom, axis, substitute_axes
from transpile.lower.expr import Const, Expr, Index, Local, call, map_expr
from transpile.lower.merge import placed
from transpile.lower.nest import RESULT, Nest, substitute_expr
from transpile.lower.scalar import LANES
from transpile.lower.share import share
from transpile.lower.simplify import simplify
from transpile.lower.stmt import Assign, Declare, For, If, Stmt, Store
from transpile.lower.vectorize import lift

Point = Mapping[str, Dim]
"""Where loop variables stand in one copy of an unrolled body."""

IDENTITY: Mapping[str, float] = {
    "sum": 0, "prod": 1, "max": -float("inf"), "min": float("inf"),
    "argmax": -float("inf"), "argmin": float("inf"),
}
COMBINE = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum"}


@dataclass(frozen=True)
class Tile:
    """An L1 schedule: how many points of each axis one body computes, and what is unrolled.

    Attributes:
        factors: pairs of axis name and points side by side; all others go one by one.
        unroll: reduction axes that are written out instead of looped over.
        lanes: the axis of which a vector holds four points; its factor counts vectors.
        order: all axes, the outermost first; empty for the order of the nest.
        steps: points of the innermost reduction that one body adds up before their sum joins
            the total; of a reduction "sum" over a fixed size only.
        rest: whether points that a factor leaves over share a body as well, where their number
            is known.
        together: whether what is written out is combined before it joins the total, which then
            waits for one value a body; not of "argmax" and "argmin".
    """

    factors: tuple[tuple[str, int], ...] = ()
    unroll: tuple[str, ...] = ()
    lanes: str = ""
    order: tuple[str, ...] = ()
    steps: int = 1
    rest: bool = False
    together: bool = False

    def factor(self, over: Axis) -> int:
        return dict(self.factors).get(over.name, 1)


def identity(combine: str, dtype: str) -> Const:
    """What a reduction starts from."""
    start = IDENTITY[combine]
    if dtype == "bool":
        return Const(start > 0, dtype)
    if dtype != "float32" and abs(start) > 1:
        low, high = (0, 255) if dtype == "uint8" else (-2**31, 2**31 - 1)
        return Const(high if start > 0 else low, dtype)
    return Const(start, dtype)


def combine_expr(combine: str, total: Expr, value: Expr) -> Expr:
    """`total` with one more value; on bools max is "or", min is "and"."""
    if value.dtype == "bool":
        return call("logical_or" if combine == "max" else "logical_and", total, value)
    return call(COMBINE[combine], total, value)


def scheduled(nest: Nest, tile: Tile = Tile()) -> tuple[Stmt, ...]:
    """The statements of a nest under a tile; `Tile()` is the plain loop nest (L0)."""
    axes = tuple(sorted(nest.axes, key=lambda a: tile.order.index(a.name))
                 ) if tile.order else nest.axes
    return _loops(nest, tile, axes, ({},))


def _loops(nest: Nest, tile: Tile, axes: tuple[Axis, ...], points: tuple[Point, ...]
           ) -> tuple[Stmt, ...]:
    if not axes:
        return leaf(nest, tile, points)
    first, rest = axes[0], axes[1:]
    factor = tile.factor(first)
    if first.name == tile.lanes:
        return _lanes(nest, tile, axes, points)
    if factor == 1:
        return (For(first, _loops(nest, tile, rest, points), 0, first.extent),)
    if first.extent == factor:
        spread = tuple({**p, first.name: n} for p in points for n in range(factor))
        return _loops(nest, tile, rest, spread)
    remainder = first.extent % factor
    stop = first.extent - remainder
    main = Axis(first.name, first.extent - factor + 1)
    start = axis(first.name, main.extent)
    spread = tuple({**p, first.name: start + n} for p in points for n in range(factor))
    result: list[Stmt] = []
    if stop != 0:
        result.append(For(main, _loops(nest, tile, rest, spread), 0, stop, factor))
    if tile.rest and isinstance(remainder, int) and remainder > 1:
        spread = tuple({**p, first.name: stop + n} for p in points for n in range(remainder))
        result += _loops(nest, tile, rest, spread)
    elif remainder != 0:
        result.append(For(first, _loops(nest, tile, rest, points), stop, first.extent))
    return tuple(result)


def _lanes(nest: Nest, tile: Tile, axes: tuple[Axis, ...], points: tuple[Point, ...]
           ) -> tuple[Stmt, ...]:
    """Loops over the axis of the lanes: whole groups of vectors, fewer vectors, single points."""
    first, rest = axes[0], axes[1:]
    result: list[Stmt] = []
    start: Dim = 0
    for count in _counts(first.extent, tile.factor(first)):
        step = LANES * count
        stop = first.extent - first.extent % step
        if stop == start:
            continue
        # Every lane counts, not only the first one: an index that holds for 0 to 3 must hold there.
        main = Axis(first.name, first.extent - (step - LANES))
        at = atom(main)
        spread = tuple({**p, first.name: at + LANES * n} for p in points for n in range(count))
        body = lift(_loops(nest, tile, rest, spread), main)
        # A loop stays where others follow: its locals are called like theirs.
        whole = start == 0 and stop == step == first.extent
        result += placed(body, {first.name: 0}) if whole else [For(main, body, start, stop, step)]
        start = stop
    if start != first.extent:
        result.append(For(first, _loops(nest, tile, rest, points), start, first.extent))
    return tuple(result)


def _counts(extent: Dim, most: int) -> list[int]:
    """Vectors side by side in successive loops."""
    if isinstance(extent, int):
        return [most, extent // LANES % most] if extent // LANES % most else [most]
    return [most, 1] if most > 1 else [1]


def leaf(nest: Nest, tile: Tile, points: tuple[Point, ...]) -> tuple[Stmt, ...]:
    """One body: accumulators for each point, the reduction, and the stores."""
    if not nest.combine:
        return share([_store(nest, p, RESULT) for p in points])
    names = ["sum" if nest.combine == "sum" else "best" if nest.combine.startswith("arg")
             else nest.combine] * len(points)
    names = [n if len(points) == 1 else f"{n}{i}" for i, n in enumerate(names)]
    dtype = nest.body.dtype
    result: list[Stmt] = [Declare(n, identity(nest.combine, dtype)) for n in names]
    if nest.combine.startswith("arg"):
        result += [Declare(f"{n}At", Const(0, "int32")) for n in names]
    result += _reduce(nest, tile, points, names)
    final = [Local(n, dtype) if not nest.combine.startswith("arg") else Local(f"{n}At", "int32")
             for n in names]
    result += share([_store(nest, p, local) for p, local in zip(points, final, strict=True)],
                    result)
    return tuple(result)


def _reduce(nest: Nest, tile: Tile, points: tuple[Point, ...], names: list[str]) -> list[Stmt]:
    unrolled = [r for r in nest.reds if r.name in tile.unroll and isinstance(r.extent, int)]
    loops = [r for r in nest.reds if r not in unrolled]
    written_out = [dict(zip((r.name for r in unrolled), values, strict=True))
                   for values in itertools.product(*(range(r.extent) for r in unrolled))]

    def body(steps: Sequence[Point] = ({},)) -> tuple[Stmt, ...]:
        places = [[{**at, **step} for step in steps] for at in written_out]
        if tile.together:
            places = [list(itertools.chain(*places))]
        return share([_accumulate(nest, [{**point, **at} for at in group], name)
                      for group in places for point, name in zip(points, names, strict=True)])
    result = list(body())
    if loops and tile.steps > 1:
        inner = loops.pop()
        main = Axis(inner.name, inner.extent - tile.steps + 1)
        stop = inner.extent - inner.extent % tile.steps
        steps = [{inner.name: axis(main.name, main.extent) + n} for n in range(tile.steps)]
        rest = [For(inner, tuple(result), stop, inner.extent)] if stop != inner.extent else []
        result = [For(main, body(steps), 0, stop, tile.steps), *rest]
    for red in reversed(loops):
        result = [For(red, tuple(result), 0, red.extent)]
    return result


def _accumulate(nest: Nest, points: Sequence[Point], name: str) -> Stmt:
    """A total and the values at some points, which are combined before they join it."""
    value, *others = (simplify(substitute_expr(nest.body, p)) for p in points)
    total = Local(name, value.dtype)
    if not nest.combine.startswith("arg"):
        value = reduce(partial(combine_expr, nest.combine), others, value)
        return Assign(name, combine_expr(nest.combine, total, value))
    assert not others
    position: Dim = 0
    for red in nest.reds:
        position = position * red.extent + points[0].get(red.name, atom(red))
    better = call("greater" if nest.combine == "argmax" else "less", value, total)
    if value.dtype == "float32":  # the first NaN wins, as in NumPy
        first_nan = call("logical_and", call("isnan", value), call("logical_not",
                                                                    call("isnan", total)))
        better = call("logical_or", better, first_nan)
    return If(better, (Assign(name, value), Assign(f"{name}At", Index(position))))


def _store(nest: Nest, point: Point, result: Expr) -> Stmt:
    value = simplify(substitute_expr(nest.epilogue, point))
    value = map_expr(value, lambda e: result if isinstance(e, Local) and e.name == RESULT.name
                     else None)
    return Store(nest.out.name, substitute_axes(nest.out_index, point), value)
