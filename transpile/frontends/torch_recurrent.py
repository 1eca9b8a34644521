"""Keeps PyTorch's recurrent layers whole through torch.export.

torch.export traces an LSTM into the steps of a fixed number of time steps. While `kept_whole` is
active, layers call operators of our own instead, one for each layer of a stack, which have the
operands of the ONNX operators of the same names (onnx.ai/onnx/operators, LSTM, GRU, RNN).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from transpile.errors import UnsupportedError


@dataclass(frozen=True)
class Layer:
    """One kind of layer.

    Attributes:
        operator: the ONNX operator.
        gates: the position in PyTorch's weights of each gate of ONNX's.
        attrs: attributes of the ONNX operator.
        cell: True if there is a cell state besides the hidden one.
    """

    operator: str
    gates: tuple[int, ...]
    attrs: tuple[tuple[str, Any], ...] = ()
    cell: bool = False


LAYERS = {
    "lstm": Layer("LSTM", (0, 3, 1, 2), cell=True),
    "gru": Layer("GRU", (1, 0, 2), (("linear_before_reset", 1),)),
    "rnn_tanh": Layer("RNN", (0,), (("activations", ("Tanh", "Tanh")),)),
    "rnn_relu": Layer("RNN", (0,), (("activations", ("Relu", "Relu")),)),
}
"""By the name of PyTorch's function."""

_LIBRARY: list[Any] = []


@lru_cache(maxsize=1)
def operators() -> dict[str, Any]:
    """The operators of our own, registered with PyTorch on first use."""
    import torch
    library = torch.library.Library("transpile", "DEF")
    _LIBRARY.append(library)  # it unregisters its operators when it is collected
    for name, layer in LAYERS.items():
        states = "Tensor h, Tensor c" if layer.cell else "Tensor h"
        results = "Tensor, Tensor, Tensor" if layer.cell else "Tensor, Tensor"
        library.define(f"{name}(Tensor x, {states}, Tensor w, Tensor r, Tensor b) -> ({results})")
        torch.library.register_fake(f"transpile::{name}", _shapes, lib=library)
    return {name: getattr(torch.ops.transpile, name).default for name in LAYERS}


def _shapes(x: Any, h: Any, *rest: Any) -> Any:
    """Results of the right sizes: x[T,B,I], h[D,B,H] give y[T,D,B,H] and the last states."""
    y = x.new_empty((x.shape[0], h.shape[0], h.shape[1], h.shape[2]))
    states = 2 if len(rest) == 4 else 1
    return (y, *(h.new_empty(h.shape) for _ in range(states)))


def translations(opset: Any) -> dict[Any, Callable[..., Any]]:
    """How torch.onnx writes our operators.

    Args:
        opset: the module of onnxscript with the operators of an opset.
    """
    return {operator: _translation(opset, LAYERS[name]) for name, operator in operators().items()}


def _translation(opset: Any, layer: Layer) -> Callable[..., Any]:
    def write(x: Any, h: Any, *rest: Any) -> Any:
        cell, (w, r, b) = rest[:-3], rest[-3:]
        both = h.shape[0] == 2
        attrs = {k: v[:1 + both] if isinstance(v, tuple) else v for k, v in layer.attrs}
        return getattr(opset, layer.operator)(
            x, w, r, b, None, h, *cell, hidden_size=int(h.shape[2]),
            direction="bidirectional" if both else "forward", **attrs)

    # torch.onnx reads the parameters from the signature.
    if layer.cell:
        return lambda x, h, c, w, r, b: write(x, h, c, w, r, b)
    return lambda x, h, w, r, b: write(x, h, w, r, b)


@contextlib.contextmanager
def kept_whole() -> Iterator[None]:
    """Recurrent layers call the operators of our own; encoders zero what they pad."""
    from torch import _VF

    from transpile.frontends.torch_padding import zero_padding
    operators()
    own = {**{name: _stack(name) for name in LAYERS}, "_pack_padded_sequence": _refuse_packed}
    try:
        for name, function in own.items():
            setattr(_VF, name, function)
        with zero_padding():
            yield
    finally:
        for name in own:
            _VF.__dict__.pop(name, None)


def _refuse_packed(*given: Any) -> None:
    del given
    raise UnsupportedError("packed sequences are not supported",
                           why="their sizes are those of one batch",
                           fix="give the layer a padded tensor, and read the step that is the "
                               "last one of each sequence")


def _stack(name: str) -> Callable[..., Any]:
    """PyTorch's function of a stack of layers, on our operators."""
    operator, layer = operators()[name], LAYERS[name]

    def run(x: Any, hx: Any, params: Sequence[Any], has_biases: bool, num_layers: int,
            dropout: float, train: bool, bidirectional: bool, batch_first: bool) -> Any:
        if not isinstance(num_layers, int) or isinstance(num_layers, bool):
            _refuse_packed()
        import torch
        from torch._decomp.decompositions import lstm_impl
        states = list(hx) if layer.cell else [hx]
        if states[0].shape[-1] != states[-1].shape[-1]:  # projections: not in ONNX's operator
            return lstm_impl(x, hx, params, has_biases, num_layers, dropout, train,
                             bidirectional, batch_first)
        y = x.transpose(0, 1) if batch_first else x
        directions, ends = 1 + bidirectional, []
        for k in range(num_layers):
            part = slice(k * directions, (k + 1) * directions)
            weights = [_weights(params, d, has_biases, layer.gates)
                       for d in range(part.start, part.stop)]
            y, *last = operator(y, *(s[part] for s in states),
                                *(torch.stack(w) for w in zip(*weights, strict=True)))
            y = y.permute(0, 2, 1, 3).flatten(2)
            ends.append(last)
        y = y.transpose(0, 1) if batch_first else y
        return (y, *(torch.cat(s) for s in zip(*ends, strict=True)))
    return run


def _weights(params: Sequence[Any], place: int, has_biases: bool, gates: Sequence[int]) -> Any:
    """(w, r, b) of one direction of one layer, gates in ONNX's order."""
    import torch

    def ordered(t: Any) -> Any:
        parts = t.chunk(len(gates))
        return torch.cat([parts[g] for g in gates])
    count = 4 if has_biases else 2
    w, r, *biases = params[place * count:(place + 1) * count]
    if not biases:
        biases = [w.new_zeros(w.shape[0])] * 2
    return ordered(w), ordered(r), torch.cat([ordered(b) for b in biases])
