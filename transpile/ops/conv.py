"""Convolutions in PyTorch's layout: x `[N, C, *S]`, weight `[O, C/groups, *K]`.

Inside, images are channels-last and kernels `[*K, C/groups, O]`; the layout pass moves the
transposes between neighbours away.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from transpile.errors import ShapeError
from transpile.ops.composite import Value, apply, composite, floating, static
from transpile.ops.registry import sample
from transpile.ops.window import (
    Padding,
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


def _check_channels(name: str, channels: Value, expected: int, groups: int, outputs: int) -> None:
    if channels != expected:
        raise ShapeError(f"{name}: the input has {channels} channels, the weight and "
                         f"groups={groups} ask for {expected}")
    if outputs % groups:
        raise ShapeError(f"{name}: {outputs} output channels do not divide into {groups} groups")


def _conv(x: Value, weight: Value, bias: Value | None = None, *, rank: int, stride: Spatial = 1,
          padding: Padding = 0, dilation: Spatial = 1, groups: int = 1) -> Value:
    name = f"conv{rank}d"
    check_image(x, name, rank)
    check_image(weight, f"the weight of {name}", rank)
    outputs, inputs, *kernel = (static(d, name) for d in weight.shape)
    _check_channels(name, x.shape[1], inputs * groups, groups, outputs)
    stride, dilation = spatial(stride, rank, "stride"), spatial(dilation, rank, "dilation")
    image = pad_spatial(channels_last(x), padding_pairs(padding, kernel, stride, dilation))
    taps = weight.transpose((*range(2, rank + 2), 1, 0))
    y = apply("conv", image, taps, stride=stride, dilation=dilation, groups=groups)
    return channels_first(y if bias is None else y + bias)


def _conv_transpose(x: Value, weight: Value, bias: Value | None = None, *, rank: int,
                    stride: Spatial = 1, padding: Spatial = 0, output_padding: Spatial = 0,
                    dilation: Spatial = 1, groups: int = 1) -> Value:
    name = f"conv_transpose{rank}d"
    check_image(x, name, rank)
    check_image(weight, f"the weight of {name}", rank)
    inputs, outputs, *kernel = (static(d, name) for d in weight.shape)
    _check_channels(name, x.shape[1], inputs, groups, inputs)
    stride, dilation = spatial(stride, rank, "stride"), spatial(dilation, rank, "dilation")
    padding = spatial(padding, rank, "padding")
    extra = spatial(output_padding, rank, "output_padding")
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    pairs = tuple((r - p, r - p + e) for r, p, e in zip(reach, padding, extra, strict=True))
    image = channels_last(x)
    if any(s != 1 for s in stride):
        image = apply("dilate", image, factors=(1, *stride, 1))
    taps = _flipped(weight, inputs, outputs, tuple(kernel), groups)
    y = apply("conv", pad_spatial(image, pairs), taps, stride=(1,) * rank, dilation=dilation,
              groups=groups)
    return channels_first(y if bias is None else y + bias)


def _flipped(weight: Value, inputs: int, outputs: int, kernel: tuple[int, ...],
             groups: int) -> Value:
    """`[I, O/groups, *K]` as `[*K, I/groups, O]`, each window turned round."""
    rank = len(kernel)
    turned = apply("slice", weight, starts=(0, 0, *(k - 1 for k in kernel)),
                   sizes=(inputs, outputs, *kernel), steps=(1, 1, *(-1 for _ in kernel)))
    split = turned.reshape((groups, inputs // groups, outputs, *kernel))
    return split.transpose((*range(3, rank + 3), 1, 0, 2)).reshape(
        (*kernel, inputs // groups, groups * outputs))


def conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, *,
         stride: Spatial = 1, padding: Padding = 0, dilation: Spatial = 1,
         groups: int = 1) -> np.ndarray:
    """Cross-correlation with groups, strides, padding and dilation."""
    x, (outputs, inputs, *kernel) = floating(x), weight.shape
    rank = len(kernel)
    stride, dilation = spatial(stride, rank, "stride"), spatial(dilation, rank, "dilation")
    pairs = padding_pairs(padding, kernel, stride, dilation)
    view = windows(np.pad(x, ((0, 0), (0, 0), *pairs)), kernel, stride, dilation)
    if inputs == 1 and outputs == groups:
        y = _depthwise(view, weight)
    else:
        y = _by_columns(view, weight, groups)
    return y if bias is None else y + bias.reshape((-1,) + (1,) * rank)


def _depthwise(view: np.ndarray, weight: np.ndarray) -> np.ndarray:
    rank = weight.ndim - 2
    total = np.zeros(view.shape[:rank + 2], np.result_type(view, weight))
    for tap in np.ndindex(*weight.shape[2:]):
        total += view[last_axes(tap)] * weight[:, 0][last_axes(tap)].reshape((-1,) + (1,) * rank)
    return total


BLOCK = 1 << 22
"""How many elements of windows are laid out at a time: large products, little memory."""


def _by_columns(view: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """One matrix product for each image, group and block of rows, the windows as columns."""
    rank = weight.ndim - 2
    batch, channels, *size = view.shape[:rank + 2]
    y = np.empty((batch, weight.shape[0], *size), np.result_type(view, weight))
    if not y.size:
        return y
    taps = weight.reshape(groups, weight.shape[0] // groups, -1)
    parts = view.reshape(batch, groups, channels // groups, *view.shape[2:])
    sums = y.reshape(batch, groups, -1, *size)
    rows = max(BLOCK // max(taps.shape[2] * int(np.prod(size[1:])), 1), 1)
    # [C/g, *S, *K] -> [C/g, *K, *S]
    order = (0, *range(rank + 1, 2 * rank + 1), *range(1, rank + 1))
    for at in np.ndindex(batch, groups):
        for first in range(0, size[0], rows):
            block = parts[at][:, first:first + rows].transpose(order).reshape(taps.shape[2], -1)
            part = sums[at][:, first:first + rows]
            part[...] = (taps[at[1]] @ block).reshape(part.shape)
    return y


def conv_transpose(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, *,
                   stride: Spatial = 1, padding: Spatial = 0, output_padding: Spatial = 0,
                   dilation: Spatial = 1, groups: int = 1) -> np.ndarray:
    """The gradient of conv by its input: every input element adds a scaled kernel.

    Negative output padding cuts the end off.
    """
    x, (inputs, outputs, *kernel) = floating(x), weight.shape
    rank = len(kernel)
    stride, dilation = spatial(stride, rank, "stride"), spatial(dilation, rank, "dilation")
    padding, extra = spatial(padding, rank, ""), spatial(output_padding, rank, "")
    full = [(n - 1) * s + d * (k - 1) + 1 + max(e, 0) for n, s, d, k, e in
            zip(x.shape[2:], stride, dilation, kernel, extra, strict=True)]
    y = np.zeros((x.shape[0], groups, outputs, *full), np.result_type(x, weight))
    parts = x.reshape(x.shape[0], groups, inputs // groups, int(np.prod(x.shape[2:])))
    taps = weight.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    for tap in np.ndindex(*kernel):
        at = (slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in
              zip(tap, dilation, x.shape[2:], stride, strict=True))
        part = y[last_axes(at)]
        part += (taps[last_axes(tap)] @ parts).reshape(part.shape)
    y = y.reshape(x.shape[0], groups * outputs, *full)
    y = y[last_axes(slice(p, n - p + min(e, 0)) for p, n, e in
                    zip(padding, full, extra, strict=True))]
    return np.asarray(y if bias is None else y + bias.reshape((-1,) + (1,) * rank))


composite("conv1d", partial(_conv, rank=1), conv, [
    sample("float32[2,3,8]", "float32[4,3,3]", "float32[4]", padding=1),
    sample("float32[1,4,9]", "float32[4,2,3]", stride=2, dilation=2, groups=2)])
composite("conv2d", partial(_conv, rank=2), conv, [
    sample("float32[2,3,6,5]", "float32[4,3,3,3]", "float32[4]"),
    sample("float32[1,4,7,7]", "float32[4,1,3,3]", stride=(2, 2), padding=(1, 1), groups=4),
    sample("float32[1,4,6,6]", "float32[6,2,3,2]", "float32[6]", padding="same", dilation=2,
           groups=2),
    sample("float32[1,2,5,5]", "float32[3,2,1,1]", padding=((1, 0), (0, 2)))])
composite("conv_transpose1d", partial(_conv_transpose, rank=1), conv_transpose, [
    sample("float32[2,4,5]", "float32[4,3,3]", "float32[3]", stride=2, padding=1,
           output_padding=1),
    sample("float32[1,4,9]", "float32[4,3,3]", padding=1, output_padding=-1)])
composite("conv_transpose2d", partial(_conv_transpose, rank=2), conv_transpose, [
    sample("float32[1,3,4,4]", "float32[3,2,3,3]", "float32[2]"),
    sample("float32[1,4,3,4]", "float32[4,2,2,3]", stride=(2, 3), padding=(0, 2), groups=2),
    sample("float32[1,2,5,4]", "float32[2,2,3,3]", padding=3, dilation=2, stride=2,
           output_padding=1)])
