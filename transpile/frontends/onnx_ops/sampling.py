"""Values between the elements of a tensor: GridSample, deformable convolution."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as box
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import spatial_ints, static_sizes
from transpile.frontends.onnx_values import Site, Tensor, f32
from transpile.frontends.tracer import apply, cast
from transpile.ir.dims import product


def read(x: Tensor, index: Sequence[Tensor]) -> Tensor:
    """Elements of `[N, C, *S]` at integer places `[N, P]` for each axis: `[N, C, P]`."""
    flat = x.reshape((*x.shape[:2], product(x.shape[2:])))
    linear: Any = np.int32(0)
    for place, size in zip(index, x.shape[2:], strict=True):
        linear = linear * size + place
    return apply("take_along_axis", flat, np.expand_dims(linear, 1), axis=2)


def whole(value: Tensor) -> Tensor:
    return cast(value, "int32")


# --- GridSample ---------------------------------------------------------------------------
def placed(grid: Tensor, size: int, corners: bool) -> Any:
    """Coordinates of -1 to 1 in units of elements."""
    if corners:
        return (grid + f32(1)) * f32((size - 1) / 2)
    return ((grid + f32(1)) * f32(size) - f32(1)) * f32(0.5)


def reflected(x: Tensor, size: int, corners: bool) -> Any:
    """Coordinates mirrored at the borders until they lie inside."""
    low, high = (0.0, size - 1.0) if corners else (-0.5, size - 0.5)
    span = high - low
    if span == 0:
        return x * f32(0)
    distance = np.abs(x - f32(low))
    turns = np.floor(distance / f32(span))
    rest = distance - turns * f32(span)
    odd = turns - np.floor(turns * f32(0.5)) * f32(2)
    return np.where(odd == f32(0), rest + f32(low), f32(high) - rest)


def bordered(x: Any, size: int, padding: str, corners: bool) -> Any:
    """Coordinates after the padding mode; zeros keep them."""
    if padding == "border":
        return np.clip(x, f32(0), f32(size - 1))
    if padding == "reflection":
        return np.clip(reflected(x, size, corners), f32(0), f32(size - 1))
    return x


def cubic_weights(t: Any) -> list[Any]:
    """Weights of four neighbours at a distance of `t` behind the second (Keys, a = -0.75)."""
    a = -0.75

    def near(d: Any) -> Any:
        return (f32(a + 2) * d - f32(a + 3)) * d * d + f32(1)

    def far(d: Any) -> Any:
        return ((f32(a) * d - f32(5 * a)) * d + f32(8 * a)) * d - f32(4 * a)
    return [far(t + f32(1)), near(t), near(f32(1) - t), far(f32(2) - t)]


def neighbours(x: Any, mode: str) -> list[tuple[Any, Any]]:
    """Places (as floats) and weights along one axis."""
    if mode == "nearest":
        return [(np.rint(x), None)]
    base = np.floor(x)
    t = x - base
    if mode == "linear":
        return [(base, f32(1) - t), (base + f32(1), t)]
    return [(base + f32(k - 1), w) for k, w in enumerate(cubic_weights(t))]


@onnx_op("GridSample")
def grid_sample(n: Site) -> Any:
    x, grid = n[0], n[1]
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(n.attr("mode", "linear"),
                                                          n.attr("mode", "linear"))
    padding, corners = n.attr("padding_mode", "zeros"), bool(n.attr("align_corners", 0))
    sizes = static_sizes(n, x.shape[2:], "GridSample")
    out = grid.shape[1:-1]
    flat = grid.reshape((grid.shape[0], product(out), len(sizes)))
    axes = []
    for k, size in enumerate(sizes):
        at = placed(flat[..., len(sizes) - 1 - k], size, corners)
        if mode == "nearest":  # rounded before it is mirrored: of two neighbours the even one
            at = np.rint(at)
        if mode != "cubic":
            at = bordered(at, size, padding, corners)
        axes.append([(bordered(p, size, padding, corners) if mode == "cubic" else p, w, size)
                     for p, w in neighbours(at, mode)])
    total = gathered_sum(x, list(box(*axes)), padding == "zeros")
    return total.reshape((*x.shape[:2], *out))


def gathered_sum(x: Tensor, combinations: list[Any], zeros: bool) -> Any:
    """The weighted sum over combinations of (place, weight, size), one for each axis."""
    total: Any = None
    for combination in combinations:
        value: Any = read(x, [whole(np.clip(p, f32(0), f32(s - 1))) for p, _, s in combination])
        for p, w, s in combination:
            if w is not None:
                value = value * np.expand_dims(w, 1)
            if zeros:
                inside = (p >= f32(0)) & (p <= f32(s - 1))
                value = np.where(np.expand_dims(inside, 1), value, f32(0))
        total = value if total is None else total + value
    return total


# --- deformable convolution ---------------------------------------------------------------
@onnx_op("DeformConv")
def deform_conv(n: Site) -> Any:
    """A convolution whose taps are moved by offsets and scaled by a mask (Dai et al. 2017)."""
    x, weight, offset = n[0], n[1], n[2]
    kernel = static_sizes(n, weight.shape[2:], "the kernel")
    if len(kernel) != 2:
        raise n.refuse("only two spatial dimensions are supported")
    groups, shares = int(n.attr("group", 1)), int(n.attr("offset_group", 1))
    batch, channels = x.shape[:2]
    out = offset.shape[2:]
    taps = kernel[0] * kernel[1]
    moves = offset.reshape((batch, shares, taps, 2, *out))
    parts = []
    for share in range(shares):
        each = channels // shares
        part = x[:, share * each:(share + 1) * each]
        values = _tap_values(n, part, moves[:, share], kernel, out)
        if n.has(4):
            mask = n[4].reshape((batch, shares, 1, taps, product(out)))[:, share]
            values = values * mask
        parts.append(values)
    columns = np.concatenate(parts, axis=1)
    inner = channels // groups
    split = columns.reshape((batch, groups, inner * taps, product(out)))
    rows = weight.reshape((groups, weight.shape[0] // groups, inner * taps))
    y = (rows @ split).reshape((batch, weight.shape[0], *out))
    return y if not n.has(3) else y + n[3].reshape((-1, 1, 1))


def _tap_values(n: Site, x: Tensor, moves: Tensor, kernel: Sequence[int], out: Any) -> Any:
    """What each tap of the kernel reads: `[N, C, taps, positions]`."""
    stride, dilation = spatial_ints(n, "strides", 2), spatial_ints(n, "dilations", 2)
    pads = n.attr("pads", (0, 0, 0, 0))
    sizes = static_sizes(n, x.shape[2:], "DeformConv")
    taps = list(box(*map(range, kernel)))
    axes = []
    for k in range(2):
        starts = np.array([t[k] * dilation[k] - pads[k] for t in taps], np.float32)
        own = apply("iota", shape=out, axis=k, dtype="float32") * f32(stride[k])
        at = own + starts[:, None, None] + moves[:, :, k]
        flat = at.reshape((x.shape[0], product(at.shape[1:])))
        axes.append([(p, w, sizes[k]) for p, w in neighbours(flat, "linear")])
    values = gathered_sum(x, list(box(*axes)), zeros=True)
    return values.reshape((*x.shape[:2], len(taps), product(out)))
