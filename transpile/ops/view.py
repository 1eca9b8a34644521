"""Views: ops that only rename indices, and those that fill in around them (pad, dilate)."""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim, Opaque, atom, ceildiv, floordiv, mod, nonnegative, product
from transpile.ir.fitting import equal_sizes
from transpile.ir.types import TensorType, broadcast
from transpile.lower.expr import Const, Expr, Index, call
from transpile.ops.elementwise import broadcast_index
from transpile.ops.registry import Accessor, Idx, Op, Pointwise, Sample, register, sample


def view(name: str, shape: Callable[..., tuple[Dim, ...]], reference: Callable[..., np.ndarray],
         source: Callable[..., Idx], *samples: Sample) -> Op:
    """Register an op that reads its operand at another index.

    Args:
        shape: `shape(type, **attrs)` gives the result's shape.
        source: `source(index, type, **attrs)` gives the operand's index.
    """
    def infer(x: TensorType, **attrs: Any) -> TensorType:
        return x.with_shape(shape(x, **attrs))

    def at(index: Idx, x: Accessor, **attrs: Any) -> Expr:
        return x(*source(index, x.type, **attrs))

    return register(Op(name, infer, reference, Pointwise(at, "view"), samples))


def _listed(sizes: tuple[Dim, ...]) -> str:
    return f"[{', '.join(map(str, sizes))}]"


def check_rank(name: str, x: TensorType, **lengths: tuple[Any, ...]) -> None:
    """Raise ShapeError unless each attribute has one entry for each dimension."""
    for label, values in lengths.items():
        if len(values) != x.rank:
            raise ShapeError(f"{name} of {x} got {len(values)} {label} for {x.rank} dimensions")


# reshape

