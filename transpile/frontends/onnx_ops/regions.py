"""RoiAlign: bins of regions of images, sampled between the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import static_sizes
from transpile.frontends.onnx_ops.sampling import read, whole
from transpile.frontends.onnx_values import Site, Tensor, f32
from transpile.frontends.tracer import apply, cast
from transpile.ir.dims import product


@onnx_op("RoiAlign")
def roi_align(n: Site) -> Any:
    """Bilinear samples inside each bin of each region, averaged or maximised (Mask R-CNN)."""
    x, rois, batch = n[0], n[1], cast(n[2], "int32")
    rows, columns = int(n.attr("output_height", 1)), int(n.attr("output_width", 1))
    samples = int(n.attr("sampling_ratio", 0))
    half = n.attr("coordinate_transformation_mode", "half_pixel" if n.version >= 16
                  else "output_half_pixel") == "half_pixel"
    height, width = static_sizes(n, x.shape[2:], "RoiAlign")
    scale, shift = f32(n.attr("spatial_scale", 1.0)), f32(0.5 if half else 0.0)
    if samples == 0:
        if n.attr("mode", "avg") == "max":
            raise n.refuse("the maximum with sampling_ratio=0",
                           "how many numbers it is of would depend on values")
        down, along = (weights(rois, axis, scale, shift, bins, size, half) for axis, bins, size in (
            (1, rows, height), (0, columns, width)))
        return averaged(x, batch, down, along)
    ys = _samples(rois, 1, scale, shift, rows, samples, half)
    xs = _samples(rois, 0, scale, shift, columns, samples, half)
    image = apply("take", x, batch, axis=0)
    y, dy = _pair(ys, height)
    z, dz = _pair(xs, width)
    corners = [(a, b, wa, wb) for a, wa in zip(y, dy, strict=True)
               for b, wb in zip(z, dz, strict=True)]
    grid = (ys.shape[0], ys.shape[1], xs.shape[1])
    parts = []
    for a, b, wa, wb in corners:
        place = (np.broadcast_to(a[:, :, None], grid), np.broadcast_to(b[:, None, :], grid))
        flat = [p.reshape((grid[0], product(grid[1:]))) for p in place]
        weight = (wa[:, :, None] * wb[:, None, :]).reshape((grid[0], 1, product(grid[1:])))
        parts.append(read(image, flat) * weight)
    maximum = n.attr("mode", "avg") == "max"
    joined: Any = parts[0]
    for part in parts[1:]:
        joined = np.maximum(joined, part) if maximum else joined + part
    split = joined.reshape((grid[0], x.shape[1], rows, samples, columns, samples))
    return split.max(axis=(3, 5)) if maximum else split.mean(axis=(3, 5))


def _samples(rois: Tensor, axis: int, scale: Any, shift: Any, bins: int, samples: int,
             half: bool) -> Any:
    """Sample coordinates `[R, bins*samples]` along one axis."""
    start = rois[:, axis] * scale - shift
    extent = rois[:, axis + 2] * scale - shift - start
    if not half:
        extent = np.maximum(extent, f32(1))
    steps = ((np.arange(bins * samples) + 0.5) / (bins * samples)).astype(np.float32)
    return start[:, None] + extent[:, None] * steps


def _pair(at: Any, size: int) -> tuple[list[Any], list[Any]]:
    """The two neighbours of each coordinate and their weights; zero beyond one element outside."""
    inside = cast((at >= f32(-1)) & (at <= f32(size)), "float32")
    at = np.maximum(at, f32(0))
    low = np.minimum(np.floor(at), f32(size - 1))
    high = np.minimum(low + f32(1), f32(size - 1))
    t = np.where(low >= f32(size - 1), f32(0), at - low)
    return [whole(low), whole(high)], [(f32(1) - t) * inside, t * inside]


# --- as many samples as a region has pixels -----------------------------------------------
NEAR = 6
"""Samples of one bin that lie within a pixel of a place: they are more than half a pixel apart."""


def weights(rois: Tensor, axis: int, scale: Any, shift: Any, bins: int, size: int,
            half: bool) -> Any:
    """What each pixel of an axis counts for in the mean of each bin: float32[R, bins, size].

    A bin of `length` pixels has ceil(length) samples, so that every pixel looks at the few near to
    it, however large the region is.
    """
    start = apply("copy", rois[:, axis] * scale - shift)
    extent = apply("copy", rois[:, axis + 2] * scale - shift - start)
    if not half:
        extent = np.maximum(extent, f32(1))
    length = apply("copy", extent / f32(bins))[:, None, None]  # rounded as in float32
    count = np.ceil(length)
    step = length / np.maximum(count, f32(1))
    first = start[:, None, None] + length * np.arange(bins, dtype=np.float32)[:, None]
    pixel = np.arange(size, dtype=np.float32)
    lowest = np.ceil((pixel - f32(1) - first) / np.where(step > f32(0), step, f32(1)) - f32(0.5))
    number = np.maximum(lowest - f32(1), f32(0))[..., None] + np.arange(NEAR, dtype=np.float32)
    at = first[..., None] + (number + f32(0.5)) * step[..., None]
    counts = (number >= f32(0)) & (number < count[..., None]) & (at >= f32(-1)) & (at <= f32(size))
    apart = np.abs(np.clip(at, f32(0), f32(size - 1)) - pixel[:, None])
    shares = np.where(counts, np.maximum(f32(1) - apart, f32(0)), f32(0)).sum(axis=-1)
    return shares / np.maximum(count, f32(1))


def averaged(x: Tensor, batch: Tensor, down: Any, along: Any) -> Any:
    """Means over bins as two products: x[N, C, H, W], down[R, i, H], along[R, j, W]."""
    regions, rows, height = down.shape
    columns = along.shape[1]
    if x.shape[0] == 1:
        channels, width = x.shape[1], x.shape[3]
        image = x.reshape((channels, height, width)).transpose((1, 0, 2))
        part = down.reshape((regions * rows, height)) @ image.reshape((height, channels * width))
        part = part.reshape((regions, rows * channels, width)) @ along.transpose((0, 2, 1))
        return part.reshape((regions, rows, channels, columns)).transpose((0, 2, 1, 3))
    images = apply("take", x, batch, axis=0)
    part = images @ along.transpose((0, 2, 1))[:, None]
    return down[:, None] @ part
