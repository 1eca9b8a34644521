"""The recurrence of a layer over time: LSTM, GRU in both forms, and the plain RNN.

One op for all of them, so that the loop over time stays a loop, whatever the layer's options are.
The input's part of the gates is a matrix product outside of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.types import TensorType
from transpile.ops.activations import sigmoid
from transpile.ops.registry import Op, Sample, register, sample
from transpile.ops.scan import routine

Activation = tuple[Any, ...]
"""A name in `FUNCTIONS`, and its alpha and beta if it has any."""


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent cell.

    Attributes:
        gates: how many, in PyTorch's order (i, f, g, o; r, z, n).
        states: 2 where there is a cell state besides the hidden one.
        activations: the usual ones, in the order of ONNX: of gates, of what is new, of the result.
        inner: True if it has a bias inside of the reset gate's product.
    """

    gates: int
    states: int
    activations: tuple[str, ...]
    inner: bool = False


CELLS = {"lstm": Cell(4, 2, ("sigmoid", "tanh", "tanh")),
         "gru": Cell(3, 1, ("sigmoid", "tanh"), inner=True),
         "gru_before": Cell(3, 1, ("sigmoid", "tanh")), "rnn": Cell(1, 1, ("tanh",))}
"""`gru` resets after the recurrent product, as PyTorch does, `gru_before` before it."""

PARAMETERS: dict[str, tuple[float, ...]] = {
    "affine": (1.0, 0.0), "leakyrelu": (0.01,), "thresholdedrelu": (1.0,),
    "scaledtanh": (1.0, 1.0), "hardsigmoid": (0.2, 0.5), "elu": (1.0,)}
"""Alpha, and beta where there is one, of functions that ONNX gives none; others have none."""

FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "sigmoid": sigmoid, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0),
    "affine": lambda x, a, b: a * x + b, "leakyrelu": lambda x, a: np.where(x < 0, a * x, x),
    "thresholdedrelu": lambda x, a: np.where(x > a, x, 0),
    "scaledtanh": lambda x, a, b: a * np.tanh(b * x),
    "hardsigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "elu": lambda x, a: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
    "softsign": lambda x: x / (1 + np.abs(x)), "softplus": lambda x: np.logaddexp(0, x)}
"""The activations of ONNX (onnx.ai/onnx/operators/onnx__LSTM.html) by name in lower case."""


def activation(name: str, *parameters: float) -> Activation:
    """An activation, with the standard's parameters where none are given."""
    return name, *parameters, *PARAMETERS.get(name, ())[len(parameters):]


def function(chosen: Activation) -> Callable[[np.ndarray], np.ndarray]:
    """The function of an activation."""
    name, *parameters = chosen
    return lambda x: FUNCTIONS[name](x, *parameters)


def packed(weight: np.ndarray, panel: int, lanes: int) -> np.ndarray:
    """A recurrent weight [H, C] by panels of columns, `panel` vectors wide: [H*vectors, lanes].

    Each panel holds its vectors of the first row, then those of the second; the last panel is as
    wide as what is left. Columns are filled up to whole vectors with zeros.
    """
    full = np.pad(weight, ((0, 0), (0, -weight.shape[1] % lanes)))
    step = panel * lanes
    return np.concatenate([full[:, at:at + step].reshape(-1, lanes)
                           for at in range(0, full.shape[1], step)])


def unpacked(weight: np.ndarray, panel: int, hidden: int, columns: int) -> np.ndarray:
    """A recurrent weight as [H, C], whichever way it came."""
    if not panel:
        return weight
    step = panel * hidden
    parts = [weight[at:at + step].reshape(hidden, -1) for at in range(0, len(weight), step)]
    return np.concatenate(parts, axis=1)[:, :columns]


def expected(cell: Cell, gates: TensorType, state: TensorType, *, peepholes: bool, mask: str
             ) -> list[TensorType]:
    """The types of the operands after the weight."""
    batch, hidden = state.shape
    types = [state] * cell.states
    types += [state.with_shape((hidden,))] if cell.inner else []
    types += [state.with_shape((hidden * 3,))] if peepholes else []
    return types + ([TensorType("bool", (gates.shape[0], batch))] if mask else [])


