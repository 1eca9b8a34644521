"""Transposes in blocks of 4 x 4: whole vectors are loaded, turned in registers, and stored."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.ir.dims import Axis, Dim, atom, substitute_axes
from transpile.lower.expr import Call, Expr, Load, Local
from transpile.lower.nest import Nest, coefficient
from transpile.lower.scalar import LANES
from transpile.lower.stmt import For, Let, Stmt, Store

VECTOR = "float32x4"


def transpose(nest: Nest) -> Sequence[Stmt] | None:
    """The statements of `out[..., i, j] = x[..., j, i]` in float32; None for any other nest.

    What is left at the edges goes one by one.
    """
    found = _axes(nest)
    if found is None:
        return None
    along_x, along_out = found
    load = nest.epilogue
    assert isinstance(load, Load)
    body = _edges(nest, load, along_x, along_out)
    for outer in reversed([a for a in nest.axes if a not in (along_x, along_out)]):
        body = (For(outer, body, 0, outer.extent),)
    return body


def _axes(nest: Nest) -> tuple[Axis, Axis] | None:
    """The axes along which the operand and the result are contiguous, if they differ."""
    load = nest.epilogue
    if nest.combine or not isinstance(load, Load) or load.dtype != "float32":
        return None
    steps = {a: (coefficient(load.index, a), coefficient(nest.out_index, a)) for a in nest.axes}
    if any(None in pair for pair in steps.values()):
        return None
    along_x = next((a for a, (x, _) in steps.items() if x == 1), None)
    along_out = next((a for a, (_, out) in steps.items() if out == 1), None)
    if along_x is None or along_out is None or along_x == along_out:
        return None
    short = any(isinstance(a.extent, int) and a.extent < LANES for a in (along_x, along_out))
    return None if short else (along_x, along_out)


def _edges(nest: Nest, load: Load, x: Axis, out: Axis) -> tuple[Stmt, ...]:
    """Blocks, then what is left of rows, then what is left of columns."""
    x_stop, out_stop = x.extent - x.extent % LANES, out.extent - out.extent % LANES
    x_block, out_block = (Axis(a.name, a.extent - (LANES - 1)) for a in (x, out))
    block = _block(nest, load, x_block, out_block)
    single = (Store(nest.out.name, nest.out_index, load),)
    result: list[Stmt] = [
        For(x_block, (For(out_block, block, 0, out_stop, LANES),), 0, x_stop, LANES)]
    if out_stop != out.extent:
        result.append(For(x, (For(out, single, out_stop, out.extent),), 0, x_stop))
    if x_stop != x.extent:
        result.append(For(x, (For(out, single, 0, out.extent),), x_stop, x.extent))
    return tuple(result)


def _block(nest: Nest, load: Load, x: Axis, out: Axis) -> tuple[Stmt, ...]:
    """Four vectors along the operand become four along the result."""
    def at(index: Dim, i: int, j: int) -> Dim:
        return substitute_axes(index, {x.name: atom(x) + i, out.name: atom(out) + j})
    rows = [Local(f"row{j}", VECTOR) for j in range(LANES)]
    pairs = [Local(f"pair{j}", VECTOR) for j in range(LANES)]
    lets: list[Stmt] = [Let(r.name, Load(load.buffer, at(load.index, 0, j), VECTOR))
                        for j, r in enumerate(rows)]
    lets += [Let(pairs[n].name, _lanes(fn, rows[a], rows[a + 1])) for n, (fn, a) in enumerate(
        (("zip_low", 0), ("zip_low", 2), ("zip_high", 0), ("zip_high", 2)))]
    columns = [_lanes(fn, pairs[a], pairs[a + 1]) for a in (0, 2)
               for fn in ("halves_low", "halves_high")]
    return (*lets, *(Store(nest.out.name, at(nest.out_index, i, 0), c)
                     for i, c in enumerate(columns)))


def _lanes(fn: str, a: Expr, b: Expr) -> Expr:
    return Call(fn, (a, b), VECTOR)
