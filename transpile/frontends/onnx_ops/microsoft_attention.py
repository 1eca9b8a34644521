"""Attention of the domain com.microsoft, with masks, biases and caches of keys and values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops.attention import joined, split
from transpile.frontends.onnx_ops.microsoft import microsoft
from transpile.frontends.onnx_values import Site, Tensor, f32
from transpile.frontends.tracer import apply, cast
from transpile.ir.dims import Dim


def padding(n: Site, index: int, batch: Dim, reach: Dim) -> Any:
    """What a mask adds to the scores `[B, heads, S, T]`: nothing, or a large negative number.

    It is one of: the lengths `[B]`, ends and then starts `[2*B]`, or ones and zeros `[B, T]`,
    `[B, S, T]`, `[B, 1, M, M]`.
    """
    if not n.has(index):
        return None
    mask = cast(n[index], "int32")
    if mask.ndim == 1:
        keep = _within(n, mask, batch, reach)
    elif mask.ndim == 4:
        raise n.refuse("a mask with four dimensions is not supported")
    else:
        keep = mask[:, None, None] > 0 if mask.ndim == 2 else mask[:, None] > 0
    return np.where(keep, f32(0), f32(n.attr("mask_filter_value", -10000.0)))


def _within(n: Site, mask: Tensor, batch: Dim, reach: Dim) -> Any:
    place = apply("iota", shape=(1, 1, 1, reach), axis=3, dtype="int32")
    if mask.shape[0] == batch:
        return place < mask[:, None, None, None]
    if mask.shape[0] != 2 * batch:
        raise n.refuse(f"a mask of {mask.shape[0]} numbers for a batch of {batch} is not supported")
    ends, starts = mask[:batch, None, None, None], mask[batch:, None, None, None]
    return (place < ends) & (place >= starts)


def attend(n: Site, q: Tensor, k: Tensor, v: Tensor, terms: list[Any]) -> Any:
    """`[B, S, heads*D]` of `q` `[B, heads, S, D]` and all keys and values; `terms` are added."""
    causal, past = bool(n.attr("unidirectional", 0)), k.shape[2] - q.shape[2]
    if causal and past != 0:
        rows, columns = (apply("iota", shape=(q.shape[2], k.shape[2]), axis=a, dtype="int32")
                         for a in (0, 1))
        ahead = columns - rows - cast(_size(past), "int32") > 0
        terms = [*terms, np.where(ahead, f32(-np.inf), f32(0))]
    given = [t for t in terms if t is not None]
    total = given[0] if given else None
    for term in given[1:]:
        total = total + term
    options: dict[str, Any] = {"causal": causal and past == 0}
    if n.attr("scale"):
        options["scale"] = n.attr("scale")
    return joined(apply("attention", q, k, v, *([] if total is None else [total]), **options))


def _size(value: Dim) -> Any:
    from transpile.frontends.onnx_values import Known, sizes_array
    return Known(sizes_array([value]).reshape(())).tracer()


@microsoft("Attention")
def attention(n: Site) -> Any:
    """One product gives queries, keys and values; `past` [2, B, heads, P, D] comes before."""
    if n.attr("do_rotary", 0) or n.has(6):
        raise n.refuse("rotary positions and shared caches are not supported")
    x, heads = n[0], int(n.required("num_heads"))
    packed = x @ n[1] + n[2] if n.has(2) else x @ n[1]
    third = packed.shape[2] // 3
    sizes = tuple(n.attr("qkv_hidden_sizes", ())) or (third, third, third)
    q, k, v = (split(part, heads) for part in np.split(
        packed, [sizes[0], sizes[0] + sizes[1]], axis=2))
    if n.has(4):
        k, v = (np.concatenate([n[4][i], part], axis=2) for i, part in enumerate((k, v)))
    mask = padding(n, 3, x.shape[0], k.shape[2])
    present = np.stack([k, v]) if n.wants(1) else None
    return attend(n, q, k, v, [mask, n.get(5)]), present


@microsoft("QAttention")
def quantised_attention(n: Site) -> Any:
    """The same on a quantised input and quantised weights."""
    def real(index: int, scale: int, zero: int) -> Any:
        x = cast(n[index], "float32")
        return (x - cast(n[zero], "float32") if n.has(zero) else x) * n[scale]
    inputs = [real(0, 3, 6), real(1, 4, 7), n.get(2), n.get(5), n.get(8)]
    return attention(replace(n, inputs=inputs, elems=[0] * len(inputs)))


@microsoft("MultiHeadAttention")
def multi_head(n: Site) -> Any:
    """Queries, keys and values; keys and values of the past come before."""
    if n.wants(3) or n.has(8):
        raise n.refuse("shared caches, and scores as a result, are not supported")
    heads = int(n.required("num_heads"))
    q, k, v = _operands(n, heads)
    if n.has(6):
        k, v = np.concatenate([n[6], k], axis=2), np.concatenate([n[7], v], axis=2)
    mask = padding(n, 4, q.shape[0], k.shape[2])
    return attend(n, q, k, v, [mask, n.get(5)]), k, v


def _operands(n: Site, heads: int) -> list[Any]:
    """Queries, keys and values `[B, heads, L, D]`, biases added."""
    if n[0].ndim != 3 or not (n.has(1) and n.has(2)):
        raise n.refuse("packed queries, keys and values are not supported")
    given = n[1].ndim == 4  # keys of another sequence, which have their biases already
    parts = [n[k] if given and k else split(n[k], heads) for k in range(3)]
    if not n.has(3):
        return parts
    widths = [heads * p.shape[3] for p in parts]
    biases = np.split(n[3], [widths[0], widths[0] + widths[1]])
    return [p if given and k else p + b.reshape((heads, 1, -1))
            for k, (p, b) in enumerate(zip(parts, biases, strict=True))]


@microsoft("RotaryEmbedding")
def rotary(n: Site) -> Any:
    """Pairs of features turned by an angle that grows with the place (Su et al., 2021)."""
    x, places, cos, sin = (n[k] for k in range(4))
    flat, width = x.ndim == 3, 2 * cos.shape[1]
    turned = int(n.attr("rotary_embedding_dim", 0)) or width
    if flat:
        heads = int(n.attr("num_heads", 0)) or x.shape[2] // width
        x = split(x, heads)
    if places.ndim == 1:
        places = places + apply("iota", shape=(1, x.shape[2]), axis=1, dtype="int32")
    cos, sin = (apply("embedding", places, table)[:, None] for table in (cos, sin))
    y = _rotated(x[..., :turned], cos, sin, bool(n.attr("interleaved", 0)))
    y = np.concatenate([y, x[..., turned:]], axis=3) if turned != x.shape[3] else y
    return joined(y) if flat else y


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Any:
    half = x.shape[3] // 2
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    pair = a * cos - b * sin, a * sin + b * cos
    return np.stack(pair, axis=4).reshape(x.shape) if interleaved else np.concatenate(pair, axis=3)
