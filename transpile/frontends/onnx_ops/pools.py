"""Pools: windows, global ones, and their inverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product as box
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import (
    Pairs,
    pad_pairs,
    padded_ends,
    spatial_ints,
    static_sizes,
)
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import Tracer, apply
from transpile.ir.dims import Dim
from transpile.ops.window import channels_first, channels_last, pad_spatial


class Window:
    """The window attributes of a pool, and how it reaches over an image's edges."""

    def __init__(self, n: Site, x: Tensor) -> None:
        self.kernel = tuple(int(k) for k in n.required("kernel_shape"))
        rank = len(self.kernel)
        self.stride = spatial_ints(n, "strides", rank)
        self.dilation = spatial_ints(n, "dilations", rank)
        self.pairs = pad_pairs(n, x.shape[2:], self.kernel, self.stride, self.dilation)
        self.extras: Pairs = ((0, 0),) * rank
        if n.attr("ceil_mode", 0):
            self.extras = tuple((0, self._extra(n, a, d)) for a, d in enumerate(x.shape[2:]))

    def _extra(self, n: Site, axis: int, size: Dim) -> Dim:
        """What ceil_mode adds behind, unless the last window would start in the padding."""
        low, high = self.pairs[axis]
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        stride = self.stride[axis]
        start = (size + low + high - reach + stride - 1) // stride * stride
        never = isinstance(high, int) and high + stride <= reach
        if not never:
            last, *inside = static_sizes(n, [start, size, low], "ceil_mode")
            start = last - stride if last >= sum(inside) else last
        extra = start + reach - size - low - high
        return max(extra, 0) if isinstance(extra, int) else extra

    def padded(self, image: Tensor, value: float, edge: float | None = None) -> Tensor:
        """`[N, *S, C]` with padding of `value`, and what ceil_mode adds of `edge`."""
        for pairs, fill in ((self.pairs, value), (self.extras, value if edge is None else edge)):
            image = pad_spatial(*padded_ends(image, pairs, fill, 1), fill)
        return image

    def slide(self, op: str, image: Tensor) -> Tensor:
        return apply(op, image, window=self.kernel, stride=self.stride, dilation=self.dilation)

    def total(self, image: Tensor) -> Tensor:
        return self.slide("window_sum", self.padded(image, 0.0))


def wide(pairs: Pairs) -> bool:
    """True if there is, or may be, any padding."""
    return any(p != 0 for pair in pairs for p in pair)


@onnx_op("AveragePool")
def average_pool(n: Site) -> Any:
    x = n[0]
    window = Window(n, x)
    inside = 1.0 if n.attr("count_include_pad", 0) else 0.0
    total = window.total(channels_last(x))
    plain = inside or not wide(window.pairs)
    if plain and not wide(window.extras):
        return channels_first(total * np.float32(1 / np.prod(window.kernel)))
    unit = apply("broadcast_to", np.float32(1), shape=(1, *x.shape[2:], 1))
    counts = window.slide("window_sum", window.padded(unit, inside, 0.0))
    return channels_first(total / counts)


@onnx_op("MaxPool")
def max_pool(n: Site) -> Any:
    x = n[0]
    window = Window(n, x)
    least = -np.inf if x.dtype.kind == "f" else 0 if x.dtype == np.uint8 else -2**31
    image = window.padded(channels_last(x), least)
    best = channels_first(window.slide("window_max", image))
    return (best, max_indices(n, x, window)) if n.wants(1) else best


def max_indices(n: Site, x: Tensor, window: Window) -> Tensor:
    """The position of each window's first maximum in the flattened input."""
    sizes = static_sizes(n, x.shape, "Indices")
    numbers = np.arange(np.prod(sizes), dtype=np.int32).reshape(sizes)
    if n.attr("storage_order", 0):
        order = (0, 1, *range(len(sizes) - 1, 1, -1))
        numbers = np.arange(numbers.size, dtype=np.int32).reshape(
            [sizes[k] for k in order]).transpose(order)
    image = window.padded(channels_last(x), -np.inf)
    places = window.padded(channels_last(Tracer(_constant(numbers))), 0)
    best, where = None, None
    for value, index in zip(taps(image, window), taps(places, window), strict=True):
        if best is None or where is None:
            best, where = value, index
        else:
            where = np.where(value > best, index, where)
            best = np.maximum(value, best)
    return channels_first(where)


def _constant(array: np.ndarray) -> Any:
    from transpile.ir.graph import constant
    return constant(array)


def taps(image: Tensor, window: Window) -> list[Tensor]:
    """`[N, *S, C]` as each position in the window meets it."""
    counts: list[Dim] = [
        (size - d * (k - 1) - 1) // s + 1 for size, k, s, d in
        zip(image.shape[1:-1], window.kernel, window.stride, window.dilation, strict=True)]
    return [apply("slice", image,
                  starts=(0, *(t * d for t, d in zip(tap, window.dilation, strict=True)), 0),
                  sizes=(image.shape[0], *counts, image.shape[-1]),
                  steps=(1, *window.stride, 1))
            for tap in box(*map(range, window.kernel))]


@onnx_op("LpPool")
def lp_pool(n: Site) -> Any:
    p = n.attr("p", 2)
    power = apply("pow", np.abs(n[0]), np.float32(p))
    total = Window(n, n[0]).total(channels_last(power))
    return channels_first(np.power(total, np.float32(1 / p)))


def _global(function: Callable[..., Any]) -> Callable[[Site], Any]:
    return lambda n: function(n[0], tuple(range(2, n[0].ndim)))


def lp_norm(x: Tensor, p: float, axes: Sequence[int]) -> Any:
    """The p-norm over axes, which stay with size 1."""
    if p == 2:
        return np.sqrt(np.sum(x * x, axis=tuple(axes), keepdims=True))
    total = np.sum(np.power(np.abs(x), np.float32(p)), axis=tuple(axes), keepdims=True)
    return total if p == 1 else np.power(total, np.float32(1 / p))


onnx_op("GlobalAveragePool")(_global(lambda x, axes: x.mean(axis=axes, keepdims=True)))
onnx_op("GlobalMaxPool")(_global(lambda x, axes: x.max(axis=axes, keepdims=True)))


@onnx_op("GlobalLpPool")
def global_lp_pool(n: Site) -> Any:
    return lp_norm(n[0], n.attr("p", 2), range(2, n[0].ndim))
