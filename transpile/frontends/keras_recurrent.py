"""Keeps Keras' recurrent layers whole through torch.export.

With PyTorch, Keras runs a cell once for every step. While `kept_whole` is active, layers of its
own cells call an operator of ours instead, which is the op `recurrence` (`ops/recurrence.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from transpile.ops.recurrence import CELLS

ACTIVATIONS = {
    "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "linear": "affine 1 0", "elu": "elu 1",
    "hard_sigmoid": f"hardsigmoid {1 / 6} 0.5", "softplus": "softplus", "softsign": "softsign"}
"""Functions of keras.activations, and as activations of the op."""

DOMAIN = "transpile"
"""Of the operator in ONNX messages."""

_LIBRARY: list[Any] = []


@lru_cache(maxsize=1)
def operator() -> Any:
    """The operator, registered with PyTorch on first use."""
    import torch
    library = torch.library.Library("transpile", "FRAGMENT")
    _LIBRARY.append(library)  # it unregisters its operators when it is collected
    library.define("recurrence(Tensor gates, Tensor weight, Tensor[] rest, str cell, "
                   "str activations, str mask, bool reverse) -> Tensor")
    torch.library.register_fake("transpile::recurrence", _shape, lib=library)
    return torch.ops.transpile.recurrence.default


def _shape(gates: Any, weight: Any, rest: Sequence[Any], cell: str, *attrs: Any) -> Any:
    del weight, attrs
    return gates.new_empty((gates.shape[0] + CELLS[cell].states, *rest[0].shape))


def translations() -> dict[Any, Callable[..., Any]]:
    """How torch.onnx writes the operator."""
    import onnxscript
    from onnx.defs import OpSchema
    Given, types = OpSchema.FormalParameter, ["tensor(float)", "tensor(bool)"]
    many = Given("x", "T", param_option=OpSchema.FormalParameterOption.Variadic,
                 is_homogeneous=False)
    names = {"cell": OpSchema.AttrType.STRING, "activations": OpSchema.AttrType.STRING,
             "mask": OpSchema.AttrType.STRING, "reverse": OpSchema.AttrType.INT}
    schema = OpSchema("Recurrence", DOMAIN, 1, inputs=[many], outputs=[Given("y", "U")],
                      type_constraints=[("T", types, ""), ("U", types[:1], "")],
                      attributes=[OpSchema.Attribute(n, t) for n, t in names.items()])
    op = onnxscript.values.Op(onnxscript.values.Opset(DOMAIN, 1), "Recurrence", schema)

    def write(gates: Any, weight: Any, rest: Any, cell: str, activations: str, mask: str,
              reverse: bool) -> Any:
        return op(gates, weight, *rest, cell=cell, activations=activations, mask=mask,
                  reverse=int(reverse))
    return {operator(): write}


@contextlib.contextmanager
def kept_whole() -> Iterator[None]:
    """Keras' recurrent layers call the operator."""
    from keras import layers
    usual = {kind: kind.inner_loop for kind in (layers.RNN, layers.LSTM, layers.GRU)}
    try:
        for kind, loop in usual.items():
            kind.inner_loop = _looping(loop)
        yield
    finally:
        for kind, loop in usual.items():
            kind.inner_loop = loop


def _looping(usual: Callable[..., Any]) -> Callable[..., Any]:
    def inner_loop(self: Any, sequences: Any, initial_state: Any, mask: Any,
                   training: bool = False) -> Any:
        cell = described(self.cell)
        if cell is None:
            with unrolled(self, mask):
                return usual(self, sequences, initial_state, mask=mask, training=training)
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [
            initial_state]
        return run(self, cell, sequences, states, mask)
    return inner_loop


@contextlib.contextmanager
def unrolled(layer: Any, mask: Any) -> Iterator[None]:
    """A layer whose steps are written out: else Keras makes a list of the rows of the batch.

    Keras cannot write out steps that go backwards with a mask.
    """
    before = layer.unroll
    layer.unroll = before or mask is None or not layer.go_backwards
    try:
        yield
    finally:
        layer.unroll = before


def described(cell: Any) -> tuple[str, str] | None:
    """The kind of a cell and its activations; None where the op has no such cell."""
    from keras import activations, layers
    kinds = {layers.LSTMCell: "lstm", layers.SimpleRNNCell: "rnn",
             layers.GRUCell: "gru" if getattr(cell, "reset_after", False) else "gru_before"}
    kind = kinds.get(type(cell))
    if kind is None:
        return None
    known = {getattr(activations, name): text for name, text in ACTIVATIONS.items()}
    used = {"lstm": (cell.activation, cell.activation), "rnn": ()}.get(kind, (cell.activation,))
    used = (cell.activation if kind == "rnn" else cell.recurrent_activation, *used)
    found = [known.get(f or activations.linear) for f in used]
    return None if None in found else (kind, ",".join(filter(None, found)))


def run(layer: Any, cell: tuple[str, str], x: Any, states: list[Any], mask: Any
        ) -> tuple[Any, Any, list[Any]]:
    """The last output, all outputs `[B, T, H]` and the last states of a layer."""
    kind, activations = cell
    kernel, weight, bias, *inner = weights(layer.cell, kind)
    rest = [*states, *inner] + ([] if mask is None else [mask.bool().transpose(0, 1)])
    masking = "" if mask is None else "zero" if layer.zero_output_for_mask else "hold"
    backwards = bool(layer.go_backwards)
    out = operator()(x.transpose(0, 1) @ kernel + bias, weight, rest, kind, activations, masking,
                     backwards)
    count = CELLS[kind].states
    y = out[:-count].flip(0) if backwards else out[:-count]
    if masking == "hold":  # before its first step a layer gives zeros, whatever its state
        begun = (rest[-1].flip(0) if backwards else rest[-1]).int().cumsum(0) > 0
        y = y * begun.unsqueeze(-1)
    return y[-1], y.transpose(0, 1), [out[k - count] for k in range(count)]


def weights(cell: Any, kind: str) -> tuple[Any, ...]:
    """Kernel, recurrent kernel and bias, and of a GRU the bias inside of the reset gate."""
    import torch
    from keras import ops
    kernel, weight = (ops.convert_to_tensor(w) for w in (cell.kernel, cell.recurrent_kernel))
    bias = kernel.new_zeros(1) if cell.bias is None else ops.convert_to_tensor(cell.bias)
    if not kind.startswith("gru"):
        return kernel, weight, bias

    def ordered(matrix: Any) -> Any:
        """Keras has the gates z, r, h; the op r, z, h."""
        z, r, h = matrix.chunk(3, dim=-1)
        return torch.cat([r, z, h], dim=-1)
    kernel, weight = ordered(kernel), ordered(weight)
    if kind == "gru_before":
        return kernel, weight, bias if cell.bias is None else ordered(bias)
    if cell.bias is None:
        return kernel, weight, bias, kernel.new_zeros(cell.units)
    own, recurrent = map(ordered, bias)
    outside = torch.cat([recurrent[:2 * cell.units], recurrent.new_zeros(cell.units)])
    return kernel, weight, own + outside, recurrent[2 * cell.units:]
