"""Matrix products of any rank, embeddings, and attention."""

from __future__ import annotations

import math
import string

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim
from transpile.ops.composite import Value, apply, composite, floating, static, unwrap
from transpile.ops.registry import sample


def _drop_ones(x: Value, labels: str, other: tuple[Dim, ...]) -> tuple[Value, str]:
    """Drop the batch dimensions of size 1, two labels being the matrix's own.

    Where the other operand has that dimension, the product need not broadcast then.
    """
    batch = x.shape[:-2]
    kept = [i for i, d in enumerate(batch)
            if d != 1 or len(batch) - i > len(other)]
    if len(kept) == len(batch):
        return x, labels
    shape = tuple(batch[i] for i in kept) + tuple(x.shape[-2:])
    return x.reshape(shape), "".join(labels[i] for i in kept) + labels[-2:]


def _check_matmul(a: Value, b: Value) -> None:
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("matmul needs operands of rank 1 or more", fix="multiply with *")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(f"matmul of {unwrap(a).type} and {unwrap(b).type}: the inner sizes "
                         f"{a.shape[-1]} and {inner} differ")


def _matmul(a: Value, b: Value) -> Value:
    _check_matmul(a, b)
    if a.ndim == 1 and b.ndim == 1:
        return apply("contract", a, b, equation="k,k->")
    if a.ndim == 1:
        return _squeeze(_matmul(a.reshape((1, a.shape[0])), b), -2)
    if b.ndim == 1:
        return _squeeze(_matmul(a, b.reshape((b.shape[0], 1))), -1)
    rank = max(a.ndim, b.ndim) - 2
    batch = [c for c in string.ascii_lowercase if c not in "kmn"][:rank]
    left = "".join(batch[rank - a.ndim + 2:]) + "mk"
    right = "".join(batch[rank - b.ndim + 2:]) + "kn"
    shape_a, shape_b = tuple(a.shape[:-2]), tuple(b.shape[:-2])
    b, right = _drop_ones(b, right, shape_a)
    a, left = _drop_ones(a, left, tuple(b.shape[:-2]) if len(shape_b) == len(right) - 2 else ())
    return apply("contract", a, b, equation=f"{left},{right}->{''.join(batch)}mn")


def _squeeze(x: Value, axis: int) -> Value:
    at = axis % x.ndim
    return x.reshape((*x.shape[:at], *x.shape[at + 1:]))


def _embedding(ids: Value, table: Value) -> Value:
    return apply("take", table, ids, axis=0)


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
    # A row that is masked in full has no largest score: it gives zeros, as in PyTorch.
    top = np.maximum(scores.max(axis=-1, keepdims=True), -1e30)
    e = np.exp(scores - top)
    total = e.sum(axis=-1, keepdims=True)
    return (e / (total if mask is None else np.maximum(total, 1e-30))) @ v


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The matrix product with NumPy's rules for vectors and batches."""
    return np.asarray(np.matmul(a, b))


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
        keep &= np.tri(*scores.shape[-2:], dtype=bool)
    if mask is not None and mask.dtype == bool:
        keep &= mask
    elif mask is not None:
        scores = scores + mask
        keep &= ~np.isneginf(scores)
    weights = np.where(keep, np.exp(scores - np.max(scores, -1, keepdims=True, where=keep,
                                                    initial=-1e30)), 0)
    total = weights.sum(-1, keepdims=True)
    weights = weights / np.where(total == 0, 1, total)
    return np.asarray(np.einsum("...ts,...sd->...td", weights, v)).astype(q.dtype)


composite("matmul", _matmul, matmul, [
    sample("float32[3,4]", "float32[4,5]"), sample("float32[4]", "float32[4]"),
    sample("float32[4]", "float32[2,4,5]"), sample("float32[2,3,4]", "float32[4]"),
    sample("float32[2,3,4]", "float32[4,5]"), sample("float32[1,2,3,4]", "float32[5,1,4,2]"),
    sample("float32[1,3,4]", "float32[1,4,2]"), sample("int32[2,3]", "int32[3,2]")])
composite("embedding", _embedding, embedding, [
    sample("int32[2,3]", "float32[5,4]", low=0, high=5)])
composite("attention", _attention, attention, [
    sample("float32[2,5,4]", "float32[2,6,4]", "float32[2,6,3]"),
    sample("float32[2,3,4,2]", "float32[2,3,4,2]", "float32[2,3,4,2]", causal=True, scale=0.5),
    sample("float32[2,5,4]", "float32[2,6,4]", "float32[2,6,3]", "bool[5,6]"),
    sample("float32[5,4]", "float32[6,4]", "float32[6,3]", "float32[5,6]")])
