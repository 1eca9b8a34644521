"""NumPy's functions that rearrange, join, split and select, as builders of nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from transpile.frontends.numpy_reduce import axes_of, axis_of
from transpile.frontends.tracer import Tracer, apply, as_tracer, cast, fail, promoted, unsupported
from transpile.ir.dims import Dim, Poly, nonnegative
from transpile.ir.fitting import least_size
from transpile.ir.types import broadcast


def _dims(shape: Any) -> tuple[Dim, ...]:
    """A shape argument: one size or a sequence; sizes may be symbolic."""
    sizes = shape if isinstance(shape, (tuple, list)) else (shape,)
    return tuple(d if isinstance(d, Poly) else int(d) for d in sizes)


def _reshape(a: Any, /, shape: Any = None, order: str = "C", *,
             newshape: Any = None) -> Tracer:
    from transpile.ops.view import reshaped
    if order not in ("C", "A", "K"):
        unsupported(f"np.reshape: order={order!r} is not supported", fix="transpose first")
    x = as_tracer(a)
    sizes = _dims(newshape if shape is None else shape)
    try:
        target = reshaped(x.node.type, sizes)
    except ValueError:
        target = sizes  # the op's own check reports it with the line
    return x if target == x.shape else apply("reshape", x, shape=target)


def _ravel(a: Any, order: str = "C") -> Tracer:
    return _reshape(a, (-1,), order)


def _transpose(a: Any, axes: Any = None) -> Tracer:
    x = as_tracer(a)
    perm = tuple(range(x.ndim))[::-1] if axes is None else tuple(axis_of(x.ndim, k) for k in axes)
    return x if perm == tuple(range(x.ndim)) else apply("transpose", x, perm=perm)


def _swapaxes(a: Any, axis1: int, axis2: int) -> Tracer:
    x = as_tracer(a)
    perm = list(range(x.ndim))
    i, j = axis_of(x.ndim, axis1), axis_of(x.ndim, axis2)
    perm[i], perm[j] = perm[j], perm[i]
    return _transpose(x, perm)


def _matrix_transpose(x: Any, /) -> Tracer:
    return _swapaxes(x, -1, -2)


def moveaxis(a: Any, source: Any, destination: Any) -> Tracer:
    """Axes moved to other places; the others keep their order."""
    x = as_tracer(a)
    pair = [[axis_of(x.ndim, k) for k in (v if isinstance(v, (tuple, list)) else (v,))]
            for v in (source, destination)]
    perm = [k for k in range(x.ndim) if k not in pair[0]]
    for to, start in sorted(zip(pair[1], pair[0], strict=True)):
        perm.insert(to, start)
    return _transpose(x, perm)


def _rollaxis(a: Any, axis: int, start: int = 0) -> Tracer:
    x = as_tracer(a)
    source = axis_of(x.ndim, axis)
    target = start + x.ndim if start < 0 else start
    return moveaxis(x, source, target - 1 if source < target else target)


def _ones(x: Tracer) -> tuple[int, ...]:
    """The axes of size 1; TraceError where a named size might be 1 in a run."""
    for d in x.shape:
        if d != 1 and not nonnegative(d - 2) and not nonnegative(-d):
            fail(f"squeeze without axes would leave out a dimension of {d} if it is 1",
                 why="how many dimensions the result has must be known",
                 **least_size(d, 2, "name the axes"))
    return tuple(k for k, d in enumerate(x.shape) if d == 1)


def _squeeze(a: Any, axis: Any = None) -> Tracer:
    x = as_tracer(a)
    axes = _ones(x) if axis is None else axes_of(x, axis)
    wrong = [k for k in axes if x.shape[k] != 1]
    if wrong:
        fail(f"np.squeeze: axis {wrong[0]} has the size {x.shape[wrong[0]]}, not 1")
    return _reshape(x, tuple(d for k, d in enumerate(x.shape) if k not in axes))


def _expand_dims(a: Any, axis: Any) -> Tracer:
    x = as_tracer(a)
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    rank = x.ndim + len(given)
    places = {axis_of(rank, k) for k in given}
    rest = iter(x.shape)
    return _reshape(x, tuple(1 if k in places else next(rest) for k in range(rank)))


def broadcast_to(array: Any, shape: Any) -> Tracer:
    """The array repeated along new axes and axes of size 1."""
    x, target = as_tracer(array), _dims(shape)
    return x if target == x.shape else apply("broadcast_to", x, shape=target)


def _broadcast_arrays(*args: Any) -> tuple[Tracer, ...]:
    xs = [as_tracer(a) for a in args]
    shape = broadcast(*(x.shape for x in xs))
    return tuple(broadcast_to(x, shape) for x in xs)


def _at_least(rank: int) -> Callable[..., Any]:
    def build(*arys: Any) -> Any:
        result = tuple(_with_rank(as_tracer(a), rank) for a in arys)
        return result[0] if len(result) == 1 else result
    return build


def _with_rank(x: Tracer, rank: int) -> Tracer:
    if x.ndim >= rank:
        return x
    if rank == 3 and x.ndim == 2:
        return _reshape(x, (*x.shape, 1))
    if rank == 3 and x.ndim == 1:
        return _reshape(x, (1, *x.shape, 1))
    return _reshape(x, (1,) * (rank - x.ndim) + x.shape)


# --- join and split -----------------------------------------------------------------------
def _concatenate(arrays: Sequence[Any], /, axis: Any = 0, *, dtype: Any = None) -> Tracer:
    xs = promoted(*arrays)
    if dtype is not None:
        xs = [x.astype(dtype) for x in xs]
    if axis is None:
        xs, axis = [x.ravel() for x in xs], 0
    return xs[0] if len(xs) == 1 else apply("concat", *xs, axis=axis_of(xs[0].ndim, axis))


def _stack(arrays: Sequence[Any], axis: int = 0, *, dtype: Any = None) -> Tracer:
    xs = promoted(*arrays)
    place = axis_of(xs[0].ndim + 1, axis)
    return _concatenate([_expand_dims(x, place) for x in xs], place, dtype=dtype)


def _hstack(tup: Sequence[Any], *, dtype: Any = None) -> Tracer:
    xs = [_with_rank(as_tracer(a), 1) for a in tup]
    return _concatenate(xs, 0 if xs[0].ndim == 1 else 1, dtype=dtype)


def _vstack(tup: Sequence[Any], *, dtype: Any = None) -> Tracer:
    return _concatenate([_with_rank(as_tracer(a), 2) for a in tup], 0, dtype=dtype)


def _dstack(tup: Sequence[Any]) -> Tracer:
    return _concatenate([_with_rank(as_tracer(a), 3) for a in tup], 2)


def _column_stack(tup: Sequence[Any]) -> Tracer:
    xs = [as_tracer(a) for a in tup]
    return _concatenate([_reshape(x, (-1, 1)) if x.ndim < 2 else x for x in xs], 1)


def _append(arr: Any, values: Any, axis: Any = None) -> Tracer:
    return _concatenate([arr, values], axis)


def _pieces(x: Tracer, bounds: Sequence[Any], axis: int) -> list[Any]:
    before = (slice(None),) * axis
    keys = [(*before, slice(a, b)) for a, b in pairwise(bounds)]
    return [x[key] for key in keys]


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    x = as_tracer(ary)
    place = axis_of(x.ndim, axis)
    size = x.shape[place]
    if not isinstance(indices_or_sections, int):
        return _pieces(x, [0, *map(int, indices_or_sections), size], place)
    step = size // indices_or_sections
    if step * indices_or_sections != size:
        fail(f"np.split: a size of {size} does not divide into {indices_or_sections} equal parts",
             fix="use np.array_split, or give the indices to split at")
    return _pieces(x, [k * step for k in range(indices_or_sections)] + [size], place)


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    x = as_tracer(ary)
    size = x.shape[axis]
    if not isinstance(indices_or_sections, int) or not isinstance(size, int):
        return _split(x, indices_or_sections, axis)
    small, larger = divmod(size, indices_or_sections)
    bounds = [k * small + min(k, larger) for k in range(indices_or_sections + 1)]
    return _pieces(x, bounds, axis_of(x.ndim, axis))


def _split_along(axis: int) -> Callable[..., list[Any]]:
    def build(ary: Any, indices_or_sections: Any) -> list[Any]:
        return _split(ary, indices_or_sections, axis)
    return build


def _hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return _split(ary, indices_or_sections, 0 if as_tracer(ary).ndim == 1 else 1)


def _unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    return tuple(moveaxis(x, axis, 0))


# --- repeat, pad, reorder -----------------------------------------------------------------
def _tile(A: Any, reps: Any) -> Tracer:
    given = _dims(reps)
    x = as_tracer(A)
    rank = max(x.ndim, len(given))
    x = _reshape(x, (1,) * (rank - x.ndim) + x.shape)
    counts = (1,) * (rank - len(given)) + given
    paired = [d for size in x.shape for d in (1, size)]
    wide = [d for pair in zip(counts, x.shape, strict=True) for d in pair]
    shape = tuple(n * d for n, d in zip(counts, x.shape, strict=True))
    return _reshape(broadcast_to(_reshape(x, tuple(paired)), tuple(wide)), shape)


def _repeat(a: Any, repeats: Any, axis: Any = None) -> Tracer:
    x = as_tracer(a)
    if axis is None:
        x, axis = x.ravel(), 0
    place = axis_of(x.ndim, axis)
    if np.ndim(repeats) != 0:
        count = np.asarray(repeats)
        return _take(x, np.repeat(np.arange(len(count)), count), axis=place)
    times = repeats if isinstance(repeats, Poly) else int(repeats)
    head, size, tail = x.shape[:place], x.shape[place], x.shape[place + 1:]
    wide = broadcast_to(_reshape(x, (*head, size, 1, *tail)), (*head, size, times, *tail))
    return _reshape(wide, (*head, size * times, *tail))


def _widths(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    """NumPy's forms of widths: n, (n,), (low, high), ((low, high), ...), or a dict by axis."""
    if isinstance(pad_width, dict):
        by_axis = {axis_of(rank, k): v for k, v in pad_width.items()}
        return [tuple(np.broadcast_to(by_axis.get(k, 0), 2).tolist()) for k in range(rank)]
    return [(int(a), int(b)) for a, b in np.broadcast_to(np.asarray(pad_width), (rank, 2))]


