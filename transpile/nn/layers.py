"""Layers with parameters, in PyTorch's names and layouts."""

from __future__ import annotations

import math

import numpy as np

from transpile.errors import ShapeError
from transpile.nn import activations, images, init, normalisation, sequences
from transpile.nn.dispatch import Array
from transpile.nn.module import Module
from transpile.ops.window import Padding, Spatial, spatial

Rng = np.random.Generator | int | None


class Linear(Module):
    """`x @ weight.T + bias`: `[..., inputs]` to `[..., outputs]`."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, rng: Rng = None) -> None:
        generator = init.generator(rng)
        self.weight = init.kaiming_uniform((outputs, inputs), rng=generator)
        self.bias = _bias(outputs, inputs, generator) if bias else None

    def forward(self, x: Array) -> Array:
        return sequences.linear(x, self.weight, self.bias)


def _bias(size: int, fan_in: int, rng: np.random.Generator) -> np.ndarray:
    bound = 1 / math.sqrt(fan_in)
    return init.uniform((size,), -bound, bound, rng)


class _Conv(Module):
    """What convolutions of one and two dimensions share."""

    rank = 2

    def __init__(self, inputs: int, outputs: int, kernel_size: Spatial, stride: Spatial = 1,
                 padding: Padding = 0, dilation: Spatial = 1, groups: int = 1,
                 bias: bool = True, rng: Rng = None) -> None:
        if inputs % groups or outputs % groups:
            raise ShapeError(f"{inputs} and {outputs} channels do not divide into {groups} groups")
        generator = init.generator(rng)
        shape = (outputs, inputs // groups, *spatial(kernel_size, self.rank, "kernel_size"))
        self.weight = init.kaiming_uniform(shape, rng=generator)
        self.bias = _bias(outputs, init.fans(shape)[0], generator) if bias else None
        self.stride, self.padding = stride, padding
        self.dilation, self.groups = dilation, groups


class Conv1d(_Conv):
    """A convolution of `[N, inputs, L]` to `[N, outputs, L']`."""

    rank = 1

    def forward(self, x: Array) -> Array:
        return images.conv1d(x, self.weight, self.bias, self.stride, self.padding,
                             self.dilation, self.groups)


class Conv2d(_Conv):
    """A convolution of `[N, inputs, H, W]` to `[N, outputs, H', W']`."""

    def forward(self, x: Array) -> Array:
        return images.conv2d(x, self.weight, self.bias, self.stride, self.padding,
                             self.dilation, self.groups)


class _ConvTranspose(Module):
    """What transposed convolutions share."""

    rank = 2

    def __init__(self, inputs: int, outputs: int, kernel_size: Spatial, stride: Spatial = 1,
                 padding: Spatial = 0, output_padding: Spatial = 0, groups: int = 1,
                 bias: bool = True, dilation: Spatial = 1, rng: Rng = None) -> None:
        generator = init.generator(rng)
        shape = (inputs, outputs // groups, *spatial(kernel_size, self.rank, "kernel_size"))
        self.weight = init.kaiming_uniform(shape, rng=generator)
        self.bias = _bias(outputs, init.fans(shape)[0], generator) if bias else None
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation = groups, dilation


class ConvTranspose1d(_ConvTranspose):
    """The transpose of a convolution of signals."""

    rank = 1

    def forward(self, x: Array) -> Array:
        return images.conv_transpose1d(x, self.weight, self.bias, self.stride, self.padding,
                                       self.output_padding, self.groups, self.dilation)


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution of images."""

    def forward(self, x: Array) -> Array:
        return images.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding,
                                       self.output_padding, self.groups, self.dilation)


class BatchNorm2d(Module):
    """Batch norm of `[N, size, ...]` by the statistics that training kept."""

    buffers = ("running_mean", "running_var")

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        self.weight, self.bias = init.ones((size,)), init.zeros((size,))
        self.running_mean, self.running_var = init.zeros((size,)), init.ones((size,))
        self.eps = eps

    def forward(self, x: Array) -> Array:
        return normalisation.batch_norm(x, self.running_mean, self.running_var, self.weight,
                                        self.bias, self.eps)


