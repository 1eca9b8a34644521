"""Products of quantised matrices: int16 rows times int8 columns, summed up in int32.

Rows are quantised as they come, symmetrically, each by its largest magnitude (dynamic
quantisation; Jacob et al., arXiv 1712.05877, section 2.1, without a zero point). Int32 serves for
what is packed: a row of 2P numbers lies in P pairs, number k beside number P + k, so that lanes
walk memory one by one; 4Q numbers of a column lie in Q words of bytes in the same way.
"""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim, floordiv, mod
from transpile.ir.types import TensorType
from transpile.lower.expr import Const, Expr, Index, call
from transpile.lower.packed import byte, high, low, pack_bytes, pack_pairs, pair_of
from transpile.ops.registry import (
    Accessor,
    Columns,
    Idx,
    Op,
    Pointwise,
    Reduction,
    register,
    sample,
)

LARGEST = 127
"""Of a weight."""

SMALLEST = 2.0**-100
"""Rows whose largest magnitude is below this count as zeros: nothing is divided by it."""


def largest_integer(length: int) -> int:
    """Up to which rows of `length` numbers are quantised: no sum then leaves int32."""
    return min(2**15 - 1, (2**31 - 1) // (LARGEST * length))


# quantise_rows

def _infer_rows(x: TensorType, largest: TensorType, limit: int) -> TensorType:
    *rows, columns = x.shape
    if x.dtype != "float32" or largest != x.with_shape((*rows, 1)) or not isinstance(
            columns, int) or columns % 2:
        raise ShapeError(f"quantise_rows of {x} by {largest}",
                         why="it takes an even number of float32 columns and one number a row")
    return TensorType("int32", (*rows, columns // 2))


def quantise_rows(x: np.ndarray, largest: np.ndarray, limit: int) -> np.ndarray:
    """Each row times `limit` over its `largest` magnitude, rounded, in pairs."""
    with np.errstate(all="ignore"):
        factor = np.where(largest > SMALLEST, x.dtype.type(limit) / largest, x.dtype.type(0))
        whole = np.nan_to_num(np.rint(x * factor), nan=0.0, posinf=0.0, neginf=0.0)
    half = x.shape[-1] // 2
    return pack_pairs(whole[..., :half], whole[..., half:])


def _rows_at(index: Idx, x: Accessor, largest: Accessor, limit: int) -> Expr:
    *row, k = index
    half = floordiv(x.type.shape[-1], 2)
    top = largest(*row, 0)
    factor = call("select", call("greater", top, SMALLEST), call("div", Const(float(limit)), top),
                  Const(0.0))
    return pair_of(*(call("round_i16", call("mul", x(*row, at), factor)) for at in (k, k + half)))


register(Op("quantise_rows", _infer_rows, quantise_rows, Pointwise(_rows_at, "gather"), (
    sample("float32[3,10]", "float32[3,1]", low=0.5, high=0.9, limit=300),
    sample("float32[2,3,2]", "float32[2,3,1]", low=0.5, high=0.9, limit=32767),
    sample("float32[1,64]", "float32[1,1]", low=0.5, high=0.9, limit=1000))))


# widen_int8

def _infer_widen(words: TensorType) -> TensorType:
    if words.dtype != "int32" or words.rank != 2:
        raise ShapeError(f"widen_int8 of {words}", why="it takes a matrix of packed bytes")
    return words.with_shape((words.shape[0] * 2, words.shape[1]))


def widen_int8(words: np.ndarray) -> np.ndarray:
    """Words of four bytes as pairs: [Q, N] to [2Q, N]."""
    b = [byte(words, i) for i in range(4)]
    return np.concatenate([pack_pairs(b[0], b[2]), pack_pairs(b[1], b[3])])


def _widen_at(index: Idx, words: Accessor) -> Expr:
    k, n = index
    count = words.type.shape[0]
    word = words(mod(k, count), n)
    upper = call("less", Index(k), Index(count))
    return call("select", upper, call("even_bytes", word), call("odd_bytes", word))


register(Op("widen_int8", _infer_widen, widen_int8, Pointwise(_widen_at, "gather"), (
    sample("int32[3,5]", low=-2**31, high=2**31 - 1),
    sample("int32[1,16]", low=-2**31, high=2**31 - 1))))


# contract_int8

def _infer_contract(pairs: TensorType, weight: TensorType) -> TensorType:
    count = pairs.shape[-1]
    fits = weight.rank == 2 and isinstance(weight.shape[0], int) and count in (
        weight.shape[0], weight.shape[0] * 2)
    if {pairs.dtype, weight.dtype} != {"int32"} or not fits:
        raise ShapeError(f"contract_int8 of {pairs} and {weight}",
                         why="there are as many pairs in a row as in a column, or twice as many "
                             "as words of bytes")
    return pairs.with_shape((*pairs.shape[:-1], weight.shape[1]))


def contract_int8(pairs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rows of pairs times columns of pairs or bytes, in integers that do not leave int32."""
    if pairs.shape[-1] != weight.shape[0]:
        weight = widen_int8(weight)
    rows = np.concatenate([low(pairs), high(pairs)], -1).astype(np.float64)
    columns = np.concatenate([low(weight), high(weight)]).astype(np.float64)
    result: np.ndarray = (rows @ columns).astype(np.int64).astype(np.int32)  # exact up to 2**53
    return result


def _extents(pairs: TensorType, weight: TensorType) -> Idx:
    return (weight.shape[0],)


def _body(index: Idx, red: Idx, pairs: Accessor, weight: Accessor) -> Expr:
    *row, n = index
    (k,) = red
    count = weight.type.shape[0]
    word = weight(k, n)
    if pairs.type.shape[-1] == count:
        return call("dot_i16", pairs(*row, k), word)
    return call("add", call("dot_i16", pairs(*row, k), call("even_bytes", word)),
                call("dot_i16", pairs(*row, k + count), call("odd_bytes", word)))


register(Op("contract_int8", _infer_contract, contract_int8,
            Reduction("sum", _extents, _body, contraction=True), (
                sample("int32[3,5]", "int32[5,7]", low=-900, high=900),
                sample("int32[2,1,6]", "int32[3,16]", low=-900, high=900),
                sample("int32[1,4]", "int32[2,33]", low=-2**31, high=2**31 - 1),
                sample("int32[4,2]", "int32[2,1]", low=-2**26, high=2**26)), columns=Columns()))


def packed_weight(whole: np.ndarray) -> np.ndarray:
    """Integers of a matrix [K, N], K a multiple of 4, as words of bytes [K/4, N]."""
    return pack_bytes(*np.split(whole, 4))


def words_of(rows: Dim) -> bool:
    """True where so few rows make a product bound by the memory that its weights take."""
    return isinstance(rows, int) and rows < 4
