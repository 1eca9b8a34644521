"""Activations, element by element, and softmax. Any shape in, the same shape out."""

from __future__ import annotations

import numpy as np

from transpile.nn.dispatch import Array, call


def relu(x: Array) -> Array:
    """`max(x, 0)`."""
    return call("relu", x)


def relu6(x: Array) -> Array:
    """`min(max(x, 0), 6)` (Howard et al. 2017, MobileNets)."""
    return call("relu6", x)


def sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))`."""
    return call("sigmoid", x)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent, as `np.tanh`."""
    return np.tanh(x)


def silu(x: Array) -> Array:
    """`x * sigmoid(x)`, also called swish (Ramachandran et al. 2017)."""
    return call("silu", x)


def gelu(x: Array, approximate: str = "none") -> Array:
    """`x * Phi(x)` (Hendrycks and Gimpel 2016), Phi being the normal distribution function.

    Args:
        approximate: "none" for `x/2 * (1 + erf(x / sqrt(2)))`; "tanh" for their approximation
            `x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))`.
    """
    return call("gelu", x, approximate=approximate)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere (Clevert et al. 2015)."""
    return call("elu", x, alpha=float(alpha))


def selu(x: Array) -> Array:
    """`scale * elu(x, alpha)` with the constants of Klambauer et al. 2017."""
    return call("selu", x)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """`x` where positive, `negative_slope * x` elsewhere (Maas et al. 2013)."""
    return call("leaky_relu", x, negative_slope=float(negative_slope))


def prelu(x: Array, weight: Array) -> Array:
    """Leaky relu with learned slopes (He et al. 2015).

    Args:
        x: `[N, C, ...]`, or any shape if there is one slope.
        weight: `[C]` or `[1]`.
    """
    return call("prelu", x, weight)


def hardsigmoid(x: Array) -> Array:
    """`clip(x/6 + 1/2, 0, 1)` (Howard et al. 2019, MobileNetV3)."""
    return call("hardsigmoid", x)


def hardswish(x: Array) -> Array:
    """`x * hardsigmoid(x)` (Howard et al. 2019, MobileNetV3)."""
    return call("hardswish", x)


def softplus(x: Array) -> Array:
    """`log(1 + exp(x))`, computed as `max(x, 0) + log1p(exp(-|x|))`."""
    return call("softplus", x)


def mish(x: Array) -> Array:
    """`x * tanh(softplus(x))` (Misra 2019)."""
    return call("mish", x)


def softmax(x: Array, axis: int = -1) -> Array:
    """`exp(x) / sum(exp(x))` along `axis`, the largest element subtracted before."""
    return call("softmax", x, axis=axis)


def log_softmax(x: Array, axis: int = -1) -> Array:
    """The logarithm of `softmax(x, axis)`, computed without loss for small probabilities."""
    return call("log_softmax", x, axis=axis)


def dropout(x: Array, p: float = 0.5) -> Array:  # noqa: ARG001  (part of the familiar signature)
    """`x` itself: dropout acts only in training (Srivastava et al. 2014)."""
    return x
