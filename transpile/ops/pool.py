"""Pools in PyTorch's layout `[N, C, *S]`; inside, windows over channels-last images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from transpile.ir.dims import Dim
from transpile.ops.composite import Value, apply, composite, floating, static
from transpile.ops.registry import sample
from transpile.ops.window import (
    Padding,
    Pairs,
    Spatial,
    channels_first,
    channels_last,
    check_image,
    last_axes,
    pad_spatial,
    padding_pairs,
    spatial,
    windows,
)


def _ceil_extra(size: Dim, pair: tuple[int, int], kernel: int, stride: int, dilation: int) -> int:
    """What `ceil_mode` adds after a dimension, so that a last partial window counts.

    PyTorch drops a window that would start in the padding behind the input.
    """
    n = static(size, "a pool with ceil_mode")
    reach = dilation * (kernel - 1) + 1
    count = -((n + sum(pair) - reach) // -stride) + 1
    if (count - 1) * stride >= n + pair[0]:
        count -= 1
    return max((count - 1) * stride + reach - n - sum(pair), 0)


def _extras(shape: Sequence[Dim], pairs: Pairs, kernel: Sequence[int], stride: Sequence[int],
            dilation: Sequence[int], ceil_mode: bool) -> Pairs:
    if not ceil_mode:
        return ((0, 0),) * len(pairs)
    return tuple((0, _ceil_extra(n, p, k, s, d))
                 for n, p, k, s, d in zip(shape, pairs, kernel, stride, dilation, strict=True))


def _joined(a: Pairs, b: Pairs) -> Pairs:
    return tuple((p[0] + q[0], p[1] + q[1]) for p, q in zip(a, b, strict=True))


def lowest(dtype: np.dtype[Any]) -> Any:
    """What is below or equal to every value of a dtype: the padding of a maximum."""
    if dtype == np.bool_:
        return False
    return -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)


def _max_pool(x: Value, *, rank: int, kernel_size: Spatial, stride: Spatial | None = None,
              padding: Padding = 0, dilation: Spatial = 1, ceil_mode: bool = False) -> Value:
    check_image(x, f"max_pool{rank}d", rank)
    kernel = spatial(kernel_size, rank, "kernel_size")
    stride = spatial(kernel if stride is None else stride, rank, "stride")
    dilation = spatial(dilation, rank, "dilation")
    pairs = padding_pairs(padding, kernel, stride, dilation)
    pairs = _joined(pairs, _extras(x.shape[2:], pairs, kernel, stride, dilation, ceil_mode))
    image = pad_spatial(channels_last(x), pairs, lowest(x.dtype))
    return channels_first(apply("window_max", image, window=kernel, stride=stride,
                                dilation=dilation))


def _avg_pool(x: Value, *, rank: int, kernel_size: Spatial, stride: Spatial | None = None,
              padding: Padding = 0, ceil_mode: bool = False,
              count_include_pad: bool = True) -> Value:
    check_image(x, f"avg_pool{rank}d", rank)
    kernel = spatial(kernel_size, rank, "kernel_size")
    stride = spatial(kernel if stride is None else stride, rank, "stride")
    ones = (1,) * rank
    pairs = padding_pairs(padding, kernel, stride, ones)
    extras = _extras(x.shape[2:], pairs, kernel, stride, ones, ceil_mode)

    def total(image: Value) -> Value:
        return apply("window_sum", image, window=kernel, stride=stride, dilation=ones)

    y = total(pad_spatial(channels_last(x), _joined(pairs, extras)))
    counted_pad = count_include_pad or not any(map(any, pairs))
    if counted_pad and not any(map(any, extras)):
        return channels_first(y * (1 / float(np.prod(kernel))))
    # Windows at the edge hold fewer elements: count them by pooling ones.
    unit = apply("broadcast_to", 1.0, shape=(1, *x.shape[2:], 1))
    unit = pad_spatial(unit, pairs, 1.0 if count_include_pad else 0.0)
    return channels_first(y / total(pad_spatial(unit, extras)))


def _adaptive(x: Value, *, rank: int, output_size: Spatial, kind: str) -> Value:
    check_image(x, f"adaptive_{kind}_pool{rank}d", rank)
    sizes = spatial(output_size, rank, "output_size")
    single = tuple(i + 2 for i, n in enumerate(sizes) if n == 1)
    if single:
        x = _combine(x, single, kind)
    for i, n in enumerate(sizes):
        x = x if n == 1 else _adaptive_axis(x, i + 2, n, kind)
    return x


def _combine(x: Value, axes: tuple[int, ...], kind: str) -> Value:
    return x.mean(axis=axes, keepdims=True) if kind == "avg" else x.max(axis=axes, keepdims=True)


def _adaptive_axis(x: Value, axis: int, count: int, kind: str) -> Value:
    """Pool one axis to `count` elements; windows are boxes, so axes can go one by one."""
    n = static(x.shape[axis], "an adaptive pool to more than one element")
    if n == count:
        return x
    if n % count == 0:
        split = x.reshape((*x.shape[:axis], count, n // count, *x.shape[axis + 1:]))
        return _combine(split, (axis + 1,), kind).reshape(
            (*x.shape[:axis], count, *x.shape[axis + 1:]))
    slots = [_combine(x[(slice(None),) * axis + (slice(i * n // count,
                                                       -(-(i + 1) * n // count)),)],
                      (axis,), kind) for i in range(count)]
    return apply("concat", *slots, axis=axis)


def _padded(x: np.ndarray, pairs: Pairs, value: float) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *pairs), constant_values=value)


def _pooled(x: np.ndarray, kernel: Spatial, stride: Spatial | None, padding: Padding,
            dilation: Spatial, ceil_mode: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of x, of a mask of its elements, and of a mask that takes the padding in."""
    rank = x.ndim - 2
    kernel = spatial(kernel, rank, "kernel_size")
    stride, dilation = spatial(stride or kernel, rank, "stride"), spatial(dilation, rank, "")
    pairs = padding_pairs(padding, kernel, stride, dilation)
    # One more stride of room behind, and then as many windows as the rule of ceil_mode keeps.
    room: Pairs = tuple((0, s if ceil_mode else 0) for s in stride)
    shape = (1, 1, *x.shape[2:])
    real = _padded(_padded(np.ones(shape), pairs, 0), room, 0)
    inside = _padded(_padded(np.ones(shape), pairs, 1), room, 0)
    parts = [windows(a, kernel, stride, dilation)
             for a in (_padded(x, _joined(pairs, room), 0), real, inside)]
    keep = [_kept(n, p, k, s, d, ceil_mode) for n, p, k, s, d in
            zip(x.shape[2:], pairs, kernel, stride, dilation, strict=True)]
    cut = (slice(None), slice(None), *(slice(k) for k in keep))
    return parts[0][cut], parts[1][cut], parts[2][cut]