def reshaped(x: TensorType, shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """`shape` with one -1 filled in; ShapeError if the sizes differ."""
    known = product(d for d in shape if d != -1)
    if sum(d == -1 for d in shape) == 1 and known != 0:
        rest = floordiv(x.size, known)
        shape = tuple(rest if d == -1 else d for d in shape)
    if product(shape) != x.size:
        raise ShapeError(f"cannot reshape {x} to {_listed(shape)}",
                         why=f"{x.size} elements do not make {product(shape)}",
                         **equal_sizes([{x.size, product(shape)}]))
    return shape


def _prefixes(sizes: list[Dim]) -> list[Dim]:
    return list(accumulate(sizes, lambda a, b: a * b))


def _groups(before: list[Dim], after: list[Dim]) -> list[tuple[slice, slice]]:
    """Split both into runs of equal products, as short as possible, from the left."""
    ends = {size: j + 1 for j, size in enumerate(_prefixes(after))}
    result, i, j = [], 0, 0
    for end, size in enumerate(_prefixes(before), 1):
        if ends.get(size, 0) > j:
            result.append((slice(i, end), slice(j, ends[size])))
            i, j = end, ends[size]
    return result


def unravel(linear: Dim, sizes: list[Dim]) -> list[Dim]:
    """The index in a box of `sizes` of its element number `linear`."""
    result: list[Dim] = []
    for k, size in enumerate(sizes):
        part = floordiv(linear, product(sizes[k + 1:]))
        result.append(mod(part, size) if k else part)
    return result


def ravel(index: list[Dim], sizes: list[Dim]) -> Dim:
    """The number of the element at `index` in a box of `sizes`, row by row."""
    linear: Dim = 0
    for i, size in zip(index, sizes, strict=True):
        linear = linear * size + i
    return linear


def _reshape_source(index: Idx, x: TensorType, shape: tuple[Dim, ...]) -> Idx:
    after = [(i, d) for i, d in zip(index, reshaped(x, shape), strict=True) if d != 1]
    before = [d for d in x.shape if d != 1]
    found: list[Dim] = []
    for old, new in _groups(before, [d for _, d in after]):
        linear = ravel([i for i, _ in after[new]], [d for _, d in after[new]])
        found += unravel(linear, before[old])
    rest = iter(found)
    return tuple(0 if d == 1 else next(rest, 0) for d in x.shape)


def reshape(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The same elements, row by row, in another shape."""
    return x.reshape(shape)


view("reshape", reshaped, reshape, _reshape_source,
     sample("float32[3,5]", shape=(15,)), sample("float32[6,5]", shape=(2, 3, 5)),
     sample("float32[4,6]", shape=(3, 8)), sample("int32[2,3,7]", shape=(3, 14)),
     sample("float32[1,3,1]", shape=(3,)), sample("float32[]", shape=(1, 1)),
     sample("uint8[7]", shape=(7, 1)), sample("bool[2,2,3,5]", shape=(4, 5, 3)))


# copy

def copy(x: np.ndarray) -> np.ndarray:
    """The same values in a place of their own: those who read them do not compute them."""
    return np.array(x)


view("copy", lambda x: x.shape, copy, lambda index, _x: index,
     sample("float32[3,5]"), sample("int32[7,1]"), sample("uint8[5]", high=9), sample("bool[3]"))


# transpose, broadcast_to, slice

def _transpose_shape(x: TensorType, perm: tuple[int, ...]) -> tuple[Dim, ...]:
    if sorted(perm) != list(range(x.rank)):
        raise ShapeError(f"transpose of {x}: {list(perm)} is not a permutation of its axes")
    return tuple(x.shape[p] for p in perm)


def _transpose_source(index: Idx, x: TensorType, perm: tuple[int, ...]) -> Idx:
    return tuple(index[perm.index(k)] for k in range(len(perm)))


def transpose(x: np.ndarray, perm: tuple[int, ...]) -> np.ndarray:
    """The axes in another order: axis k of the result is axis `perm[k]`."""
    return np.transpose(x, perm)


view("transpose", _transpose_shape, transpose, _transpose_source,
     sample("float32[3,5]", perm=(1, 0)), sample("float32[2,3,5]", perm=(2, 0, 1)),
     sample("int32[1,3,2,5]", perm=(0, 2, 3, 1)), sample("bool[7]", perm=(0,)),
     sample("uint8[]", perm=()))


def _broadcast_shape(x: TensorType, shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    if broadcast(x.shape, shape) != shape:
        raise ShapeError(f"{x} does not broadcast to {_listed(shape)}")
    return shape


def _broadcast_source(index: Idx, x: TensorType, shape: tuple[Dim, ...]) -> Idx:
    return broadcast_index(index, x.shape)


def broadcast_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Repeated along new axes and along axes of size 1."""
    return np.broadcast_to(x, shape)


view("broadcast_to", _broadcast_shape, broadcast_to,
     _broadcast_source,
     sample("float32[3]", shape=(5, 3)), sample("float32[7,1]", shape=(7, 3)),
     sample("int32[1,3]", shape=(2, 5, 3)), sample("float32[]", shape=(3, 1)))


def _slice_shape(x: TensorType, starts: tuple[Dim, ...], sizes: tuple[Dim, ...],
                 steps: tuple[int, ...]) -> tuple[Dim, ...]:
    check_rank("slice", x, starts=starts, sizes=sizes, steps=steps)
    for size, start, count, step in zip(x.shape, starts, sizes, steps, strict=True):
        ends = (start, start + (count - 1) * step)
        outside = [e for e in ends if isinstance(e, int) and isinstance(size, int)
                   and not 0 <= e < size]
        if outside and count != 0:
            raise ShapeError(f"slice of {x} reads index {outside[0]} of a dimension of {size}")
    return sizes


def _slice_source(index: Idx, x: TensorType, starts: tuple[Dim, ...], sizes: tuple[Dim, ...],
                  steps: tuple[int, ...]) -> Idx:
    return tuple(i * step + start for i, start, step in zip(index, starts, steps, strict=True))


def slice_(x: np.ndarray, starts: tuple[int, ...], sizes: tuple[int, ...],
           steps: tuple[int, ...]) -> np.ndarray:
    """`sizes[k]` elements of each axis k, from `starts[k]` on, `steps[k]` apart."""
    for k, (start, size, step) in enumerate(zip(starts, sizes, steps, strict=True)):
        x = x.take(range(start, start + size * step, step), axis=k)
    return x


view("slice", _slice_shape, slice_, _slice_source,
     sample("float32[5,7]", starts=(1, 2), sizes=(3, 5), steps=(1, 1)),
     sample("float32[7,3]", starts=(0, 2), sizes=(4, 3), steps=(2, -1)),
     sample("int32[7]", starts=(6,), sizes=(3,), steps=(-3,)),
     sample("uint8[3,1,5]", starts=(2, 0, 0), sizes=(1, 1, 5), steps=(1, 1, 1)))


# sliding_window

def _window_shape(x: TensorType, axis: int, size: int, step: int) -> tuple[Dim, ...]:
    if not 0 <= axis < x.rank or size < 1 or step < 1:
        raise ShapeError(f"windows of {size} elements every {step} along axis {axis} of {x}")
    count = floordiv(x.shape[axis] - size, step) + 1
    if isinstance(count, int) and count < 1:
        raise ShapeError(f"axis {axis} of {x} has no window of {size} elements")
    return (*x.shape[:axis], count, size, *x.shape[axis + 1:])


def _window_source(index: Idx, x: TensorType, axis: int, size: int, step: int) -> Idx:
    window, place = index[axis:axis + 2]
    return (*index[:axis], window * step + place, *index[axis + 2:])


def sliding_window(x: np.ndarray, axis: int, size: int, step: int) -> np.ndarray:
    """Windows of `size` elements, every `step` along an axis; the next axis is within them."""
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    return np.moveaxis(windows, -1, axis + 1)[(slice(None),) * axis + (slice(None, None, step),)]


view("sliding_window", _window_shape, sliding_window, _window_source,
     sample("float32[9]", axis=0, size=4, step=2), sample("float32[2,7,3]", axis=1, size=3, step=1),
     sample("int32[3,8]", axis=1, size=2, step=3), sample("bool[5,1]", axis=0, size=5, step=1))


# pad, dilate

PAD_MODES = ("constant", "edge", "reflect", "wrap")


def _infer_pad(x: TensorType, low: tuple[Dim, ...], high: tuple[Dim, ...],
               mode: str = "constant", value: float = 0.0) -> TensorType:
    check_rank("pad", x, low=low, high=high)
    if mode not in PAD_MODES:
        raise ShapeError(f"pad has no mode {mode!r}", fix=f"use one of {', '.join(PAD_MODES)}")
    for size, amount in [*zip(x.shape, low, strict=True), *zip(x.shape, high, strict=True)]:
        if isinstance(amount, int) and amount < 0:
            raise ShapeError(f"pad of {x} by {amount}", fix="cut with a slice instead")
        if mode == "reflect" and amount != 0 and nonnegative(amount - size):
            raise ShapeError(f"pad of {x} by {amount}: reflecting needs more than {amount} "
                             f"elements, and there are {size}")
        if mode != "constant" and size == 0 and amount != 0:
            raise ShapeError(f"pad of {x}: there is nothing to repeat")
    return x.with_shape(a + s + b for a, s, b in zip(low, x.shape, high, strict=True))


def pad(x: np.ndarray, low: tuple[int, ...], high: tuple[int, ...], mode: str = "constant",
        value: float = 0.0) -> np.ndarray:
    """More elements at both ends of each axis: a value, the edge, a reflection, or the far end."""
    widths = tuple(zip(low, high, strict=True))
    if mode == "constant":
        return np.pad(x, widths, constant_values=np.asarray(value).astype(x.dtype))
    return np.pad(x, widths, mode=mode)  # type: ignore[call-overload, no-any-return]


def inside(i: Dim, size: Dim) -> list[Expr]:
    """Conditions that together mean `0 <= i < size`, those that can be proved left out."""
    conditions: list[Expr] = []
    if not nonnegative(i):
        conditions.append(call("less_equal", Const(0, "int32"), Index(i)))
    if not nonnegative(size - 1 - i):
        conditions.append(call("less", Index(i), size_expr(size)))
    return conditions


def size_expr(size: Dim) -> Expr:
    """A size as an int32 value."""
    return Const(size, "int32") if isinstance(size, int) else Index(size)


def guarded(conditions: list[Expr], value: Callable[[], Expr], other: Expr) -> Expr:
    """`value` where all conditions hold, else `other`; a target evaluates only the one it takes."""
    if not conditions:
        return value()
    return call("select", reduce(lambda a, b: call("logical_and", a, b), conditions),
                value(), other)


def constant_of(value: float, dtype: str) -> Const:
    """`value` as a constant of `dtype`."""
    kind = {"float32": float, "int32": int, "uint8": int, "bool": bool}[dtype]
    return Const(kind(value), dtype)


def _edge(i: Dim, size: Dim, low: Dim) -> Dim:
    if not nonnegative(i) or not nonnegative(size - 1 - i):
        value = call("maximum", Index(i), Const(0, "int32"))
        return atom(Opaque(call("minimum", value, size_expr(size - 1)), 0, size - 1))
    return i


def _reflect(i: Dim, size: Dim, low: Dim) -> Dim:
    """`last - |last - |i||`: right for at most `last` elements beyond either end."""
    last = size_expr(size - 1)
    value = call("sub", last, call("abs", call("sub", last, call("abs", Index(i)))))
    return atom(Opaque(value, 0, size - 1))


def _wrap(i: Dim, size: Dim, low: Dim) -> Dim:
    """`i % size`, moved up by whole periods so that no target divides a negative number."""
    periods = ceildiv(low, size) if isinstance(low, int) and isinstance(size, int) else 1
    return mod(i + size * periods, size)


def _pad_at(index: Idx, x: Accessor, low: tuple[Dim, ...], high: tuple[Dim, ...],
            mode: str = "constant", value: float = 0.0) -> Expr:
    moved = tuple(i - a for i, a in zip(index, low, strict=True))
    shape = x.type.shape
    if mode == "constant":
        conditions = [c for i, size in zip(moved, shape, strict=True) for c in inside(i, size)]
        return guarded(conditions, lambda: x(*moved), constant_of(value, x.type.dtype))
    rule = {"edge": _edge, "reflect": _reflect, "wrap": _wrap}[mode]
    return x(*(i if a == 0 and b == 0 else rule(i, size, a) for i, size, a, b in
               zip(moved, shape, low, high, strict=True)))


def _padded(text: str, low: Idx, high: Idx, mode: str, value: float = 0.0) -> Sample:
    return Sample((text,), {"low": low, "high": high, "mode": mode, "value": value})


register(Op("pad", _infer_pad, pad, Pointwise(_pad_at, "view"), (
    _padded("float32[3,5]", (1, 0), (2, 3), "constant", 0.5),
    _padded("float32[1,5,7,3]", (0, 1, 1, 0), (0, 1, 1, 0), "constant", float("-inf")),
    _padded("int32[7]", (2,), (0,), "constant", -1),
    _padded("uint8[3]", (0,), (2,), "constant", 7),
    _padded("bool[3,1]", (0, 2), (0, 0), "constant", 1.0),
    *(_padded("float32[5,3]", (2, 1), (0, 2), mode) for mode in PAD_MODES[1:]),
    *(_padded("int32[7]", (6,), (6,), mode) for mode in PAD_MODES[1:]),
    _padded("float32[3]", (7,), (8,), "wrap"))))


def _infer_dilate(x: TensorType, factors: tuple[int, ...]) -> TensorType:
    check_rank("dilate", x, factors=factors)
    if any(f < 1 for f in factors):
        raise ShapeError(f"dilate of {x} by {list(factors)}", why="factors are at least 1")
    return x.with_shape(d if d == 0 else (d - 1) * f + 1
                        for d, f in zip(x.shape, factors, strict=True))


def dilate(x: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """Zeros between neighbours: element i of an axis moves to i * factor."""
    shape = tuple(d and (d - 1) * f + 1 for d, f in zip(x.shape, factors, strict=True))
    result = np.zeros(shape, x.dtype)
    result[tuple(slice(None, None, f) for f in factors)] = x
    return result


def _dilate_at(index: Idx, x: Accessor, factors: tuple[int, ...]) -> Expr:
    zero = Const(0, "int32")
    conditions: list[Expr] = [call("equal", Index(rest), zero) for i, f in
                              zip(index, factors, strict=True) if (rest := mod(i, f)) != 0]
    source = tuple(floordiv(i, f) for i, f in zip(index, factors, strict=True))
    return guarded(conditions, lambda: x(*source), constant_of(0, x.type.dtype))


register(Op("dilate", _infer_dilate, dilate, Pointwise(_dilate_at, "view"), (
    sample("float32[3,5]", factors=(2, 1)), sample("float32[1,3,1,7]", factors=(1, 2, 3, 1)),
    sample("int32[5]", factors=(3,)), sample("bool[3]", factors=(2,)))))