def _columns_fit(weight: TensorType, hidden: Any, columns: Any, panel: int) -> bool:
    if not panel:
        return weight.shape == (hidden, columns)
    lanes = weight.shape[-1]
    return weight.rank == 2 and weight.shape[0] == hidden * -(-columns // lanes)


def _infer(gates: TensorType, weight: TensorType, *rest: TensorType, cell: str,
           activations: Sequence[Activation] = (), clip: float = 0.0, coupled: bool = False,
           peepholes: bool = False, mask: str = "", reverse: bool = False, panel: int = 0
           ) -> TensorType:
    del activations, clip, coupled, reverse
    kind, state = CELLS[cell], rest[0]
    fits = gates.rank == 3 and state.rank == 2 and isinstance(state.shape[1], int)
    fits = fits and gates.shape[1:] == (state.shape[0], state.shape[1] * kind.gates)
    fits = fits and _columns_fit(weight, state.shape[1], gates.shape[2], panel) and (
        list(rest) == expected(kind, gates, state, peepholes=peepholes, mask=mask))
    if not fits or {gates.dtype, weight.dtype, state.dtype} != {"float32"}:
        raise ShapeError(
            f"the recurrence of {gates} with the weight {weight} and {', '.join(map(str, rest))}",
            why=f"a cell {cell} needs float32 [T,B,{kind.gates}*H], [H,{kind.gates}*H] and "
            f"{kind.states} of [B,H]")
    return gates.with_shape((gates.shape[0] + kind.states, *state.shape))


@dataclass
class _Step:
    """What a step of the reference knows; `f`, `g` and `h` are activations."""

    weight: np.ndarray
    functions: list[Callable[[np.ndarray], np.ndarray]]
    limit: Callable[[np.ndarray], np.ndarray]
    extra: list[np.ndarray]
    coupled: bool

    def lstm(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
        f, g, act = self.functions
        i, forget, new, o = np.split(x + h @ self.weight, 4, axis=-1)
        at_i, at_o, at_f = np.split(self.extra[0], 3) if self.extra else (0, 0, 0)
        i = f(self.limit(i + at_i * c))
        forget = 1 - i if self.coupled else f(self.limit(forget + at_f * c))
        c = forget * c + i * g(self.limit(new))
        return f(self.limit(o + at_o * c)) * act(c), c

    def gru(self, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
        f, g = self.functions
        (xr, xz, xn), (hr, hz, hn) = (np.split(a, 3, axis=-1) for a in (x, h @ self.weight))
        r, z = f(self.limit(xr + hr)), f(self.limit(xz + hz))
        return ((1 - z) * g(self.limit(xn + r * (hn + self.extra[0]))) + z * h,)

    def gru_before(self, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
        f, g = self.functions
        (xr, xz, xn), (wr, wz, wn) = (np.split(a, 3, axis=-1) for a in (x, self.weight))
        r, z = f(self.limit(xr + h @ wr)), f(self.limit(xz + h @ wz))
        return ((1 - z) * g(self.limit(xn + (r * h) @ wn)) + z * h,)

    def rnn(self, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self.functions[0](self.limit(x + h @ self.weight)),)


def recurrence(gates: np.ndarray, weight: np.ndarray, *rest: np.ndarray, cell: str,
               activations: Sequence[Activation] = (), clip: float = 0.0, coupled: bool = False,
               peepholes: bool = False, mask: str = "", reverse: bool = False, panel: int = 0
               ) -> np.ndarray:
    """A recurrent layer over the first axis: hidden states of all steps, then the last states.

    `gates` is the input's part of the gates, biases included; formulas are those of ONNX's LSTM,
    GRU and RNN, the gates' order is PyTorch's. Operands after the weight: h0, of an LSTM c0, of a
    GRU the bias inside of the reset gate, peepholes (i, o, f), and a mask `[T, B]`: False keeps
    the states of a step, which gives zeros (`mask="zero"`) or its hidden state (`"hold"`).
    The weight is [H, C]; with `panel` it lies as `packed` says.
    """
    del peepholes
    kind = CELLS[cell]
    states, extra = list(rest[:kind.states]), list(rest[kind.states:])
    alive = extra.pop() if mask else np.ones(gates.shape[:2], bool)
    chosen = activations or [activation(n) for n in kind.activations]
    bound = clip or np.inf
    step = _Step(unpacked(weight, panel, states[0].shape[1], gates.shape[2]),
                 [function(a) for a in chosen],
                 lambda x: np.clip(x, -bound, bound), extra, coupled)
    rows = [np.zeros_like(states[0])] * len(gates)
    for t in range(len(gates))[::-1 if reverse else 1]:
        here = alive[t][:, None]
        new = getattr(step, cell)(gates[t], *states)
        states = [np.where(here, a, b) for a, b in zip(new, states, strict=True)]
        rows[t] = np.where(here, states[0], 0) if mask == "zero" else states[0]
    return np.stack([*rows, *states])


def _samples() -> list[Sample]:
    """T, B, H, a panel's width in vectors of 4, attributes."""
    odd = tuple(activation(n) for n in ("hardsigmoid", "softsign", "relu"))
    more = (activation("leakyrelu", 0.1), activation("scaledtanh", 1.5, 0.7))
    table: list[tuple[int, int, int, int, dict[str, Any]]] = [
        (3, 2, 5, 0, {"cell": "lstm"}), (2, 1, 16, 4, {"cell": "lstm", "reverse": True}),
        (1, 3, 1, 0, {"cell": "lstm", "mask": "zero"}),
        (3, 1, 3, 4, {"cell": "lstm", "peepholes": True, "clip": 0.8, "activations": odd}),
        (4, 2, 2, 0, {"cell": "lstm", "coupled": True, "mask": "hold", "reverse": True}),
        (3, 2, 8, 4, {"cell": "gru"}), (2, 1, 3, 0, {"cell": "gru", "mask": "hold"}),
        (2, 1, 24, 7, {"cell": "gru_before"}), (2, 2, 9, 7, {"cell": "lstm"}),
        (3, 2, 5, 4, {"cell": "gru_before", "reverse": True}),
        (2, 2, 4, 0, {"cell": "gru_before", "activations": more, "clip": 1.5}),
        (3, 2, 13, 4, {"cell": "rnn"}),
        (2, 1, 3, 0, {"cell": "rnn", "activations": (activation("softplus"),)}),
        *((2, 1, 2, 0, {"cell": "rnn", "activations": (activation(n),)})
          for n in ("affine", "thresholdedrelu", "elu"))]
    return [_sample(*row) for row in table]


def _sample(t: int, b: int, h: int, width: int, attrs: dict[str, Any]) -> Sample:
    kind = CELLS[attrs["cell"]]
    gates = TensorType("float32", (t, b, kind.gates * h))
    rest = expected(kind, gates, gates.with_shape((b, h)), mask=attrs.get("mask", ""),
                    peepholes=attrs.get("peepholes", False))
    columns = kind.gates * h
    weight = f"float32[{h * -(-columns // 4)},4]" if width else f"float32[{h},{columns}]"
    return sample(str(gates), weight, *map(str, rest), **attrs, panel=width)


register(Op("recurrence", _infer, recurrence, routine(
    "build_recurrence", module="recurrence", parallel=True), _samples()))