class BatchNorm1d(BatchNorm2d):
    """The same for `[N, size]` and `[N, size, L]`."""


class LayerNorm(Module):
    """Layer norm over the last axes, those of `shape`."""

    def __init__(self, shape: Spatial, eps: float = 1e-5, bias: bool = True) -> None:
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        self.weight = init.ones(sizes)
        self.bias = init.zeros(sizes) if bias else None
        self.eps = eps

    def forward(self, x: Array) -> Array:
        return normalisation.layer_norm(x, self.weight, self.bias, eps=self.eps)


class RMSNorm(Module):
    """Division by the root mean square over the last axis."""

    def __init__(self, size: int, eps: float = 1e-6) -> None:
        self.weight = init.ones((size,))
        self.eps = eps

    def forward(self, x: Array) -> Array:
        return normalisation.rms_norm(x, self.weight, eps=self.eps)


class GroupNorm(Module):
    """Group norm of `[N, channels, ...]`."""

    def __init__(self, groups: int, channels: int, eps: float = 1e-5) -> None:
        self.weight, self.bias = init.ones((channels,)), init.zeros((channels,))
        self.groups, self.eps = groups, eps

    def forward(self, x: Array) -> Array:
        return normalisation.group_norm(x, self.groups, self.weight, self.bias, self.eps)


class Embedding(Module):
    """A table of `count` rows of `size`: ids of any shape to `[*ids.shape, size]`."""

    def __init__(self, count: int, size: int, rng: Rng = None) -> None:
        self.weight = init.normal((count, size), rng=init.generator(rng))

    def forward(self, ids: Array) -> Array:
        return sequences.embedding(ids, self.weight)


class MultiheadAttention(Module):
    """Attention with several heads (Vaswani et al. 2017), batch first.

    `layer(query, key, value)` maps `[B, T, size]`, `[B, S, size]`, `[B, S, size]` to
    `[B, T, size]`; key and value are the query by default. See `nn.attention` for `mask`.
    """

    def __init__(self, size: int, heads: int, bias: bool = True, rng: Rng = None) -> None:
        if size % heads:
            raise ShapeError(f"{size} features do not divide into {heads} heads")
        generator = init.generator(rng)
        self.in_proj_weight = init.xavier_uniform((3 * size, size), rng=generator)
        self.in_proj_bias = init.zeros((3 * size,)) if bias else None
        self.out_proj = Linear(size, size, bias, generator)
        if self.out_proj.bias is not None:
            self.out_proj.bias = init.zeros((size,))
        self.size, self.heads = size, heads

    def forward(self, query: Array, key: Array | None = None, value: Array | None = None,
                mask: Array | None = None, causal: bool = False) -> Array:
        key = query if key is None else key
        value = key if value is None else value
        if query is key and key is value:
            joined = sequences.linear(query, self.in_proj_weight, self.in_proj_bias)
            parts = [joined[..., i * self.size:(i + 1) * self.size] for i in range(3)]
        else:
            parts = [self._project(x, i) for i, x in enumerate((query, key, value))]
        q, k, v = (self._split(p) for p in parts)
        y = sequences.attention(q, k, v, mask, causal=causal)
        y = np.reshape(np.swapaxes(y, 1, 2), (*query.shape[:2], self.size))
        return self.out_proj(y)

    def _project(self, x: Array, part: int) -> Array:
        rows = slice(part * self.size, (part + 1) * self.size)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[rows]
        return sequences.linear(x, self.in_proj_weight[rows], bias)

    def _split(self, x: Array) -> Array:
        wide = np.reshape(x, (*x.shape[:2], self.heads, self.size // self.heads))
        return np.swapaxes(wide, 1, 2)


class PReLU(Module):
    """Leaky relu with learned slopes, one for all channels or one each."""

    def __init__(self, count: int = 1, start: float = 0.25) -> None:
        self.weight = np.full((count,), start, np.float32)

    def forward(self, x: Array) -> Array:
        return activations.prelu(x, self.weight)