def _kept(size: int, pair: tuple[int, int], kernel: int, stride: int, dilation: int,
          ceil_mode: bool) -> int:
    span = size + sum(pair) - dilation * (kernel - 1) - 1
    starts = [i for i in range(0, span + stride, stride)
              if i <= span or (ceil_mode and i < size + pair[0])]
    return len(starts)


def max_pool(x: np.ndarray, *, kernel_size: Spatial, stride: Spatial | None = None,
             padding: Padding = 0, dilation: Spatial = 1, ceil_mode: bool = False) -> np.ndarray:
    """The largest element of each window; padding never wins."""
    parts, real, _ = _pooled(x, kernel_size, stride, padding, dilation, ceil_mode)
    axes = tuple(range(x.ndim, parts.ndim))
    return np.asarray(np.max(parts, axes, where=real > 0, initial=lowest(x.dtype)))


def avg_pool(x: np.ndarray, *, kernel_size: Spatial, stride: Spatial | None = None,
             padding: Padding = 0, ceil_mode: bool = False,
             count_include_pad: bool = True) -> np.ndarray:
    """The mean of each window, counting the padding or not."""
    x = floating(x)
    parts, real, inside = _pooled(x, kernel_size, stride, padding, 1, ceil_mode)
    axes = tuple(range(x.ndim, parts.ndim))
    count = (inside if count_include_pad else real).sum(axes)
    return np.asarray(parts.sum(axes) / count).astype(x.dtype)


def _adaptive_reference(x: np.ndarray, output_size: Spatial, kind: str) -> np.ndarray:
    sizes = spatial(output_size, x.ndim - 2, "output_size")
    y = np.empty((*x.shape[:2], *sizes), x.dtype)
    axes = tuple(range(2, x.ndim))
    for at in np.ndindex(*sizes):
        box = (slice(int(np.floor(i * n / m)), int(np.ceil((i + 1) * n / m)))
               for i, n, m in zip(at, x.shape[2:], sizes, strict=True))
        part = x[last_axes(box)]
        y[last_axes(at)] = part.mean(axes) if kind == "avg" else part.max(axes)
    return y


def adaptive_avg_pool(x: np.ndarray, *, output_size: Spatial) -> np.ndarray:
    """The mean of windows chosen so that the output has a given size."""
    return _adaptive_reference(floating(x), output_size, "avg")


def adaptive_max_pool(x: np.ndarray, *, output_size: Spatial) -> np.ndarray:
    """The largest element of windows chosen so that the output has a given size."""
    return _adaptive_reference(x, output_size, "max")


for _rank, _shape in ((1, "float32[2,3,9]"), (2, "float32[1,2,7,9]")):
    composite(f"max_pool{_rank}d", partial(_max_pool, rank=_rank), max_pool, [
        sample(_shape, kernel_size=2), sample(_shape, kernel_size=3, stride=2, padding=1),
        sample(_shape, kernel_size=2, stride=2, dilation=2, ceil_mode=True)])
    composite(f"avg_pool{_rank}d", partial(_avg_pool, rank=_rank), avg_pool, [
        sample(_shape, kernel_size=2), sample(_shape, kernel_size=3, stride=2, padding=1),
        sample(_shape, kernel_size=3, stride=2, padding=1, count_include_pad=False),
        sample(_shape, kernel_size=2, ceil_mode=True)])
    composite(f"adaptive_avg_pool{_rank}d", partial(_adaptive, rank=_rank, kind="avg"),
              adaptive_avg_pool, [sample(_shape, output_size=1), sample(_shape, output_size=4)])
    composite(f"adaptive_max_pool{_rank}d", partial(_adaptive, rank=_rank, kind="max"),
              adaptive_max_pool, [sample(_shape, output_size=1), sample(_shape, output_size=3)])
