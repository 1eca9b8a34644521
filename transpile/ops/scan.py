"""Routines: what has no closed form at one index (running sums, sorting, recurrent layers).

Each is lowered by a builder of the same name in `lower/routine.py`.
"""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.types import TensorType
from transpile.ops.elementwise import sigmoid
from transpile.ops.index import check_axis
from transpile.ops.reduce import accumulator
from transpile.ops.registry import Op, Routine, Sample, register, sample


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


# lstm_scan, gru_scan

def blocked(weight: np.ndarray, count: int, width: int) -> np.ndarray:
    """A recurrent weight [H, count*H] by blocks of `width` units: [H/width, H, count, width].

    All that one block of units needs of one row lies together.
    """
    hidden = weight.shape[0]
    return np.ascontiguousarray(
        weight.reshape(hidden, count, hidden // width, width).transpose(2, 0, 1, 3))


def unblocked(weight: np.ndarray) -> np.ndarray:
    """A recurrent weight as [H, count*H], whichever way it came."""
    if weight.ndim == 2:
        return weight
    hidden, count = weight.shape[1:3]
    flat: np.ndarray = weight.transpose(1, 2, 0, 3).reshape(hidden, count * hidden)
    return flat


def _check_scan(name: str, count: int, gates: TensorType, state: TensorType,
                weight: TensorType) -> None:
    """gates[T, B, count*H], weight[H, count*H] or in blocks, state[B, H], all float32."""
    fits = gates.rank == 3 and state.rank == 2 and (
        gates.shape[1:] == (state.shape[0], state.shape[1] * count))
    if weight.rank == 4:
        fits = fits and weight.shape[1:3] == (state.shape[1], count) and (
            weight.shape[0] * weight.shape[3] == state.shape[1])
    else:
        fits = fits and weight.shape == (state.shape[1], state.shape[1] * count)
    if not fits or {gates.dtype, state.dtype, weight.dtype} != {"float32"}:
        raise ShapeError(f"{name} of {gates} with the weight {weight} and the state {state}",
                         why=f"it needs float32 [T,B,{count}*H], [H,{count}*H] and [B,H]")


def _infer_lstm(gates: TensorType, w_hh: TensorType, h0: TensorType, c0: TensorType,
                reverse: bool = False) -> TensorType:
    _check_scan("lstm_scan", 4, gates, h0, w_hh)
    if c0 != h0:
        raise ShapeError(f"lstm_scan: the states are {h0} and {c0}", why="both must be alike")
    return gates.with_shape((*gates.shape[:2], h0.shape[1] * 2))


def lstm_scan(gates: np.ndarray, w_hh: np.ndarray, h0: np.ndarray, c0: np.ndarray,
              reverse: bool = False) -> np.ndarray:
    """The LSTM recurrence over the first axis: hidden and cell states side by side.

    `gates` is the input's part of the gates i, f, g, o, biases included (the order of
    torch.nn.LSTM, whose documentation has the formula).
    """
    h, c, w_hh = h0, c0, unblocked(w_hh)
    result = np.empty((*gates.shape[:2], 2 * h0.shape[1]), np.result_type(gates, w_hh, h0, c0))
    for t in range(len(gates))[::-1 if reverse else 1]:
        i, f, g, o = np.split(gates[t] + h @ w_hh, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        result[t] = np.concatenate([h, c], axis=-1)
    return result


def _infer_gru(gates: TensorType, w_hh: TensorType, b_hh: TensorType, h0: TensorType,
               reverse: bool = False) -> TensorType:
    _check_scan("gru_scan", 3, gates, h0, w_hh)
    if b_hh != h0.with_shape((h0.shape[1] * 3,)):
        raise ShapeError(f"gru_scan: the bias is {b_hh} and the weight {w_hh}")
    return gates.with_shape((*gates.shape[:2], h0.shape[1]))


def gru_scan(gates: np.ndarray, w_hh: np.ndarray, b_hh: np.ndarray, h0: np.ndarray,
             reverse: bool = False) -> np.ndarray:
    """The GRU recurrence over the first axis: the hidden states.

    `gates` is the input's part of the gates r, z, n with its bias (the order of torch.nn.GRU,
    whose documentation has the formula); `b_hh` is inside the reset gate's product.
    """
    h, w_hh = h0, unblocked(w_hh)
    result = np.empty((*gates.shape[:2], h0.shape[1]), np.result_type(gates, w_hh, b_hh, h0))
    for t in range(len(gates))[::-1 if reverse else 1]:
        gate_r, gate_z, gate_n = np.split(gates[t], 3, axis=-1)
        hidden_r, hidden_z, hidden_n = np.split(h @ w_hh + b_hh, 3, axis=-1)
        z = sigmoid(gate_z + hidden_z)
        n = np.tanh(gate_n + sigmoid(gate_r + hidden_r) * hidden_n)
        h = (1 - z) * n + z * h
        result[t] = h
    return result


def _scanned(count: int, *more: str) -> tuple[Sample, ...]:
    """Samples of T, B, H; `more` are the types of the operands after the weight."""
    sizes = ((3, 2, 5, False, 0), (7, 1, 3, True, 0), (1, 3, 1, False, 0), (3, 2, 8, False, 4),
             (2, 1, 16, True, 8))
    return tuple(sample(
        f"float32[{t},{b},{count * h}]",
        f"float32[{h // width},{h},{count},{width}]" if width else f"float32[{h},{count * h}]",
        *(m.format(b=b, h=h) for m in more), reverse=reverse)
        for t, b, h, reverse, width in sizes)


register(Op("lstm_scan", _infer_lstm, lstm_scan, routine("build_lstm"),
            _scanned(4, "float32[{b},{h}]", "float32[{b},{h}]")))
register(Op("gru_scan", _infer_gru, gru_scan, routine("build_gru"),
            _scanned(3, "float32[3*{h}]", "float32[{b},{h}]")))