def _pad(array: Any, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0,
         reflect_type: str = "even") -> Tracer:
    from transpile.ops.view import PAD_MODES
    x = as_tracer(array)
    if mode not in PAD_MODES or reflect_type != "even":
        unsupported(f"np.pad: mode={mode!r} is not supported",
                    fix=f"use one of {', '.join(PAD_MODES)}")
    if np.ndim(constant_values) != 0:
        unsupported("np.pad: several constant_values are not supported",
                    fix="pad in several steps, each with one value")
    low, high = zip(*_widths(pad_width, x.ndim), strict=True) if x.ndim else ((), ())
    value = float(np.asarray(constant_values).astype(x.dtype))
    return apply("pad", x, low=low, high=high, mode=mode, value=value)


def _flip(m: Any, axis: Any = None) -> Any:
    x = as_tracer(m)
    axes = axes_of(x, axis)
    return x[tuple(slice(None, None, -1 if k in axes else 1) for k in range(x.ndim))]


def _rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    x = as_tracer(m)
    turns = k % 4
    if turns == 0:
        return x
    if turns == 2:
        return _flip(x, axes)
    return _swapaxes(_flip(x, axes[1]), *axes) if turns == 1 else _flip(_swapaxes(x, *axes),
                                                                       axes[1])


def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    x = as_tracer(a)
    if axis is None:
        return _roll(x.ravel(), shift, 0).reshape(x.shape)
    shifts = np.broadcast_arrays(np.atleast_1d(shift), np.atleast_1d(axis))
    for amount, at in zip(*shifts, strict=True):
        x = _roll_one(x, int(amount), axis_of(x.ndim, at))
    return x


