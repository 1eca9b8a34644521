"""Convolutions and pools in PyTorch's layout: images `[N, C, *S]`, any float dtype.

Output sizes follow PyTorch: `floor((S + padding - dilation*(K-1) - 1) / stride) + 1`.
"""

from __future__ import annotations

from transpile.nn.dispatch import Array, call, plain
from transpile.ops.window import Padding, Spatial


def conv1d(x: Array, weight: Array, bias: Array | None = None, stride: Spatial = 1,
           padding: Padding = 0, dilation: Spatial = 1, groups: int = 1) -> Array:
    """Cross-correlation of signals.

    Args:
        x: `[N, C, L]`.
        weight: `[O, C/groups, K]`.
        bias: `[O]`.
        padding: zeros on both sides, `((before, after),)`, "valid" or "same".

    Returns:
        `[N, O, L']`.

    Raises:
        ShapeError: the shapes do not fit.
    """
    return call("conv1d", x, weight, bias, stride=plain(stride), padding=plain(padding),
                dilation=plain(dilation), groups=groups)


def conv2d(x: Array, weight: Array, bias: Array | None = None, stride: Spatial = 1,
           padding: Padding = 0, dilation: Spatial = 1, groups: int = 1) -> Array:
    """Cross-correlation of images.

    Args:
        x: `[N, C, H, W]`.
        weight: `[O, C/groups, KH, KW]`.
        bias: `[O]`.
        stride, dilation: one number, or one for each of height and width.
        padding: likewise, or `((top, bottom), (left, right))`, "valid" or "same".
        groups: channels in as many groups; as many as channels for a depthwise convolution.

    Returns:
        `[N, O, H', W']`.

    Raises:
        ShapeError: the shapes do not fit.
    """
    return call("conv2d", x, weight, bias, stride=plain(stride), padding=plain(padding),
                dilation=plain(dilation), groups=groups)


def conv_transpose1d(x: Array, weight: Array, bias: Array | None = None, stride: Spatial = 1,
                     padding: Spatial = 0, output_padding: Spatial = 0, groups: int = 1,
                     dilation: Spatial = 1) -> Array:
    """The transpose of `conv1d`: x `[N, C, L]`, weight `[C, O/groups, K]`.

    Returns:
        `[N, O, (L-1)*stride - 2*padding + dilation*(K-1) + output_padding + 1]`.
    """
    return call("conv_transpose1d", x, weight, bias, stride=plain(stride),
                padding=plain(padding), output_padding=plain(output_padding), groups=groups,
                dilation=plain(dilation))


def conv_transpose2d(x: Array, weight: Array, bias: Array | None = None, stride: Spatial = 1,
                     padding: Spatial = 0, output_padding: Spatial = 0, groups: int = 1,
                     dilation: Spatial = 1) -> Array:
    """The transpose of `conv2d`: x `[N, C, H, W]`, weight `[C, O/groups, KH, KW]`.

    Returns:
        `[N, O, H', W']`, `H' = (H-1)*stride - 2*padding + dilation*(KH-1) + output_padding + 1`.
    """
    return call("conv_transpose2d", x, weight, bias, stride=plain(stride),
                padding=plain(padding), output_padding=plain(output_padding), groups=groups,
                dilation=plain(dilation))


def max_pool1d(x: Array, kernel_size: Spatial, stride: Spatial | None = None,
               padding: Spatial = 0, dilation: Spatial = 1, ceil_mode: bool = False) -> Array:
    """The largest element of each window of `[N, C, L]`; `stride` is the window by default."""
    return call("max_pool1d", x, kernel_size=plain(kernel_size), stride=plain(stride),
                padding=plain(padding), dilation=plain(dilation), ceil_mode=ceil_mode)


def max_pool2d(x: Array, kernel_size: Spatial, stride: Spatial | None = None,
               padding: Spatial = 0, dilation: Spatial = 1, ceil_mode: bool = False) -> Array:
    """The largest element of each window of `[N, C, H, W]`.

    Args:
        stride: the window by default.
        padding: elements that never win, on each side.
        ceil_mode: also a last window that reaches beyond the end.
    """
    return call("max_pool2d", x, kernel_size=plain(kernel_size), stride=plain(stride),
                padding=plain(padding), dilation=plain(dilation), ceil_mode=ceil_mode)


def avg_pool1d(x: Array, kernel_size: Spatial, stride: Spatial | None = None,
               padding: Spatial = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> Array:
    """The mean of each window of `[N, C, L]`; see `avg_pool2d`."""
    return call("avg_pool1d", x, kernel_size=plain(kernel_size), stride=plain(stride),
                padding=plain(padding), ceil_mode=ceil_mode, count_include_pad=count_include_pad)


def avg_pool2d(x: Array, kernel_size: Spatial, stride: Spatial | None = None,
               padding: Spatial = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> Array:
    """The mean of each window of `[N, C, H, W]`.

    Args:
        stride: the window by default.
        ceil_mode: also a last window that reaches beyond the end; what is beyond is not counted.
        count_include_pad: whether the padding counts as zeros or not at all.
    """
    return call("avg_pool2d", x, kernel_size=plain(kernel_size), stride=plain(stride),
                padding=plain(padding), ceil_mode=ceil_mode, count_include_pad=count_include_pad)


def adaptive_avg_pool1d(x: Array, output_size: Spatial) -> Array:
    """`[N, C, L]` to `[N, C, output_size]`: window i is `floor(i*L/n) .. ceil((i+1)*L/n)`."""
    return call("adaptive_avg_pool1d", x, output_size=plain(output_size))


def adaptive_avg_pool2d(x: Array, output_size: Spatial) -> Array:
    """`[N, C, H, W]` to `[N, C, *output_size]` by means of windows; 1 for one global mean."""
    return call("adaptive_avg_pool2d", x, output_size=plain(output_size))


def adaptive_max_pool1d(x: Array, output_size: Spatial) -> Array:
    """As `adaptive_avg_pool1d`, with the largest element."""
    return call("adaptive_max_pool1d", x, output_size=plain(output_size))


def adaptive_max_pool2d(x: Array, output_size: Spatial) -> Array:
    """As `adaptive_avg_pool2d`, with the largest element."""
    return call("adaptive_max_pool2d", x, output_size=plain(output_size))
