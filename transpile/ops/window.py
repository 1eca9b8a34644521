"""What convolutions and pools share: spatial attributes, padding, and channels-last order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ops.composite import Value, apply

Spatial = int | Sequence[int]
Padding = Spatial | str | Sequence[Sequence[int]]
Pairs = tuple[tuple[int, int], ...]


def spatial(value: Spatial, count: int, what: str) -> tuple[int, ...]:
    """One number for each spatial dimension; a single one stands for all."""
    result = (value,) * count if isinstance(value, int) else tuple(value)
    if len(result) == 1:
        result *= count
    if len(result) != count:
        raise ShapeError(f"{what} has {len(result)} values for {count} spatial dimensions",
                         fix="give one number, or one for each dimension")
    return result


def padding_pairs(padding: Padding, kernel: Sequence[int], stride: Sequence[int],
                  dilation: Sequence[int]) -> Pairs:
    """Padding before and after each spatial dimension.

    `padding` is a number, one for each dimension, (before, after) pairs, "valid", or "same"
    (stride 1 only; the odd element goes after, as in PyTorch).
    """
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ShapeError('padding="same" needs stride 1', fix="give the padding in numbers")
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    if isinstance(padding, str):
        raise ShapeError(f"unknown padding {padding!r}", fix='give numbers, "same" or "valid"')
    if isinstance(padding, int):
        return ((padding, padding),) * len(kernel)
    if len(padding) not in (1, len(kernel)):
        raise ShapeError(f"padding has {len(padding)} entries for {len(kernel)} spatial dimensions",
                         fix="give one number, or one for each dimension")
    pairs = tuple((p, p) if isinstance(p, int) else (p[0], p[1]) for p in padding)
    return pairs * len(kernel) if len(pairs) < len(kernel) else pairs


def check_image(x: Value, name: str, count: int) -> None:
    """ShapeError unless `x` is `[N, C, *S]` with `count` spatial dimensions."""
    if x.ndim != count + 2:
        raise ShapeError(f"{name} needs an input of rank {count + 2} (batch, channels, "
                         f"{count} spatial), got shape {list(x.shape)}",
                         fix="reshape it, with a batch dimension of 1 if there is none")


def channels_last(x: Value) -> Value:
    """`[N, C, *S]` as `[N, *S, C]`."""
    return x.transpose((0, *range(2, x.ndim), 1))


def channels_first(x: Value) -> Value:
    """`[N, *S, C]` as `[N, C, *S]`."""
    return x.transpose((0, x.ndim - 1, *range(1, x.ndim - 1)))


def pad_spatial(x: Value, pairs: Pairs, value: float = 0.0) -> Value:
    """Pad `[N, *S, C]`; negative amounts crop."""
    if any(p < 0 for pair in pairs for p in pair):
        starts = (0, *(max(-a, 0) for a, _ in pairs), 0)
        sizes = (x.shape[0], *(n - max(-a, 0) - max(-b, 0)
                               for n, (a, b) in zip(x.shape[1:-1], pairs, strict=True)),
                 x.shape[-1])
        x = apply("slice", x, starts=starts, sizes=sizes, steps=(1,) * x.ndim)
        pairs = tuple((max(a, 0), max(b, 0)) for a, b in pairs)
    if not any(p for pair in pairs for p in pair):
        return x
    return apply("pad", x, low=(0, *(a for a, _ in pairs), 0),
                 high=(0, *(b for _, b in pairs), 0), mode="constant", value=value)


def last_axes(at: Iterable[Any]) -> tuple[Any, ...]:
    """An index into the last axes of an array."""
    return (..., *at)


def windows(x: np.ndarray, kernel: Sequence[int], stride: Sequence[int],
            dilation: Sequence[int]) -> np.ndarray:
    """Every window of `[N, C, *S]` as a view `[N, C, *out, *kernel]`."""
    axes = tuple(range(2, x.ndim))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
    steps = (slice(None), slice(None), *(slice(None, None, s) for s in (*stride, *dilation)))
    return np.asarray(view[steps])
