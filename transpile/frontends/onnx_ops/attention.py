"""Attention kept whole in its usual form; the rest follows from the standard's own definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply


@onnx_op("Attention", since=23)
def attention(n: Site) -> Any:
    """softmax(q k^T scale + mask) v over `[B, heads, L, D]`, without caches or caps."""
    if _unusual(n):
        return NotImplemented
    q, k, v = n[0], n[1], n[2]
    flat = q.ndim == 3
    if flat:
        heads, inner = int(n.required("q_num_heads")), int(n.required("kv_num_heads"))
        q, k, v = split(q, heads), split(k, inner), split(v, inner)
    if k.shape[1] != q.shape[1]:
        repeats = q.shape[1] // k.shape[1]
        k, v = (np.repeat(x, repeats, axis=1) for x in (k, v))
    operands = [q, k, v]
    options: dict[str, Any] = {"causal": bool(n.attr("is_causal", 0))}
    if n.has(3):
        operands.append(n[3])
    if n.attr("scale"):
        options["scale"] = n.attr("scale")
    y = apply("attention", *operands, **options)
    return joined(y) if flat else y


def _unusual(n: Site) -> bool:
    """True for what the composite does not cover."""
    more = any(n.has(i) for i in range(4, len(n))) or any(n.wants(i) for i in (1, 2, 3))
    limited = bool(n.attr("softcap", 0)) or n.attr("left_window_size", -1) >= 0 or n.attr(
        "right_window_size", -1) >= 0
    # A mask may be shorter than the keys: the standard's own body fills it up.
    short = n.has(3) and n[3].shape[-1] != n[1].shape[-2]
    return more or limited or short or n[0].ndim not in (3, 4)


def split(x: Tensor, heads: int) -> Any:
    """`[B, L, heads*D]` as `[B, heads, L, D]`."""
    return np.swapaxes(x.reshape((*x.shape[:2], heads, x.shape[2] // heads)), 1, 2)


def joined(x: Tensor) -> Any:
    x = np.swapaxes(x, 1, 2)
    return x.reshape((*x.shape[:2], x.shape[2] * x.shape[3]))
