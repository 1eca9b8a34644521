"""LSTM, GRU and RNN: each direction is one matrix product and one `recurrence`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_values import Site, Tensor, f32
from transpile.frontends.tracer import apply, as_tracer
from transpile.ops.recurrence import CELLS, FUNCTIONS, PARAMETERS, Activation, activation


@onnx_op("Recurrence", domain="transpile")
def recurrence(n: Site) -> Any:
    """Our own operator, see `frontends/keras_recurrent.py`."""
    words = [text.split(" ") for text in n.attr("activations").split(",")]
    return apply("recurrence", *(n[k] for k in range(len(n.inputs))), cell=n.attr("cell"),
                 activations=tuple((name, *map(float, rest)) for name, *rest in words),
                 mask=n.attr("mask", ""), reverse=bool(n.attr("reverse", 0)))


@dataclass
class Layer:
    """One direction of a recurrent node, gates still in ONNX's order.

    Attributes:
        x: `[T, B, I]`.
        w, r: `[G*H, I]`, `[G*H, H]`; wb, rb: biases `[G*H]`, zero if not given.
        states: initial h (and c), `[B, H]`.
        mask: `[T, B]`, False beyond a sequence's length, or None.
    """

    site: Site
    x: Tensor
    w: Tensor
    r: Tensor
    wb: Any
    rb: Any
    states: list[Tensor]
    peepholes: Tensor | None
    functions: list[Activation]
    hidden: int
    reverse: bool
    mask: Tensor | None

    def ordered(self, matrix: Any, order: Sequence[int]) -> Any:
        """The gates of a matrix in another order."""
        return np.concatenate([matrix[k * self.hidden:(k + 1) * self.hidden] for k in order])

    def run(self, cell: str, order: Sequence[int], *extra: Any, bias: Any = None,
            **attrs: Any) -> tuple[Tensor, list[Tensor]]:
        """Hidden states and last states of a cell whose gates are ONNX's in some order."""
        w, r = (self.ordered(m, order) for m in (self.w, self.r))
        bias = self.ordered(self.wb + self.rb, order) if bias is None else bias
        masks = [] if self.mask is None else [self.mask]
        out = apply("recurrence", self.x @ w.T + bias, r.T, *self.states, *extra, *masks,
                    cell=cell, activations=tuple(self.functions), reverse=self.reverse,
                    clip=float(self.site.attr("clip", 0.0)), mask="zero" if masks else "", **attrs)
        count = CELLS[cell].states
        return out[:-count], [out[k - count] for k in range(count)]


def _lstm(layer: Layer) -> tuple[Tensor, list[Tensor]]:
    """ONNX has the gates i, o, f, c; the recurrence i, f, c, o."""
    p = layer.peepholes
    return layer.run("lstm", (0, 2, 3, 1), *([] if p is None else [p]), peepholes=p is not None,
                     coupled=bool(layer.site.attr("input_forget", 0)))


def _gru(layer: Layer) -> tuple[Tensor, list[Tensor]]:
    """ONNX has the gates z, r, h; the recurrence r, z, h."""
    if not layer.site.attr("linear_before_reset", 0):
        return layer.run("gru_before", (1, 0, 2))
    order = (1, 0, 2)
    outside = np.concatenate([layer.rb[:2 * layer.hidden], np.zeros(layer.hidden, np.float32)])
    return layer.run("gru", order, layer.rb[2 * layer.hidden:],
                     bias=layer.ordered(layer.wb + outside, order))


def _rnn(layer: Layer) -> tuple[Tensor, list[Tensor]]:
    return layer.run("rnn", (0,))


KINDS = {"LSTM": (_lstm, "lstm"), "GRU": (_gru, "gru"), "RNN": (_rnn, "rnn")}


@onnx_op("LSTM", "GRU", "RNN")
def recurrent(n: Site) -> Any:
    batch_first = bool(n.attr("layout", 0))
    x = np.swapaxes(n[0], 0, 1) if batch_first else n[0]
    mask = _mask(n, x)
    directions = ["forward", "reverse"] if n.attr("direction", "forward") == "bidirectional" else [
        n.attr("direction", "forward")]
    results = [_direction(n, x, k, d == "reverse", mask) for k, d in enumerate(directions)]
    y = np.stack([r[0] for r in results], axis=1)
    last = [np.stack(s) for s in zip(*(r[1] for r in results), strict=True)]
    if batch_first:
        y = np.transpose(y, (2, 0, 1, 3))
        last = [np.swapaxes(s, 0, 1) for s in last]
    return y, *last


def _mask(n: Site, x: Tensor) -> Tensor | None:
    """True within the length of each sequence; None where all are whole."""
    lengths = n.get(4)
    if lengths is None or _all_whole(n, x):
        return None
    place = apply("iota", shape=(x.shape[0], 1), axis=0, dtype="int32")
    return place < lengths.reshape((1, -1))


def _all_whole(n: Site, x: Tensor) -> bool:
    known = n.known(4)
    return known is not None and known.dtype != object and isinstance(x.shape[0], int) and bool(
        np.all(known == x.shape[0]))


def _direction(n: Site, x: Tensor, k: int, reverse: bool, mask: Tensor | None
               ) -> tuple[Tensor, list[Tensor]]:
    run, cell = KINDS[n.op]
    w, r = n[1][k], n[2][k]
    hidden = int(n.attr("hidden_size", r.shape[-1]))
    biases = n.get(3)
    zero = as_tracer(np.zeros(CELLS[cell].gates * hidden, np.float32))
    wb, rb = (zero, zero) if biases is None else np.split(biases[k], 2)
    peepholes = n[7][k] if n.op == "LSTM" and n.has(7) else None
    return run(Layer(n, x, w, r, wb, rb, _states(n, x, k, hidden), peepholes,
                     _activations(n, k, CELLS[cell].activations), hidden, reverse, mask))


def _states(n: Site, x: Tensor, k: int, hidden: int) -> list[Tensor]:
    """The initial states; zeros where they are not given."""
    found = []
    for index in (5, 6)[:2 if n.op == "LSTM" else 1]:
        if n.has(index):
            given = np.swapaxes(n[index], 0, 1) if n.attr("layout", 0) else n[index]
            found.append(given[k])
        else:
            found.append(apply("broadcast_to", f32(0), shape=(x.shape[1], hidden)))
    return found


def _activations(n: Site, direction: int, usual: Sequence[str]) -> list[Activation]:
    """The functions of one direction; those with parameters take them in their order."""
    names = [a.lower() for a in n.attr("activations", ())] or list(usual) * (direction + 1)
    unknown = [a for a in names if a not in FUNCTIONS]
    if unknown:
        raise n.refuse(f"there is no activation {unknown[0]!r}")
    given = [iter(n.attr(f"activation_{which}", ())) for which in ("alpha", "beta")]
    found = [activation(name, *(float(next(values, default)) for values, default in zip(
        given, PARAMETERS.get(name, ()), strict=False))) for name in names]
    return found[direction * len(usual):][:len(usual)]
