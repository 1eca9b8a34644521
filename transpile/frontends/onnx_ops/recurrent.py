"""LSTM, GRU and RNN: as scans where the formula is the usual one, else step by step."""

from __future__ import annotations

# ruff: noqa: ARG005 - the functions of the table all take alpha and beta
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import static_sizes
from transpile.frontends.onnx_values import Site, Tensor, f32
from transpile.frontends.tracer import apply, as_tracer

MAX_STEPS = 512
"""Layers that are written out step by step may have this many steps."""

Activation = Callable[[Any], Any]


ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "sigmoid": lambda a, b: lambda x: apply("sigmoid", x),
    "tanh": lambda a, b: np.tanh,
    "relu": lambda a, b: lambda x: np.maximum(x, f32(0)),
    "affine": lambda a, b: lambda x: x * f32(1 if a is None else a) + f32(b or 0),
    "leakyrelu": lambda a, b: lambda x: np.where(x < 0, x * f32(0.01 if a is None else a), x),
    "thresholdedrelu": lambda a, b: lambda x: np.where(
        x > f32(1 if a is None else a), x, f32(0)),
    "scaledtanh": lambda a, b: lambda x: f32(1 if a is None else a) * np.tanh(
        x * f32(1 if b is None else b)),
    "hardsigmoid": lambda a, b: lambda x: np.clip(
        x * f32(0.2 if a is None else a) + f32(0.5 if b is None else b), f32(0), f32(1)),
    "elu": lambda a, b: lambda x: np.where(
        x < 0, f32(1 if a is None else a) * np.expm1(x), x),
    "softsign": lambda a, b: lambda x: x / (f32(1) + np.abs(x)),
    "softplus": lambda a, b: lambda x: apply("softplus", x)}
"""By name in lower case: `alpha` and `beta` to a function."""


