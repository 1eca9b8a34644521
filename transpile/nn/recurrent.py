"""Recurrent layers: several layers and both directions out of single scans."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from transpile.nn import init, sequences
from transpile.nn.dispatch import Array
from transpile.nn.module import Module

Weights = tuple[Any, ...]


class _Recurrent(Module):
    """Weights and loops that LSTM and GRU share, under PyTorch's parameter names."""

    gates = 1

    def __init__(self, inputs: int, hidden: int, layers: int = 1, bias: bool = True,
                 batch_first: bool = False, bidirectional: bool = False,
                 rng: np.random.Generator | int | None = None) -> None:
        self.hidden, self.layers, self.bias = hidden, layers, bias
        self.batch_first, self.bidirectional = batch_first, bidirectional
        generator, bound = init.generator(rng), 1 / math.sqrt(hidden)
        rows = self.gates * hidden
        for layer, suffix in self._scans():
            width = inputs if layer == 0 else hidden * (2 if bidirectional else 1)
            shapes = {"weight_ih": (rows, width), "weight_hh": (rows, hidden),
                      "bias_ih": (rows,), "bias_hh": (rows,)}
            for name, shape in list(shapes.items())[:4 if bias else 2]:
                setattr(self, f"{name}_l{layer}{suffix}",
                        init.uniform(shape, -bound, bound, generator))

    def _scans(self) -> list[tuple[int, str]]:
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        return [(layer, suffix) for layer in range(self.layers) for suffix in suffixes]

    def _weights(self, layer: int, suffix: str) -> Weights:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return tuple(getattr(self, f"{n}_l{layer}{suffix}", None) for n in names)

    def _run(self, x: Array, states: Any) -> tuple[Array, list[Any]]:
        """All layers; the result and the last state of each scan."""
        last: list[Any] = []
        directions = 2 if self.bidirectional else 1
        for layer in range(self.layers):
            outputs = []
            for d in range(directions):
                weights = self._weights(layer, "_reverse" if d else "")
                y, state = self.scan(x, weights, states, len(last), reverse=bool(d))
                outputs.append(y)
                last.append(state)
            x = outputs[0] if directions == 1 else np.concatenate(outputs, axis=-1)
        return x, last

    def scan(self, x: Array, weights: Weights, states: Any, index: int,
             reverse: bool) -> tuple[Array, Any]:
        """One layer in one direction, from the initial state number `index`."""
        raise NotImplementedError


class LSTM(_Recurrent):
    """A stack of LSTM layers.

    `layer(x, (h0, c0))` maps `[T, B, inputs]` (`[B, T, inputs]` if `batch_first`) to the hidden
    states `[T, B, hidden]` and the last `(h, c)`, each `[layers, B, hidden]`; with
    `bidirectional`, twice as many features and twice as many states. States start at zero.
    """

    gates = 4

    def forward(self, x: Array, states: tuple[Array, Array] | None = None
                ) -> tuple[Array, tuple[Array, Array]]:
        y, last = self._run(x, states)
        return y, (np.stack([h for h, _ in last]), np.stack([c for _, c in last]))

    def scan(self, x: Array, weights: Weights, states: Any, index: int,
             reverse: bool) -> tuple[Array, Any]:
        w_ih, w_hh, b_ih, b_hh = weights
        h0, c0 = (None, None) if states is None else (states[0][index], states[1][index])
        return sequences.lstm(x, w_ih, w_hh, b_ih, b_hh, h0, c0, self.batch_first, reverse)


class GRU(_Recurrent):
    """A stack of GRU layers.

    `layer(x, h0)` maps `[T, B, inputs]` (`[B, T, inputs]` if `batch_first`) to the hidden states
    `[T, B, hidden]` and the last ones `[layers, B, hidden]`; with `bidirectional`, twice as many
    features and twice as many states. States start at zero.
    """

    gates = 3

    def forward(self, x: Array, states: Array | None = None) -> tuple[Array, Array]:
        y, last = self._run(x, states)
        return y, np.stack(last)

    def scan(self, x: Array, weights: Weights, states: Any, index: int,
             reverse: bool) -> tuple[Array, Any]:
        w_ih, w_hh, b_ih, b_hh = weights
        h0 = None if states is None else states[index]
        return sequences.gru(x, w_ih, w_hh, b_ih, b_hh, h0, self.batch_first, reverse)
