"""Matrix products of any rank, embeddings, and attention."""

from __future__ import annotations

import math
import string

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim
from transpile.ir.fitting import equal_sizes
from transpile.ops.composite import Value, apply, composite, floating, static, unwrap
from transpile.ops.registry import sample


def _aligned(x: Value, other: Value, labels: str, keep_common: bool) -> tuple[Value, str]:
    """`x` without the batch dimensions of size 1 that `other` has, so that nothing broadcasts.

    Where both have size 1, `keep_common` says whether it stays in this one.

    Returns:
        The operand, and the labels of the batch dimensions that are left.
    """
    sizes = x.shape[:-2]
    others = (None,) * (x.ndim - other.ndim) + tuple(other.shape[:-2])[max(other.ndim - x.ndim, 0):]
    own = labels[len(labels) - len(sizes):]
    kept = [i for i, (d, o) in enumerate(zip(sizes, others, strict=True))
            if d != 1 or o is None or (o == 1 and keep_common)]
    if len(kept) == len(sizes):
        return x, own
    return x.reshape((*(sizes[i] for i in kept), *x.shape[-2:])), "".join(own[i] for i in kept)


def _check_matmul(a: Value, b: Value) -> None:
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("matmul needs operands of rank 1 or more", fix="multiply with *")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(f"matmul of {unwrap(a).type} and {unwrap(b).type}: the inner sizes "
                         f"{a.shape[-1]} and {inner} differ",
                         **equal_sizes([{a.shape[-1], inner}]))


def _matmul(a: Value, b: Value) -> Value:
    _check_matmul(a, b)
    if a.ndim == 1 and b.ndim == 1:
        return apply("contract", a, b, equation="k,k->")
    if a.ndim == 1:
        return _squeeze(_matmul(a.reshape((1, a.shape[0])), b), -2)
    if b.ndim == 1:
        return _squeeze(_matmul(a, b.reshape((b.shape[0], 1))), -1)
    batch = "".join(c for c in string.ascii_lowercase if c not in "kmn")[:max(a.ndim, b.ndim) - 2]
    left, labels_a = _aligned(a, b, batch, keep_common=True)
    right, labels_b = _aligned(b, a, batch, keep_common=False)
    return apply("contract", left, right, equation=f"{labels_a}mk,{labels_b}kn->{batch}mn")


def _linear(x: Value, weight: Value, bias: Value | None = None) -> Value:
    y = _matmul(x, weight.transpose((1, 0)))
    return y if bias is None else y + bias


def _squeeze(x: Value, axis: int) -> Value:
    at = axis % x.ndim
    return x.reshape((*x.shape[:at], *x.shape[at + 1:]))


def _embedding(ids: Value, table: Value) -> Value:
    return apply("take", table, ids, axis=0)


LOWEST = float(np.finfo(np.float32).min)
"""Masks that add about so much leave even a fully masked row weights: those of its scores."""


def _causal(rows: Dim, cols: Dim) -> Value:
    row = apply("iota", shape=(rows, 1), axis=0, dtype="int32")
    return row >= apply("iota", shape=(1, cols), axis=1, dtype="int32")


def _attention(q: Value, k: Value, v: Value, mask: Value | None = None, *,
               scale: float | None = None, causal: bool = False) -> Value:
    factor = scale if scale is not None else 1 / math.sqrt(static(q.shape[-1], "attention"))
    scores = (q @ k.swapaxes(-1, -2)) * factor
    if causal:
        scores = np.where(_causal(q.shape[-2], k.shape[-2]), scores, -np.inf)
    if mask is not None:
        scores = (np.where(mask, scores, -np.inf) if unwrap(mask).dtype == "bool"
                  else scores + mask)
    top = scores.max(axis=-1, keepdims=True)
    if mask is None:
        e = np.exp(scores - top)
        return (e / e.sum(axis=-1, keepdims=True)) @ v
    # A row that is masked in full has no largest score: it gives zeros, as in PyTorch.
    e = np.exp(scores - np.maximum(top, LOWEST))
    return (e / np.maximum(e.sum(axis=-1, keepdims=True), 1e-30)) @ v


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The matrix product with NumPy's rules for vectors and batches."""
    return np.asarray(np.matmul(a, b))


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """x @ weight.T + bias, with a weight [O, I]."""
    y = np.tensordot(floating(x), weight, axes=([-1], [1]))
    return np.asarray(y if bias is None else y + bias)


def embedding(ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Rows of a table: table[ids]"""
    return np.asarray(table[ids])


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None, *,
              scale: float | None = None, causal: bool = False) -> np.ndarray:
    """softmax(q k^T * scale + mask) v"""
    q = floating(q)
    scores = np.einsum("...td,...sd->...ts", q, k) * (scale or q.shape[-1] ** -0.5)
    keep = np.ones(scores.shape, bool)
    if causal:
        keep &= np.tri(*scores.shape[-2:], dtype=np.bool_)
    if mask is not None and mask.dtype == bool:
        keep &= mask
    elif mask is not None:
        scores = scores + mask
        keep &= ~np.isneginf(scores)
    scores = np.where(keep, scores, -np.inf)
    weights = np.exp(scores - np.max(scores, -1, keepdims=True, initial=LOWEST))
    total = weights.sum(-1, keepdims=True)
    weights = weights / np.where(total == 0, 1, total)
    return np.asarray(np.einsum("...ts,...sd->...td", weights, v)).astype(q.dtype)


composite("matmul", _matmul, matmul, [
    sample("float32[3,4]", "float32[4,5]"), sample("float32[4]", "float32[4]"),
    sample("float32[4]", "float32[2,4,5]"), sample("float32[2,3,4]", "float32[4]"),
    sample("float32[2,3,4]", "float32[4,5]"), sample("float32[1,2,3,4]", "float32[5,1,4,2]"),
    sample("float32[1,3,4]", "float32[1,4,2]"), sample("int32[2,3]", "int32[3,2]")])
composite("linear", _linear, linear, [
    sample("float32[3,4]", "float32[2,4]", "float32[2]"), sample("float32[2,3,4]", "float32[5,4]"),
    sample("float32[4]", "float32[2,4]")])
composite("embedding", _embedding, embedding, [
    sample("int32[2,3]", "float32[5,4]", low=0, high=5)])
composite("attention", _attention, attention, [
    sample("float32[2,5,4]", "float32[2,6,4]", "float32[2,6,3]"),
    sample("float32[2,3,4,2]", "float32[2,3,4,2]", "float32[2,3,4,2]", causal=True, scale=0.5),
    sample("float32[2,5,4]", "float32[2,6,4]", "float32[2,6,3]", "bool[5,6]"),
    sample("float32[5,4]", "float32[6,4]", "float32[6,3]", "float32[5,6]")])