def _roll_one(x: Tracer, shift: int, axis: int) -> Tracer:
    size = x.shape[axis]
    if not isinstance(size, int):
        fail(f"np.roll needs a fixed size along axis {axis}", why=f"the size {size} is symbolic",
             fix="roll another axis, or use np.concatenate of two slices")
    cut = -shift % size if size else 0
    if cut == 0:
        return x
    first, second = _pieces(x, [0, cut, size], axis)
    return _concatenate([second, first], axis)


# --- select -------------------------------------------------------------------------------
def _indices(indices: Any) -> Tracer:
    value = indices if isinstance(indices, Tracer) else np.asarray(indices)
    if value.dtype.kind not in "iu":
        fail(f"indices are {value.dtype}, and integers are needed",
             fix="cast them: ids.astype(np.int32)")
    return cast(value, "int32")


def _take(a: Any, indices: Any, axis: Any = None, *, mode: Any = "raise") -> Tracer:
    x = as_tracer(a)
    if axis is None:
        x, axis = x.ravel(), 0
    ids, place = _indices(indices), axis_of(x.ndim, axis)
    if mode == "clip":
        ids = ids.clip(0, x.shape[place] - 1)
    elif mode == "wrap":
        ids = ids % x.shape[place]
    return apply("take", x, ids, axis=place)


