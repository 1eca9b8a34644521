"""Routines: what has no closed form at one index (running sums, sorting).

Each is lowered by a builder of the same name in `lower/routine.py`.
"""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from transpile.ir.types import TensorType
from transpile.ops.index import check_axis
from transpile.ops.reduce import accumulator
from transpile.ops.registry import Op, Routine, register, sample


def routine(builder: str, *, module: str = "routine", epilogue: bool = False,
            parallel: bool = False, **fixed: Any) -> Routine:
    """A form that calls `builder` of `lower/<module>.py`, which is imported on first use."""
    def build(*args: Any, **attrs: Any) -> Any:
        builders = import_module(f"transpile.lower.{module}")
        return getattr(builders, builder)(*args, **fixed, **attrs)
    return Routine(build, epilogue, parallel)


# cumsum, cumprod

def _cumulative(name: str, combine: str, function: np.ufunc, neutral: int) -> Op:
    """Register a running sum or product along one axis."""
    def infer(x: TensorType, axis: int, exclusive: bool = False, reverse: bool = False
              ) -> TensorType:
        check_axis(name, x, axis)
        return x.with_dtype(accumulator(x.dtype))

    def reference(x: np.ndarray, axis: int, exclusive: bool = False, reverse: bool = False
                  ) -> np.ndarray:
        kind = x.dtype if x.dtype == np.float64 else np.dtype(accumulator(x.dtype.name))
        moved = np.moveaxis(x.astype(kind, copy=False), axis, 0)
        moved = moved[::-1] if reverse else moved
        total: np.ndarray = function.accumulate(moved, axis=0, dtype=kind)
        if exclusive:
            total = np.concatenate([np.full_like(total[:1], neutral), total[:-1]])
        total = total[::-1] if reverse else total
        return np.moveaxis(total, 0, axis)

    reference.__doc__ = f"The running {combine} along an axis."
    return register(Op(name, infer, reference, routine("build_cumulative", combine=combine), (
        sample("float32[7]", axis=0, exclusive=False, reverse=False),
        sample("float32[3,5]", axis=0, exclusive=True, reverse=False),
        sample("float32[2,3,5]", axis=1, exclusive=False, reverse=True),
        sample("int32[3,7]", low=1, high=4, axis=1, exclusive=True, reverse=True),
        sample("uint8[5,1]", high=9, axis=0, exclusive=False, reverse=False),
        sample("bool[5]", axis=0, exclusive=False, reverse=False))))


_cumulative("cumsum", "sum", np.add, 0)
_cumulative("cumprod", "prod", np.multiply, 1)


# sort, argsort

def _sorting(name: str, positions: bool, reference: Callable[..., np.ndarray]) -> Op:
    def infer(x: TensorType, axis: int, descending: bool = False) -> TensorType:
        check_axis(name, x, axis)
        return x.with_dtype("int32") if positions else x

    return register(Op(name, infer, reference, routine("build_sort", positions=positions), (
        sample("float32[7]", axis=0, descending=False),
        sample("float32[3,5]", axis=1, descending=True),
        sample("int32[7,3]", axis=0, descending=True),
        sample("uint8[2,7,1]", high=5, axis=1, descending=False),
        sample("bool[5]", axis=0, descending=True))))


def argsort(x: np.ndarray, axis: int, descending: bool = False) -> np.ndarray:
    """The positions in sorted order along an axis; among equals the first stays first."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable").astype(np.int32)
    backwards = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    positions: np.ndarray = np.flip(x.shape[axis] - 1 - backwards, axis)
    return positions.astype(np.int32)


def sort(x: np.ndarray, axis: int, descending: bool = False) -> np.ndarray:
    """The elements in order along an axis."""
    ordered = np.sort(x, axis=axis)
    return np.flip(ordered, axis) if descending else ordered


_sorting("sort", False, sort)
_sorting("argsort", True, argsort)
