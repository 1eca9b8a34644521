"""Layers without parameters, for use in `Sequential`; each calls the function of its name."""

from __future__ import annotations

from transpile.nn import activations, images, sequences
from transpile.nn.dispatch import Array
from transpile.nn.module import Module
from transpile.ops.window import Spatial


class Identity(Module):
    """What comes in."""

    def forward(self, x: Array) -> Array:
        return x


class ReLU(Module):
    """`nn.relu`."""

    def forward(self, x: Array) -> Array:
        return activations.relu(x)


class ReLU6(Module):
    """`nn.relu6`."""

    def forward(self, x: Array) -> Array:
        return activations.relu6(x)


class Sigmoid(Module):
    """`nn.sigmoid`."""

    def forward(self, x: Array) -> Array:
        return activations.sigmoid(x)


class Tanh(Module):
    """`nn.tanh`."""

    def forward(self, x: Array) -> Array:
        return activations.tanh(x)


class SiLU(Module):
    """`nn.silu`."""

    def forward(self, x: Array) -> Array:
        return activations.silu(x)


class GELU(Module):
    """`nn.gelu`."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Array) -> Array:
        return activations.gelu(x, self.approximate)


class ELU(Module):
    """`nn.elu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        return activations.elu(x, self.alpha)


class SELU(Module):
    """`nn.selu`."""

    def forward(self, x: Array) -> Array:
        return activations.selu(x)


class LeakyReLU(Module):
    """`nn.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Array:
        return activations.leaky_relu(x, self.negative_slope)


class Hardsigmoid(Module):
    """`nn.hardsigmoid`."""

    def forward(self, x: Array) -> Array:
        return activations.hardsigmoid(x)


class Hardswish(Module):
    """`nn.hardswish`."""

    def forward(self, x: Array) -> Array:
        return activations.hardswish(x)


class Softplus(Module):
    """`nn.softplus`."""

    def forward(self, x: Array) -> Array:
        return activations.softplus(x)


class Mish(Module):
    """`nn.mish`."""

    def forward(self, x: Array) -> Array:
        return activations.mish(x)


class Softmax(Module):
    """`nn.softmax`."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return activations.softmax(x, self.axis)


class LogSoftmax(Module):
    """`nn.log_softmax`."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return activations.log_softmax(x, self.axis)


class Dropout(Module):
    """What comes in: dropout acts only in training."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def forward(self, x: Array) -> Array:
        return activations.dropout(x, self.p)


class Flatten(Module):
    """`nn.flatten`."""

    def __init__(self, start: int = 1, end: int = -1) -> None:
        self.start, self.end = start, end

    def forward(self, x: Array) -> Array:
        return sequences.flatten(x, self.start, self.end)


class _Pool(Module):
    """What the pools share."""

    def __init__(self, kernel_size: Spatial, stride: Spatial | None = None,
                 padding: Spatial = 0, ceil_mode: bool = False) -> None:
        self.kernel_size, self.stride = kernel_size, stride
        self.padding, self.ceil_mode = padding, ceil_mode


class MaxPool1d(_Pool):
    """`nn.max_pool1d`."""

    def forward(self, x: Array) -> Array:
        return images.max_pool1d(x, self.kernel_size, self.stride, self.padding,
                                 ceil_mode=self.ceil_mode)


class MaxPool2d(_Pool):
    """`nn.max_pool2d`."""

    def forward(self, x: Array) -> Array:
        return images.max_pool2d(x, self.kernel_size, self.stride, self.padding,
                                 ceil_mode=self.ceil_mode)


class AvgPool1d(_Pool):
    """`nn.avg_pool1d`, the padding counted."""

    def forward(self, x: Array) -> Array:
        return images.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)


class AvgPool2d(_Pool):
    """`nn.avg_pool2d`, the padding counted."""

    def forward(self, x: Array) -> Array:
        return images.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)


class AdaptiveAvgPool1d(Module):
    """`nn.adaptive_avg_pool1d`."""

    def __init__(self, output_size: Spatial) -> None:
        self.output_size = output_size

    def forward(self, x: Array) -> Array:
        return images.adaptive_avg_pool1d(x, self.output_size)


class AdaptiveAvgPool2d(Module):
    """`nn.adaptive_avg_pool2d`."""

    def __init__(self, output_size: Spatial) -> None:
        self.output_size = output_size

    def forward(self, x: Array) -> Array:
        return images.adaptive_avg_pool2d(x, self.output_size)


class AdaptiveMaxPool2d(Module):
    """`nn.adaptive_max_pool2d`."""

    def __init__(self, output_size: Spatial) -> None:
        self.output_size = output_size

    def forward(self, x: Array) -> Array:
        return images.adaptive_max_pool2d(x, self.output_size)
