"""Tensor types: a dtype and a shape whose dimensions may be named."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim, dim, names, parse_dim, product
from transpile.ir.fitting import equal_sizes

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

DTYPES = ("bool", "uint8", "int32", "float32")
"""What tensors hold inside, from the narrowest to the widest kind."""

NARROW = {"float64": "float32", "float16": "float32", "int64": "int32", "uint32": "int32",
          "uint64": "int32", "int16": "int32", "int8": "int32", "uint16": "int32"}
"""How foreign dtypes enter: values that do not fit are an error, never wrapped."""


@dataclass(frozen=True)
class TensorType:
    """`float32[batch, 784]`: a dtype of `DTYPES` and a tuple of `Dim`."""

    dtype: str
    shape: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        return product(self.shape)

    @property
    def names(self) -> set[str]:
        """The named dimensions in the shape."""
        return {n for d in self.shape for n in names(d)}

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def with_dtype(self, dtype: str) -> TensorType:
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @staticmethod
    def parse(text: str) -> TensorType:
        """Read `float32[batch, 3, 224, 224]`; foreign dtypes are narrowed."""
        match = re.fullmatch(r"\s*(\w+)\s*\[(.*)\]\s*", text)
        if not match:
            raise ShapeError(f"not a tensor type: {text!r}", fix="write it as float32[batch,784]")
        return tensor_type(match[1], [parse_dim(d) for d in match[2].split(",") if d.strip()])


def narrow_dtype(dtype: object) -> str:
    """The inner dtype for a NumPy dtype or its name; ShapeError if there is none."""
    name = dtype if isinstance(dtype, str) else np.dtype(cast("DTypeLike", dtype)).name
    name = NARROW.get(name, name)
    if name not in DTYPES:
        raise ShapeError(f"the dtype {name} is not supported",
                         fix=f"use one of {', '.join(DTYPES)}")
    return name


def tensor_type(dtype: object, shape: Iterable[int | str | Dim]) -> TensorType:
    """A type from user input: dims are numbers, names, or expressions such as `"2*batch"`."""
    dims = tuple(parse_dim(d) if isinstance(d, str) and not d.isidentifier()
                 else dim(d) if isinstance(d, str) else d if not isinstance(d, np.integer)
                 else int(d) for d in shape)
    if any(isinstance(d, int) and d < 0 for d in dims):
        raise ShapeError(f"a dimension is negative in {list(dims)}",
                         fix="give a size, or a name for a size known at run time")
    return TensorType(narrow_dtype(dtype), dims)


def narrow_array(value: object, what: str = "array", *, copy: bool = True) -> np.ndarray:
    """`value` as an array of an inner dtype, C-contiguous.

    float64 and float16 become float32; wider and odd integers become int32.

    Args:
        copy: False where nobody will change `value`: the result may share its memory.

    Raises:
        ShapeError: an integer does not fit in 32 bits, or a finite float overflows to infinity.
    """
    array = np.asarray(value)
    dtype = narrow_dtype(array.dtype)
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(array.astype(dtype, copy=copy)).reshape(array.shape)
    if dtype == "int32" and array.dtype != np.int32 and array.size and not np.array_equal(
            result, array):
        raise ShapeError(f"{what} holds integers that do not fit in int32",
                         fix="rescale it, or make it float32")
    if array.dtype == np.float64 and np.any(np.isinf(result) & np.isfinite(array)):
        raise ShapeError(f"{what} holds values beyond the range of float32", fix="rescale it")
    return result


def promote(*dtypes: str) -> str:
    """The common dtype: float32 beats int32 beats uint8 beats bool, as float64 never exists here.

    This departs from NumPy where NumPy would give float64 (int32 with float32).
    """
    return max(dtypes, key=DTYPES.index)


def broadcast(*shapes: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """NumPy's broadcasting over symbolic sizes; unequal symbolic sizes are an error."""
    rank = max(map(len, shapes), default=0)
    columns = [{d for d in column if d != 1} for column in zip(
        *((1,) * (rank - len(s)) + tuple(s) for s in shapes), strict=True)]
    wrong = next((sizes for sizes in columns if len(sizes) > 1), None)
    if wrong:
        raise ShapeError(
            "operands with shapes " + ", ".join(f"[{', '.join(map(str, s))}]" for s in shapes)
            + " do not broadcast together",
            why=f"sizes {' and '.join(sorted(map(str, wrong)))} meet in one dimension",
            **equal_sizes(columns))
    return tuple(sizes.pop() if sizes else 1 for sizes in columns)
