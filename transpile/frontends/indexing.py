"""`x[key]`: basic indexing as one slice and one reshape, integer arrays as take or gather_nd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from transpile.frontends.numpy_shape import broadcast_to, moveaxis
from transpile.frontends.tracer import Tracer, apply, cast, fail, known_value
from transpile.ir.dims import Dim, Poly, ceildiv, nonnegative
from transpile.ir.fitting import least_size
from transpile.ir.types import broadcast

SIZED = "give that dimension a fixed size"


@dataclass(frozen=True)
class _Cut:
    """What a key takes from one axis: `size` elements; one that is dropped, or an array of ids."""

    start: Dim
    size: Dim
    step: int = 1
    drop: bool = False
    ids: Tracer | None = None


def getitem(x: Tracer, key: Any) -> Any:
    """`x[key]` for ints, slices, None, Ellipsis and integer arrays, as NumPy defines it."""
    entries = _expand(x, key if isinstance(key, tuple) else (key,))
    axes = iter(x.shape)
    cuts = [None if entry is None else _cut(entry, next(axes)) for entry in entries]
    result = _sliced(x, [c for c in cuts if c is not None])
    shape = tuple(1 if c is None else c.size for c in cuts if c is None or not c.drop)
    if shape != result.shape:
        result = apply("reshape", result, shape=shape)
    return _gathered(result, cuts) if any(c and c.ids is not None for c in cuts) else result


def _expand(x: Tracer, key: tuple[Any, ...]) -> list[Any]:
    """One entry for each axis, None for each new one."""
    entries = [e for k in key for e in _plain(k)]
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    used = sum(e is not None and e is not Ellipsis for e in entries)
    if used > x.ndim or len(dots) > 1:
        fail(f"{used} indices are too many for an array of {x.ndim} dimensions" if used > x.ndim
             else "an index may hold one ellipsis only")
    at = dots[0] if dots else len(entries)
    fill = [slice(None)] * (x.ndim - used)
    return [*entries[:at], *fill, *entries[at + 1:]]


def _plain(entry: Any) -> list[Any]:
    """Lists and arrays as int32 tracers, constant bool masks as positions, the rest as it is."""
    if entry is None or entry is Ellipsis or isinstance(entry, (slice, Poly)):
        return [entry]
    if isinstance(entry, (int, np.integer)) and not isinstance(entry, (bool, np.bool_)):
        return [int(entry)]
    value = known_value(entry.node) if isinstance(entry, Tracer) else np.asarray(entry)
    kind = entry.dtype if value is None else value.dtype
    if kind.kind == "b":
        if value is None:
            fail("a boolean mask cannot be an index",
                 why="the shape of the result would depend on values",
                 fix="use np.where(mask, x, 0), or multiply by the mask")
        return [cast(ids, "int32") for ids in np.nonzero(value)]
    if value is not None and value.size == 0:
        return [cast(value, "int32")]
    if kind.kind not in "iu":
        fail(f"an index is {kind}, and integers are needed", fix="cast it: ids.astype(np.int32)")
    if value is not None and value.ndim == 0 and isinstance(entry, Tracer):
        return [int(value)]
    return [cast(entry, "int32")]


def _cut(entry: Any, size: Dim) -> _Cut:
    if isinstance(entry, slice):
        return _slice_cut(entry, size)
    if isinstance(entry, Tracer):
        return _Cut(0, size, ids=entry)
    start = entry + size if isinstance(entry, int) and entry < 0 else entry
    if isinstance(start, int) and isinstance(size, int) and not 0 <= start < size:
        fail(f"index {entry} is out of bounds for a dimension of {size}")
    inside = nonnegative(start) and nonnegative(size - 1 - start)
    if not isinstance(entry, Poly) and not inside:
        fail(f"index {entry} may be out of bounds for a dimension of {size}",
             why="a named dimension may be as small as 1",
             **least_size(size, entry + 1 if entry >= 0 else -entry, SIZED))
    return _Cut(start, 1, drop=True)


def _slice_cut(key: slice, size: Dim) -> _Cut:
    start, stop, step = (_bound(b) for b in (key.start, key.stop, key.step))
    pace = 1 if step is None else step
    if not isinstance(pace, int) or pace == 0:
        fail("the step of a slice is a number other than 0")
    if all(isinstance(v, int) or v is None for v in (start, stop, size)):
        places = range(*slice(start, stop, pace).indices(size))
        return _Cut(places.start if places else 0, len(places), pace)
    if pace < 0:
        return _backward(start, stop, pace, size)
    first = _from_end(0 if start is None else start, size)
    last = _from_end(size if stop is None else stop, size, is_end=True)
    return _Cut(first, ceildiv(last - first, pace), pace)


def _backward(start: Any, stop: Any, step: int, size: Dim) -> _Cut:
    first = size - 1 if start is None else _from_end(start, size)
    last = -1 if stop is None else _from_end(stop, size)
    return _Cut(first, ceildiv(first - last, -step), step)


def _bound(value: Any) -> Dim | None:
    return value if value is None or isinstance(value, Poly) else int(value.__index__())


def _from_end(bound: Dim, size: Dim, *, is_end: bool = False) -> Dim:
    """A bound counted from the front, known to lie inside.

    A symbolic bound that the user wrote is taken at its word: `table[:x.shape[0]]`.
    """
    place = bound + size if isinstance(bound, int) and bound < 0 else bound
    if isinstance(bound, int) and not (nonnegative(place) and nonnegative(size - place)):
        fail(f"a slice bound of {bound} may lie outside of a dimension of {size}",
             why="a named dimension may be as small as 1, and NumPy would then return less",
             **({"fix": SIZED} if is_end and bound > 0 else least_size(size, abs(bound), SIZED)))
    return place


def _sliced(x: Tracer, cuts: list[_Cut]) -> Tracer:
    whole = all(c.start == 0 and c.step == 1 and c.size == d
                for c, d in zip(cuts, x.shape, strict=True))
    return x if whole else apply(
        "slice", x, starts=tuple(c.start for c in cuts), sizes=tuple(c.size for c in cuts),
        steps=tuple(c.step for c in cuts))


def _gathered(x: Tracer, cuts: list[_Cut | None]) -> Tracer:
    """Index the axes that have arrays.

    The new axes stand where the arrays stood if these (and ints) are adjacent, else in front.
    """
    kept = [c for c in cuts if c is None or not c.drop]
    axes = [k for k, c in enumerate(kept) if c is not None and c.ids is not None]
    ids = [c.ids for c in kept if c is not None and c.ids is not None]
    places = [k for k, c in enumerate(cuts) if c is not None and (c.drop or c.ids is not None)]
    together = places[-1] - places[0] + 1 == len(places)
    rank = len(broadcast(*(i.shape for i in ids)))
    if len(ids) == 1:
        result = apply("take", x, ids[0], axis=axes[0])
        at = axes[0]
    else:
        result, at = _gather_several(x, axes, ids), 0
    target = axes[0] if together else 0
    return result if at == target or rank == 0 else moveaxis(
        result, tuple(range(at, at + rank)), tuple(range(target, target + rank)))


def _gather_several(x: Tracer, axes: list[int], ids: list[Tracer]) -> Tracer:
    shape = broadcast(*(i.shape for i in ids))
    stacked = np.stack([broadcast_to(i, shape) for i in ids], axis=-1)
    front = moveaxis(x, tuple(axes), tuple(range(len(axes))))
    return apply("gather_nd", front, stacked)
