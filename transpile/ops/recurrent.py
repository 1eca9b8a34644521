"""Recurrent layers in PyTorch's layout and gate order, one direction of one layer each.

The projection of the input is one matrix product outside of the recurrence. An op has one output:
the last states follow the hidden states of all steps, `[T + 2, B, H]` for an LSTM.
"""

from __future__ import annotations

import numpy as np

from transpile.errors import ShapeError
from transpile.ops.activations import sigmoid
from transpile.ops.composite import Value, apply, composite, floating, static
from transpile.ops.registry import sample

Optional = Value | None


def _gates(x: Value, w_ih: Value, bias: Optional) -> Value:
    if x.ndim != 3 or x.shape[-1] != w_ih.shape[1]:
        raise ShapeError(f"a recurrent layer needs an input [time, batch, {w_ih.shape[1]}], "
                         f"got {list(x.shape)}")
    gates = x @ w_ih.transpose((1, 0))
    return gates if bias is None else gates + bias


def _state(given: Optional, batch: Value, hidden: int) -> Value:
    return apply("broadcast_to", 0.0, shape=(batch, hidden)) if given is None else given


def _lstm(x: Value, w_ih: Value, w_hh: Value, b_ih: Optional = None, b_hh: Optional = None,
          h0: Optional = None, c0: Optional = None, *, reverse: bool = False) -> Value:
    biases = [b for b in (b_ih, b_hh) if b is not None]
    gates = _gates(x, w_ih, sum(biases[1:], biases[0]) if biases else None)
    hidden = static(w_hh.shape[1], "lstm")
    return apply("recurrence", gates, w_hh.transpose((1, 0)), _state(h0, x.shape[1], hidden),
                 _state(c0, x.shape[1], hidden), cell="lstm", reverse=reverse)


def _gru(x: Value, w_ih: Value, w_hh: Value, b_ih: Optional = None, b_hh: Optional = None,
         h0: Optional = None, *, reverse: bool = False) -> Value:
    hidden = static(w_hh.shape[1], "gru")
    zero = np.zeros(hidden, np.float32)
    inner, bias = zero, b_ih
    if b_hh is not None:
        outer = np.concatenate([b_hh[:2 * hidden], zero])
        inner, bias = b_hh[2 * hidden:], outer if b_ih is None else b_ih + outer
    return apply("recurrence", _gates(x, w_ih, bias), w_hh.transpose((1, 0)),
                 _state(h0, x.shape[1], hidden), inner, cell="gru", reverse=reverse)


def _steps(x: np.ndarray, reverse: bool) -> list[np.ndarray]:
    steps = list(floating(x))
    return steps[::-1] if reverse else steps


def lstm(x: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, b_ih: np.ndarray | None = None,
         b_hh: np.ndarray | None = None, h0: np.ndarray | None = None,
         c0: np.ndarray | None = None, *, reverse: bool = False) -> np.ndarray:
    """The hidden states of an LSTM for every step, then its last hidden and cell states."""
    steps = _steps(x, reverse)
    zero = np.zeros((steps[0].shape[0], w_hh.shape[1]), steps[0].dtype)
    h, c = (zero if s is None else s for s in (h0, c0))
    rows = []
    for step in steps:
        total = step @ w_ih.T + h @ w_hh.T
        for bias in (b_ih, b_hh):
            total = total if bias is None else total + bias
        i, f, g, o = np.split(total, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        rows.append(h)
    return np.stack([*rows[::-1 if reverse else 1], h, c])


def gru(x: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, b_ih: np.ndarray | None = None,
        b_hh: np.ndarray | None = None, h0: np.ndarray | None = None, *,
        reverse: bool = False) -> np.ndarray:
    """Hidden states of a GRU (reset gate after the product) for every step, then the last one."""
    steps = _steps(x, reverse)
    h = np.zeros((steps[0].shape[0], w_hh.shape[1]), steps[0].dtype) if h0 is None else h0
    rows = []
    for step in steps:
        outer = step @ w_ih.T + (0 if b_ih is None else b_ih)
        inner = h @ w_hh.T + (0 if b_hh is None else b_hh)
        (xr, xz, xn), (hr, hz, hn) = (np.split(a, 3, axis=-1) for a in (outer, inner))
        z = sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h
        rows.append(h)
    return np.stack([*rows[::-1 if reverse else 1], h])


composite("lstm", _lstm, lstm, [
    sample("float32[3,2,4]", "float32[12,4]", "float32[12,3]"),
    sample("float32[3,2,4]", "float32[8,4]", "float32[8,2]", "float32[8]", "float32[8]",
           "float32[2,2]", "float32[2,2]", reverse=True)])
composite("gru", _gru, gru, [
    sample("float32[3,2,4]", "float32[9,4]", "float32[9,3]"),
    sample("float32[3,2,4]", "float32[6,4]", "float32[6,2]", "float32[6]", "float32[6]",
           "float32[2,2]", reverse=True)])
