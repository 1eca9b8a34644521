"""Small integers packed into an int32: two of 16 bits, or four of 8 bits, the lowest bits first."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.lower.expr import Expr, call, cast


def low(pair: Any) -> Any:
    """The signed integer in the lower 16 bits; of an array or an expression."""
    return _shift("shift_right", _shift("shift_left", pair, 16), 16)


def high(pair: Any) -> Any:
    """The signed integer in the upper 16 bits."""
    return _shift("shift_right", pair, 16)


def byte(word: Any, number: int) -> Any:
    """One of the four signed bytes."""
    return _shift("shift_right", _shift("shift_left", word, 24 - 8 * number), 24)


def _shift(fn: str, value: Any, count: int) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return getattr(np, fn.replace("shift_left", "left_shift").replace(
            "shift_right", "right_shift"))(value, np.int32(count))
    return call(fn, value, count)


def pack_pairs(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Integers of 16 bits in twos."""
    packed: np.ndarray = lower.astype(np.int32) & 0xFFFF | upper.astype(np.int32) << 16
    return packed


def pack_bytes(*four: np.ndarray) -> np.ndarray:
    """Integers of 8 bits in fours."""
    packed = np.zeros(four[0].shape, np.uint32)
    for number, one in enumerate(four):
        packed |= (one.astype(np.int32) & 0xFF).astype(np.uint32) << np.uint32(8 * number)
    return packed.view(np.int32)


# ---- rows of the scalar table: NumPy, and by plain integers

def dot_i16(a: Expr, b: Expr) -> Expr:
    """The sum of the products of two pairs."""
    return call("add", call("mul", low(a), low(b)), call("mul", high(a), high(b)))


def dot_numpy(a: Any, b: Any) -> Any:
    a, b = (np.asarray(x, np.int32) for x in (a, b))
    with np.errstate(over="ignore"):
        return low(a) * low(b) + high(a) * high(b)


def round_i16(x: Expr) -> Expr:
    """The nearest integer, a tie to the even one; only the lower 16 bits count, 0 for NaN."""
    return cast(call("round", x), "int32")


def round_numpy(x: Any) -> Any:
    return np.nan_to_num(np.rint(x), nan=0.0, posinf=0.0, neginf=0.0).astype(np.int32)


def even_bytes(word: Expr) -> Expr:
    """The first and third byte as a pair."""
    return pair_of(byte(word, 0), byte(word, 2))


def odd_bytes(word: Expr) -> Expr:
    """The second and fourth byte as a pair."""
    return pair_of(byte(word, 1), byte(word, 3))


def pair_of(lower: Expr, upper: Expr) -> Expr:
    """Two integers as a pair."""
    return call("bitwise_or", call("bitwise_and", lower, 0xFFFF), call("shift_left", upper, 16))


def even_numpy(word: Any) -> np.ndarray:
    word = np.asarray(word, np.int32)
    return pack_pairs(byte(word, 0), byte(word, 2))


def odd_numpy(word: Any) -> np.ndarray:
    word = np.asarray(word, np.int32)
    return pack_pairs(byte(word, 1), byte(word, 3))
