"""Matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply
from transpile.ir.dims import Dim

Pairs = tuple[tuple[Dim, Dim], ...]


@onnx_op("MatMul")
def matmul(n: Site) -> Any:
    return n[0] @ n[1]


@onnx_op("Gemm")
def gemm(n: Site) -> Any:
    a, b, c = n[0], n[1], n.get(2)
    a = a.T if n.attr("transA", 0) else a
    b = b.T if n.attr("transB", 0) else b
    y = scaled(a @ b, n.attr("alpha", 1.0))
    return y if c is None else y + scaled(c, n.attr("beta", 1.0))


def scaled(x: Tensor, factor: float) -> Tensor:
    """`x * factor`, nothing where it is 1."""
    if factor == 1:
        return x
    return x * (np.float32(factor) if x.dtype.kind == "f" else np.int32(factor))


@onnx_op("Einsum")
def einsum(n: Site) -> Any:
    return np.einsum(n.required("equation"), *n.all())


def spatial_ints(n: Site, name: str, rank: int) -> tuple[int, ...]:
    """An attribute with a number for each spatial dimension; ones by default."""
    return tuple(int(v) for v in n.attr(name, (1,) * rank))


def static_sizes(n: Site, sizes: Sequence[Dim], why: str) -> tuple[int, ...]:
    """Sizes as numbers; UnsupportedError where one is symbolic."""
    if not all(isinstance(s, int) for s in sizes):
        raise n.refuse(f"{why} needs fixed sizes, and they are {list(sizes)}",
                       "fix them with --input NAME=DTYPE[SIZES]")
    return tuple(int(s) for s in sizes)


def pad_pairs(n: Site, sizes: Sequence[Dim], kernel: Sequence[int], stride: Sequence[int],
              dilation: Sequence[int]) -> Pairs:
    """Padding before and after each spatial dimension, from `pads` or `auto_pad`."""
    rank, mode = len(kernel), n.attr("auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        pads = n.attr("pads", (0,) * (2 * rank))
        return tuple((int(pads[i]), int(pads[i + rank])) for i in range(rank))
    if mode == "VALID":
        return ((0, 0),) * rank
    reaches = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    return split_pads([_same(n, size, s, reach) for size, s, reach in
                       zip(sizes, stride, reaches, strict=True)], mode)


def _same(n: Site, size: Dim, stride: int, reach: int) -> Dim:
    """What padding of one axis is in all, so that a window starts at each `stride`."""
    if stride == 1 or reach == 1:
        return reach - 1
    if not isinstance(size, int) and reach < stride:
        static_sizes(n, [size], "auto_pad")
    total = ((size + stride - 1) // stride - 1) * stride + reach - size
    return max(total, 0) if isinstance(total, int) else total


def padded_ends(x: Tensor, pairs: Pairs, value: float = 0.0, first: int = 2
                ) -> tuple[Tensor, Any]:
    """`x` padded if that depends on a size, and what padding is left to do.

    Args:
        first: the first spatial axis.
    """
    if all(isinstance(p, int) for pair in pairs for p in pair):
        return x, pairs
    after = (0,) * (x.ndim - first - len(pairs))
    low, high = ((*(0,) * first, *ends, *after) for ends in zip(*pairs, strict=True))
    x = apply("pad", x, low=low, high=high, mode="constant", value=value)
    return x, ((0, 0),) * len(pairs)


def split_pads(totals: Sequence[Dim], mode: str) -> Pairs:
    """Padding shared between both ends; the odd element goes to the end in SAME_UPPER.

    Negative padding of a transposed convolution is all at the end, as onnxruntime has it.
    """
    small = [(t // 2, t - t // 2) for t in totals]
    return tuple((0, t) if isinstance(t, int) and t < 0 else p if mode == "SAME_UPPER" else p[::-1]
                 for p, t in zip(small, totals, strict=True))


def kernel_of(weight: Tensor, n: Site) -> tuple[int, ...]:
    return static_sizes(n, weight.shape[2:], "the kernel")


@onnx_op("Conv")
def conv(n: Site) -> Any:
    x, weight = n[0], n[1]
    return convolved(n, x, weight, n.get(2))


def convolved(n: Site, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution with the attributes of a node."""
    kernel = kernel_of(weight, n)
    rank = len(kernel)
    stride, dilation = spatial_ints(n, "strides", rank), spatial_ints(n, "dilations", rank)
    x, pairs = padded_ends(x, pad_pairs(n, x.shape[2:], kernel, stride, dilation))
    operands = [x, weight] if bias is None else [x, weight, bias]
    return apply(f"conv{rank}d", *operands, stride=stride, padding=pairs, dilation=dilation,
                 groups=n.attr("group", 1))


@onnx_op("ConvTranspose")
def conv_transpose(n: Site) -> Any:
    x, weight, bias = n[0], n[1], n.get(2)
    kernel = kernel_of(weight, n)
    rank = len(kernel)
    stride, dilation = spatial_ints(n, "strides", rank), spatial_ints(n, "dilations", rank)
    extra = tuple(n.attr("output_padding", (0,) * rank))
    pairs = _transpose_pads(n, x.shape[2:], kernel, stride, dilation, extra)
    # Padding differs at both ends: what the end lacks is output padding, which may be negative.
    padding: Any = tuple(p for p, _ in pairs)
    after: Any = tuple(p - q + e for (p, q), e in zip(pairs, extra, strict=True))
    operands = [x, weight] if bias is None else [x, weight, bias]
    return apply(f"conv_transpose{rank}d", *operands, stride=stride, padding=padding,
                 output_padding=after, dilation=dilation, groups=n.attr("group", 1))


def _transpose_pads(n: Site, sizes: Sequence[Dim], kernel: Sequence[int], stride: Sequence[int],
                    dilation: Sequence[int], extra: Sequence[int]) -> Pairs:
    mode, wanted = n.attr("auto_pad", "NOTSET"), n.attr("output_shape")
    rank = len(kernel)
    if wanted is None and mode in ("NOTSET", "", "VALID"):
        pads = n.attr("pads", (0,) * (2 * rank)) if mode != "VALID" else (0,) * (2 * rank)
        return tuple((int(pads[i]), int(pads[i + rank])) for i in range(rank))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if wanted is None:
        totals = [max(r + e - s, 0) for r, e, s in zip(reach, extra, stride, strict=True)]
    else:
        fixed = static_sizes(n, sizes, "output_shape")
        goal = wanted[-rank:]
        totals = [s * (size - 1) + e + r - g for s, size, e, r, g in
                  zip(stride, fixed, extra, reach, goal, strict=True)]
    return split_pads(totals, "SAME_UPPER" if mode == "SAME_UPPER" else "SAME_LOWER")
