"""Scalar expressions of the loop IR: what is computed at one index.

Every operator is a call of a row of the scalar table (`lower/scalar.py`); an index is a `Dim`
(see `ir/dims.py`), never an expression, so that bounds stay known.

The native vector has four lanes. It is a dtype like any other: `float32x4`, `int32x4`, `uint8x4`
(in memory only; its lanes hold int32), and the mask `boolx4`, which comparisons of vectors give
and `select` takes. A `Load` or `Store` of a vector walks four adjacent elements from its index on,
which counts elements, not vectors. `splat` puts a scalar into every lane, `lane0` to `lane3` take
one out, `zip_low` and its kin move lanes of two vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import copysign
from typing import Union

from transpile.ir.dims import Dim


@dataclass(frozen=True, slots=True)
class Const:
    """A number of one dtype; may be infinite or NaN."""

    value: float | int | bool
    dtype: str = "float32"

    def __eq__(self, other: object) -> bool:  # 0.0 and -0.0 differ
        return isinstance(other, Const) and self.dtype == other.dtype and (
            self.value == other.value) and copysign(1, self.value) == copysign(1, other.value)


@dataclass(frozen=True, slots=True)
class Local:
    """A scalar local that a `Let` or `Declare` introduced."""

    name: str
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Index:
    """An index as a value (int32)."""

    index: Dim
    dtype: str = "int32"


@dataclass(frozen=True, slots=True)
class Load:
    """`buffer[index]`, or the four elements from there on where the dtype is a vector's."""

    buffer: str
    index: Dim
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Pointer:
    """The place `buffer + index`, bound by a `Let` whose name then serves as a buffer."""

    buffer: str
    index: Dim
    dtype: str = "float32"


@dataclass(frozen=True)
class Call:
    """A row of the scalar table applied to operands: `add`, `exp`, `select`, `to_int32`, ..."""

    fn: str
    args: tuple[Expr, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.fn, self.args, self.dtype)))

    def __hash__(self) -> int:
        result: int = self._hash  # type: ignore[attr-defined]
        return result


Expr = Union[Const, Local, Index, Load, Pointer, Call]


def lanes_of(dtype: str) -> int:
    """4 for the dtype of a vector, else 1."""
    return 4 if dtype.endswith("x4") else 1


def call(fn: str, *args: Expr | float | int, dtype: str | None = None) -> Expr:
    """A call with numbers promoted to constants and the dtype taken from the table."""
    from transpile.lower.scalar import result_dtype
    kind = next((a.dtype for a in args if not isinstance(a, (int, float))), "float32")
    exprs = tuple(Const(a, kind) if isinstance(a, (int, float)) else a for a in args)
    return Call(fn, exprs, dtype or result_dtype(fn, *(e.dtype for e in exprs)))


def cast(value: Expr, dtype: str) -> Expr:
    """`value` in another dtype; floats truncate to integers."""
    if value.dtype == dtype:
        return value
    if isinstance(value, Const):
        kind = {"float32": float, "int32": int, "uint8": int, "bool": bool}[dtype]
        if dtype in ("float32", "bool") or value.value == value.value:
            return Const(kind(value.value), dtype)
    return Call(f"to_{dtype}", (value,), dtype)


def map_expr(value: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """Rebuild bottom-up: `change` gives a replacement, or None to keep."""
    if isinstance(value, Call):
        args = tuple(map_expr(a, change) for a in value.args)
        if any(a is not b for a, b in zip(args, value.args, strict=True)):
            value = replace(value, args=args)
    return change(value) or value