@dataclass
class Layer:
    """One direction of a recurrent node.

    Attributes:
        x: `[T, B, I]`, already reversed where the direction is.
        w, r: `[G*H, I]`, `[G*H, H]`; wb, rb: biases `[G*H]`, zero if not given.
        states: initial h (and c), `[B, H]`.
        lengths: `[B]` steps of each sequence, or None.
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
    plain: bool
    hidden: int
    reverse: bool
    lengths: Tensor | None

    @property
    def clip(self) -> float | None:
        found: float | None = self.site.attr("clip")
        return found

    def gate(self, matrix: Any, k: int) -> Any:
        return matrix[k * self.hidden:(k + 1) * self.hidden]

    def limited(self, value: Any) -> Any:
        c = self.clip
        return value if c is None else np.clip(value, f32(-c), f32(c))


def reordered(layer: Layer, matrix: Any, order: Sequence[int]) -> Any:
    """The gates of a matrix in another order."""
    return np.concatenate([layer.gate(matrix, k) for k in order], axis=0)


def _lstm(layer: Layer) -> tuple[Tensor, list[Tensor]]:
    if layer.plain and layer.peepholes is None:
        return _lstm_scan(layer)
    p = layer.peepholes
    f, g, h_act = layer.functions

    def step(xw: Tensor, state: list[Tensor]) -> list[Tensor]:
        h, c = state
        total = xw + h @ layer.r.T + layer.rb
        i, o, forget, cell = np.split(total, 4, axis=-1)
        if p is not None:
            i, forget = i + layer.gate(p, 0) * c, forget + layer.gate(p, 2) * c
        gate_i = f(layer.limited(i))
        gate_f = f32(1) - gate_i if layer.site.attr("input_forget", 0) else f(
            layer.limited(forget))
        c = gate_f * c + gate_i * g(layer.limited(cell))
        if p is not None:
            o = o + layer.gate(p, 1) * c
        return [f(layer.limited(o)) * h_act(c), c]
    return steps(layer, step)


def _lstm_scan(layer: Layer) -> tuple[Tensor, list[Tensor]]:
    """ONNX has the gates i, o, f, c; the scan i, f, c, o."""
    w, r, wb, rb = (reordered(layer, m, (0, 2, 3, 1)) for m in (layer.w, layer.r, layer.wb,
                                                               layer.rb))
    both = apply("lstm_scan", layer.x @ w.T + (wb + rb), r.T, *layer.states, reverse=False)
    size = layer.hidden
    last = both[both.shape[0] - 1]
    return both[..., :size], [last[..., :size], last[..., size:]]


def _gru(layer: Layer) -> tuple[Tensor, list[Tensor]]:
    """ONNX has the gates z, r, h; the scan r, z, h."""
    before = layer.site.attr("linear_before_reset", 0)
    if layer.plain and before:
        w, r, wb, rb = (reordered(layer, m, (1, 0, 2)) for m in (layer.w, layer.r, layer.wb,
                                                                layer.rb))
        y = apply("gru_scan", layer.x @ w.T + wb, r.T, rb, layer.states[0], reverse=False)
        return y, [y[y.shape[0] - 1]]
    f, g = layer.functions

    def step(xw: Tensor, state: list[Tensor]) -> list[Tensor]:
        (h,) = state
        xz, xr, xh = np.split(xw, 3, axis=-1)
        rz, rr, rh = (layer.gate(layer.r, k).T for k in range(3))
        bz, br, bh = (layer.gate(layer.rb, k) for k in range(3))
        z = f(layer.limited(xz + h @ rz + bz))
        reset = f(layer.limited(xr + h @ rr + br))
        inner = reset * (h @ rh + bh) if before else (reset * h) @ rh + bh
        return [(f32(1) - z) * g(layer.limited(xh + inner)) + z * h]
    return steps(layer, step)


def _rnn(layer: Layer) -> tuple[Tensor, list[Tensor]]:
    (f,) = layer.functions

    def step(xw: Tensor, state: list[Tensor]) -> list[Tensor]:
        return [f(layer.limited(xw + state[0] @ layer.r.T + layer.rb))]
    return steps(layer, step)


def steps(layer: Layer, step: Callable[[Tensor, list[Tensor]], list[Tensor]]
          ) -> tuple[Tensor, list[Tensor]]:
    """Write a recurrence out; beyond its length a sequence keeps its state and gives zeros."""
    count = static_sizes(layer.site, [layer.x.shape[0]], "this form of the layer")[0]
    if count > MAX_STEPS:
        raise layer.site.refuse(f"{count} steps of this form of the layer",
                                f"at most {MAX_STEPS} are written out")
    gates = layer.x @ layer.w.T + layer.wb
    state, rows = layer.states, []
    for t in range(count):
        new = step(gates[t], state)
        if layer.lengths is None:
            rows.append(new[0])
        else:
            alive = (layer.lengths > np.int32(t)).reshape((-1, 1))
            rows.append(np.where(alive, new[0], f32(0)))
            new = [np.where(alive, a, b) for a, b in zip(new, state, strict=True)]
        state = new
    return np.stack(rows), state


KINDS: dict[str, tuple[Callable[[Layer], tuple[Tensor, list[Tensor]]], int, list[str]]] = {
    "LSTM": (_lstm, 4, ["sigmoid", "tanh", "tanh"]), "GRU": (_gru, 3, ["sigmoid", "tanh"]),
    "RNN": (_rnn, 1, ["tanh"])}


@onnx_op("LSTM", "GRU", "RNN")
def recurrent(n: Site) -> Any:
    run, gates, _ = KINDS[n.op]
    batch_first = bool(n.attr("layout", 0))
    x = np.swapaxes(n[0], 0, 1) if batch_first else n[0]
    lengths = n.get(4)
    if lengths is not None and _all_whole(n, x):
        lengths = None
    directions = ["forward", "reverse"] if n.attr("direction", "forward") == "bidirectional" else [
        n.attr("direction", "forward")]
    results = [_direction(n, x, k, d == "reverse", lengths, run, gates)
               for k, d in enumerate(directions)]
    y = np.stack([r[0] for r in results], axis=1)
    last = [np.stack(s) for s in zip(*(r[1] for r in results), strict=True)]
    if batch_first:
        y = np.transpose(y, (2, 0, 1, 3))
        last = [np.swapaxes(s, 0, 1) for s in last]
    return y, *last


def _all_whole(n: Site, x: Tensor) -> bool:
    known = n.known(4)
    return known is not None and known.dtype != object and isinstance(x.shape[0], int) and bool(
        np.all(known == x.shape[0]))


def _direction(n: Site, x: Tensor, k: int, reverse: bool, lengths: Tensor | None,
               run: Callable[[Layer], tuple[Tensor, list[Tensor]]], gates: int
               ) -> tuple[Tensor, list[Tensor]]:
    x = turned(x, lengths) if reverse else x
    functions, plain = activations(n, k)
    w, r = n[1][k], n[2][k]
    hidden = int(n.attr("hidden_size", r.shape[-1]))
    biases = n.get(3)
    zero = as_tracer(np.zeros(gates * hidden, np.float32))
    wb, rb = (zero, zero) if biases is None else np.split(biases[k], 2)
    plain = plain and n.attr("clip") is None and lengths is None and not n.attr("input_forget", 0)
    layer = Layer(n, x, w, r, wb, rb, _states(n, x, k, hidden),
                  n[7][k] if n.op == "LSTM" and n.has(7) else None, functions, plain, hidden,
                  reverse, lengths)
    y, last = run(layer)
    return (turned(y, lengths) if reverse else y), last


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


def turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Time backwards, within the length of each sequence."""
    if lengths is None:
        return np.flip(x, 0)
    place = apply("iota", shape=(x.shape[0], 1, 1), axis=0, dtype="int32")
    length = lengths.reshape((1, -1, 1))
    source = np.where(place < length, length - 1 - place, place)
    return apply("take_along_axis", x, np.broadcast_to(source, x.shape), axis=0)


def activations(n: Site, direction: int) -> tuple[list[Activation], bool]:
    """The functions of one direction, and whether they are the usual ones."""
    usual = KINDS[n.op][2]
    count = len(usual)
    names = [a.lower() for a in n.attr("activations", ())][
        direction * count:(direction + 1) * count] or usual
    alphas, betas = list(n.attr("activation_alpha", ())), list(n.attr("activation_beta", ()))
    unknown = [a for a in names if a not in ACTIVATIONS]
    if unknown:
        raise n.refuse(f"there is no activation {unknown[0]!r}")

    def pick(values: list[float], k: int) -> float | None:
        place = direction * count + k
        return values[place] if place < len(values) else None
    return [ACTIVATIONS[a](pick(alphas, k), pick(betas, k)) for k, a in enumerate(names)], (
        names == usual)
