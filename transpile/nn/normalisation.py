"""Normalisations as they run at inference."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.nn.dispatch import Array, call, plain


def batch_norm(x: Array, mean: Array, var: Array, weight: Array | None = None,
               bias: Array | None = None, eps: float = 1e-5) -> Array:
    """`(x - mean) / sqrt(var + eps) * weight + bias` per channel (Ioffe and Szegedy 2015).

    Args:
        x: `[N, C, ...]`.
        mean, var: `[C]`, the statistics that training kept.
        weight, bias: `[C]`.
    """
    return call("batch_norm", x, mean, var, weight, bias, eps=float(eps))


def layer_norm(x: Array, weight: Array | None = None, bias: Array | None = None,
               axes: int | Sequence[int] | None = None, eps: float = 1e-5) -> Array:
    """`(x - mean) / sqrt(var + eps) * weight + bias` over axes (Ba et al. 2016).

    Args:
        x: any shape.
        weight, bias: broadcast against x; usually the shape of the normalised axes.
        axes: the last ones, as many as the weight has, or the last one, by default.
    """
    rank = 1 if weight is None else weight.ndim
    chosen = tuple(range(-rank, 0)) if axes is None else plain(axes)
    return call("layer_norm", x, weight, bias, axes=chosen, eps=float(eps))


def rms_norm(x: Array, weight: Array | None = None, axes: int | Sequence[int] = -1,
             eps: float = 1e-6) -> Array:
    """`x / sqrt(mean(x^2) + eps) * weight` over axes (Zhang and Sennrich 2019)."""
    return call("rms_norm", x, weight, axes=plain(axes), eps=float(eps))


def group_norm(x: Array, groups: int, weight: Array | None = None, bias: Array | None = None,
               eps: float = 1e-5) -> Array:
    """Normalise `[N, C, ...]` over each of `groups` groups of channels (Wu and He 2018).

    Args:
        weight, bias: `[C]`.
    """
    return call("group_norm", x, weight, bias, groups=groups, eps=float(eps))


def instance_norm(x: Array, weight: Array | None = None, bias: Array | None = None,
                  eps: float = 1e-5) -> Array:
    """Normalise each channel of each sample of `[N, C, ...]` (Ulyanov et al. 2016).

    Args:
        weight, bias: `[C]`.
    """
    return call("instance_norm", x, weight, bias, eps=float(eps))