def _take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Tracer:
    x, ids = as_tracer(arr), _indices(indices)
    if axis is None:
        x, axis = x.ravel(), 0
    place = axis_of(x.ndim, axis)
    target = broadcast(*(tuple(1 if k == place else d for k, d in enumerate(v.shape))
                         for v in (x, ids)))
    x, ids = (broadcast_to(v, (*target[:place], v.shape[place], *target[place + 1:]))
              for v in (x, ids))
    return apply("take_along_axis", x, ids, axis=place)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tracer:
    """The diagonal of two axes, put last: a stride of columns + 1 over the flattened pair."""
    x = as_tracer(a)
    pair = (axis_of(x.ndim, axis1), axis_of(x.ndim, axis2))
    x = moveaxis(x, pair, (-2, -1))
    rows, columns = x.shape[-2:]
    if not (isinstance(rows, int) and isinstance(columns, int)):
        fail("np.diagonal needs fixed sizes", why=f"{rows} x {columns} is symbolic")
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    flat = _reshape(x, (*x.shape[:-2], rows * columns))
    rank = flat.ndim - 1
    start = offset if offset >= 0 else -offset * columns
    return apply("slice", flat, starts=(*(0,) * rank, start), sizes=(*flat.shape[:-1], count),
                 steps=(*(1,) * rank, columns + 1))


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1)



SHAPES: dict[Callable[..., Any], Callable[..., Any]] = {
    np.reshape: _reshape, np.ravel: _ravel, np.transpose: _transpose,
    np.swapaxes: _swapaxes, np.moveaxis: moveaxis, np.rollaxis: _rollaxis,
    np.squeeze: _squeeze, np.expand_dims: _expand_dims, np.broadcast_to: broadcast_to,
    np.broadcast_arrays: _broadcast_arrays, np.atleast_1d: _at_least(1),
    np.atleast_2d: _at_least(2), np.atleast_3d: _at_least(3),
    np.concatenate: _concatenate, np.stack: _stack, np.hstack: _hstack, np.vstack: _vstack,
    np.dstack: _dstack, np.column_stack: _column_stack, np.append: _append,
    np.split: _split, np.array_split: _array_split, np.hsplit: _hsplit,
    np.vsplit: _split_along(0), np.dsplit: _split_along(2),
    np.tile: _tile, np.repeat: _repeat, np.pad: _pad, np.flip: _flip,
    np.flipud: lambda m: _flip(m, 0), np.fliplr: lambda m: _flip(m, 1), np.rot90: _rot90,
    np.roll: _roll, np.take: _take, np.take_along_axis: _take_along_axis,
    np.diagonal: diagonal, np.trace: _trace,
}

for _name, _builder in (("matrix_transpose", _matrix_transpose), ("unstack", _unstack)):
    if hasattr(np, _name):  # NumPy 2.0, 2.1
        SHAPES[getattr(np, _name)] = _builder
