"""Fused operators of the domain com.microsoft, which onnxruntime's optimisers write.

Their definitions: github.com/microsoft/onnxruntime, docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import convolved, scaled
from transpile.frontends.onnx_values import Site, Tensor, f32
from transpile.frontends.tracer import apply, cast

microsoft = partial(onnx_op, domain="com.microsoft")

ACTIVATIONS: dict[str, tuple[tuple[float, ...], Callable[..., Any]]] = {
    "": ((), lambda x: x),
    "Relu": ((), lambda x: apply("relu", x)),
    "Tanh": ((), np.tanh),
    "Sigmoid": ((), lambda x: apply("sigmoid", x)),
    "Softsign": ((), lambda x: x / (f32(1) + np.abs(x))),
    "Softplus": ((), lambda x: apply("softplus", x)),
    "Elu": ((1.0,), lambda x, a: apply("elu", x, alpha=a)),
    "LeakyRelu": ((0.01,), lambda x, a: apply("leaky_relu", x, negative_slope=a)),
    "Clip": ((-3.4e38, 3.4e38), lambda x, low, high: np.clip(x, f32(low), f32(high))),
    "HardSigmoid": ((0.2, 0.5), lambda x, a, b: np.clip(x * f32(a) + f32(b), f32(0), f32(1)))}
"""By name: the parameters' defaults, and the function."""


def activated(n: Site, x: Tensor, given: tuple[float, ...]) -> Any:
    """What the node's activation makes of `x`; parameters that are not given have defaults."""
    name = str(n.attr("activation", ""))
    if name not in ACTIVATIONS:
        raise n.refuse(f"the activation {name!r} is not supported")
    defaults, function = ACTIVATIONS[name]
    return function(x, *(given + defaults[len(given):])[:len(defaults)])


microsoft("Gelu")(lambda n: apply("gelu", n[0], approximate="none"))
microsoft("BiasGelu")(lambda n: apply("gelu", n[0] + n[1], approximate="none"))
microsoft("BiasAdd")(lambda n: n[0] + n[1] + n[2])


@microsoft("FastGelu")
def fast_gelu(n: Site) -> Any:
    return apply("gelu", n[0] + n[1] if n.has(1) else n[0], approximate="tanh")


@microsoft("QuickGelu")
def quick_gelu(n: Site) -> Any:
    return n[0] * apply("sigmoid", n[0] * f32(n.attr("alpha", 1.702)))


@microsoft("FusedMatMul", "TransposeMatMul")
def fused_matmul(n: Site) -> Any:
    a, b = (_turned(n[k], bool(n.attr(f"transBatch{s}", 0)), bool(n.attr(f"trans{s}", 0)))
            for k, s in enumerate("AB"))
    return scaled(a @ b, n.attr("alpha", 1.0))


def _turned(x: Tensor, batch: bool, last: bool) -> Any:
    """The first axis behind the batch's, and the last two swapped."""
    x = np.moveaxis(x, 0, -2) if batch and x.ndim > 2 else x
    return np.swapaxes(x, -1, -2) if last and x.ndim > 1 else x


@microsoft("FusedGemm")
def fused_gemm(n: Site) -> Any:
    a, b = (n[k].T if n.attr(f"trans{s}", 0) else n[k] for k, s in enumerate("AB"))
    y = scaled(a @ b, n.attr("alpha", 1.0))
    y = y + scaled(n[2], n.attr("beta", 1.0)) if n.has(2) else y
    names = [f"activation_{which}" for which in ("alpha", "beta", "gamma")]
    return activated(n, y, tuple(n.attrs[name] for name in names if name in n.attrs))


@microsoft("FusedConv")
def fused_conv(n: Site) -> Any:
    y = convolved(n, n[0], n[1], n.get(2))
    return activated(n, y + n[3] if n.has(3) else y, tuple(n.attr("activation_params", ())))


def normalised(n: Site, x: Tensor, scale: Tensor, bias: Tensor | None, *, rms: bool = False) -> Any:
    operands = [x, scale] if bias is None else [x, scale, bias]
    default = 1e-5 if rms else 1e-12
    return apply("rms_norm" if rms else "layer_norm", *operands, axes=(x.ndim - 1,),
                 eps=n.attr("epsilon", default))


@microsoft("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
def skip_layer_norm(n: Site) -> Any:
    """Two summands, normalised; the fourth result is the sum."""
    rms = n.op != "SkipLayerNormalization"
    beta, bias = (None, n.get(3)) if rms else (n.get(3), n.get(4))
    total = n[0] + n[1] if bias is None else n[0] + n[1] + bias
    if n.wants(1) or n.wants(2):
        raise n.refuse("the mean and deviation as results are not supported")
    return normalised(n, total, n[2], beta, rms=rms), None, None, total


@onnx_op("SimplifiedLayerNormalization")
def simplified_layer_norm(n: Site) -> Any:
    """onnxruntime's own name for RMSNormalization, in the default domain."""
    x = n[0]
    if n.wants(1) or int(n.attr("axis", -1)) % x.ndim != x.ndim - 1:
        raise n.refuse("only the last axis, and one result, are supported")
    return normalised(n, x, n[1], None, rms=True)


@microsoft("EmbedLayerNormalization")
def embed_layer_norm(n: Site) -> Any:
    """Embeddings of words, places and segments, their normalised sum, and lengths of masks."""
    ids = n[0]
    places = apply("embedding", n[8], n[3]) if n.has(8) else n[3][:ids.shape[1]]
    total = apply("embedding", ids, n[2]) + places
    total = total + apply("embedding", n[1], n[4]) if n.has(1) and n.has(4) else total
    lengths = (cast(n[7], "int32").sum(axis=1) if n.has(7)
               else apply("broadcast_to", np.int32(0), shape=(ids.shape[0],)))
    return normalised(n, total, n[5], n[6]), lengths, total


@microsoft("CDist")
def cdist(n: Site) -> Any:
    """Distances of all pairs of rows."""
    far = n[0][:, None, :] - n[1][None, :, :]
    total = (far * far).sum(axis=-1)
    return np.sqrt(total) if n.attr("metric", "sqeuclidean") == "euclidean" else total
