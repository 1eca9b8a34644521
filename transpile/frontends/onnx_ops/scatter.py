"""Scatters, and what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import spatial_ints
from transpile.frontends.onnx_ops.shapes import axis_attr
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply, cast
from transpile.ir.dims import product


@onnx_op("ScatterND")
def scatter_nd(n: Site) -> Any:
    return apply("scatter_nd", n[0], cast(n[1], "int32"), n[2],
                 reduction=n.attr("reduction", "none"))


@onnx_op("ScatterElements", "Scatter")
def scatter_elements(n: Site) -> Any:
    x, index, updates = n[0], cast(n[1], "int32"), n[2]
    axis = axis_attr(n, x.ndim)
    own = [index if k == axis else apply("iota", shape=index.shape, axis=k, dtype="int32")
           for k in range(x.ndim)]
    return apply("scatter_nd", x, np.stack(own, axis=-1), updates,
                 reduction=n.attr("reduction", "none"))


@onnx_op("TensorScatter")
def tensor_scatter(n: Site) -> Any:
    """A cache with a block written at a place of its own for each batch: a choice by position."""
    cache, update = n[0], n[1]
    axis = int(n.attr("axis", -2)) % cache.ndim
    place = apply("iota", shape=tuple(d if k == axis else 1 for k, d in enumerate(cache.shape)),
                  axis=axis, dtype="int32")
    start = n[2].reshape((-1,) + (1,) * (cache.ndim - 1)) if n.has(2) else np.int32(0)
    offset = place - start
    if n.attr("mode", "linear") == "circular":
        offset = offset % cache.shape[axis]
    inside = (offset >= 0) & (offset < update.shape[axis])
    wide = np.broadcast_to(np.maximum(offset, 0), (
        *update.shape[:axis], cache.shape[axis], *update.shape[axis + 1:]))
    return np.where(inside, apply("take_along_axis", update, wide, axis=axis), cache)


@onnx_op("MaxUnpool")
def max_unpool(n: Site) -> Any:
    """Values go back to where the indices, into the smallest flattened output, say."""
    x, index = n[0], cast(n[1], "int32")
    shape = x.shape[:2] + _unpooled(n, x)
    final = n.sizes(2, "output_shape") if n.has(2) else shape
    flat = np.zeros((), x.dtype) + apply("broadcast_to", np.float32(0), shape=(product(shape),))
    found = apply("scatter_nd", flat, index.reshape((-1, 1)), x.ravel(), reduction="none")
    y = found.reshape(shape)
    high = tuple(b - a for a, b in zip(shape, final, strict=True))
    if not any(h != 0 for h in high):
        return y
    return apply("pad", y, low=(0,) * y.ndim, high=high, mode="constant", value=0.0)


def _unpooled(n: Site, x: Tensor) -> tuple[Any, ...]:
    kernel = n.required("kernel_shape")
    rank = len(kernel)
    stride, pads = spatial_ints(n, "strides", rank), n.attr("pads", (0,) * (2 * rank))
    return tuple((size - 1) * s - pads[k] - pads[k + rank] + kernel[k]
                 for k, (size, s) in enumerate(zip(x.shape[2:], stride, strict=True)))


@onnx_op("Col2Im")
def col2im(n: Site) -> Any:
    """Columns added up to an image: a transposed convolution with one-hot kernels."""
    x = n[0]
    image, block = n.ints(1, "the image's shape"), n.ints(2, "the block's shape")
    rank = len(block)
    stride, dilation = spatial_ints(n, "strides", rank), spatial_ints(n, "dilations", rank)
    pads = n.attr("pads", (0,) * (2 * rank))
    taps = int(np.prod(block))
    channels = x.shape[1] // taps
    counts = tuple((size + pads[k] + pads[k + rank] - d * (b - 1) - 1) // s + 1 for k, (
        size, d, b, s) in enumerate(zip(image, dilation, block, stride, strict=True)))
    weight = np.tile(np.eye(taps, dtype=np.float32).reshape((taps, 1, *block)),
                     (channels, 1, *(1,) * rank))
    # What the strides leave over behind the last column is padding of the output.
    reach = [(c - 1) * s + d * (b - 1) + 1 for c, s, d, b in
             zip(counts, stride, dilation, block, strict=True)]
    extra = tuple(size + pads[k] - r for k, (size, r) in enumerate(zip(image, reach, strict=True)))
    return apply(f"conv_transpose{rank}d", x.reshape((x.shape[0], x.shape[1], *counts)), weight,
                 stride=stride, dilation=dilation, groups=channels, padding=tuple(pads[:rank]),
                 output_padding=tuple(e + pads[k] for k, e in enumerate(extra)))
