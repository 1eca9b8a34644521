"""Layers of transpile.nn beside PyTorch's of the same parameters.

`python -m tests.nn_layers` keeps PyTorch's parameters and answers in
`tests/golden/nn_layers.npz`, so that the tests themselves need no PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.nn_cases import flat

GOLDEN = Path(__file__).parent / "golden" / "nn_layers.npz"


@dataclass(frozen=True)
class Layer:
    """`ours(nn)` and `torch(torch.nn)` make the same layer; `call` runs either on the inputs."""

    key: str
    ours: Callable[[Any], Any]
    torch: Callable[[Any], Any]
    shapes: tuple[tuple[int, ...], ...]
    call: Callable[..., Any] = lambda layer, *inputs: layer(*inputs)

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(len(self.key))
        return [rng.integers(0, s[1], s[2:]) if s[0] == 0 else rng.normal(size=s)
                for s in self.shapes]


def _alike(key: str, make: Callable[[Any], Any], *shapes: tuple[int, ...]) -> Layer:
    return Layer(key, make, make, shapes)


def _with_state(layer: Any, x: Any, h: Any, c: Any) -> Any:
    return layer(x, (h, c))


LAYERS = [
    _alike("linear", lambda n: n.Linear(4, 3), (2, 4)),
    _alike("linear without bias", lambda n: n.Linear(4, 3, bias=False), (2, 5, 4)),
    _alike("conv1d", lambda n: n.Conv1d(4, 6, 3, padding=1, groups=2), (2, 4, 7)),
    _alike("conv2d", lambda n: n.Conv2d(3, 4, (3, 2), 2, (1, 0), bias=False), (1, 3, 6, 7)),
    _alike("conv_transpose1d", lambda n: n.ConvTranspose1d(4, 2, 3, 2), (1, 4, 5)),
    _alike("conv_transpose2d", lambda n: n.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2), (1, 4, 4, 3)),
    _alike("batch_norm1d", lambda n: n.BatchNorm1d(3), (4, 3)),
    _alike("batch_norm2d", lambda n: n.BatchNorm2d(3, eps=1e-2), (2, 3, 4, 5)),
    _alike("layer_norm", lambda n: n.LayerNorm(5), (2, 3, 5)),
    _alike("layer_norm of two axes", lambda n: n.LayerNorm((3, 5), 1e-3), (2, 3, 5)),
    Layer("rms_norm", lambda n: n.RMSNorm(5, eps=1e-6), lambda n: n.RMSNorm(5, eps=1e-6),
          ((2, 3, 5),)),
    _alike("group_norm", lambda n: n.GroupNorm(2, 6), (2, 6, 5)),
    _alike("embedding", lambda n: n.Embedding(7, 4), (0, 7, 2, 3)),
    _alike("prelu", lambda n: n.PReLU(3), (2, 3, 4)),
    Layer("lstm", lambda n: n.LSTM(3, 4), lambda n: n.LSTM(3, 4), ((5, 2, 3),)),
    Layer("lstm of two layers both ways",
          lambda n: n.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
          lambda n: n.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
          ((2, 5, 3), (4, 2, 4), (4, 2, 4)), _with_state),
    _alike("gru", lambda n: n.GRU(3, 4, bias=False), (5, 2, 3)),
    _alike("gru of two layers both ways", lambda n: n.GRU(3, 4, 2, bidirectional=True),
           (5, 2, 3), (4, 2, 4)),
    Layer("attention", lambda n: n.MultiheadAttention(8, 2),
          lambda n: n.MultiheadAttention(8, 2, batch_first=True), ((2, 5, 8),),
          lambda layer, x: _first(layer(x, x, x))),
    Layer("attention to another sequence", lambda n: n.MultiheadAttention(8, 4, bias=False),
          lambda n: n.MultiheadAttention(8, 4, bias=False, batch_first=True),
          ((2, 5, 8), (2, 3, 8)), lambda layer, q, k: _first(layer(q, k, k))),
    Layer("net", lambda n: n.Sequential(
        n.Conv2d(1, 4, 3), n.BatchNorm2d(4), n.ReLU(), n.MaxPool2d(2), n.Flatten(),
        n.Dropout(0.3), n.Linear(36, 5), n.Softmax(-1)),
        lambda n: n.Sequential(
        n.Conv2d(1, 4, 3), n.BatchNorm2d(4), n.ReLU(), n.MaxPool2d(2), n.Flatten(),
        n.Dropout(0.3), n.Linear(36, 5), n.Softmax(-1)), ((2, 1, 8, 8),)),
    _alike("activations", lambda n: n.Sequential(
        n.Identity(), n.ReLU6(), n.GELU(), n.GELU("tanh"), n.SiLU(), n.ELU(0.5), n.SELU(),
        n.LeakyReLU(0.1), n.Hardswish(), n.Hardsigmoid(), n.Softplus(), n.Mish(), n.Sigmoid(),
        n.Tanh(), n.LogSoftmax(-1)), (3, 6)),
    _alike("pools", lambda n: n.Sequential(
        n.MaxPool2d(3, 2, 1, ceil_mode=True), n.AvgPool2d(2, 1), n.AdaptiveMaxPool2d((4, 5)),
        n.AdaptiveAvgPool2d((2, 1))), (1, 2, 13, 12)),
    _alike("pools of signals", lambda n: n.Sequential(
        n.MaxPool1d(2), n.AvgPool1d(3, 1, 1), n.AdaptiveAvgPool1d(3)), (2, 3, 14)),
]


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def state_of(layer: Layer, golden: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PyTorch's parameters of a layer."""
    prefix = f"{layer.key}/"
    return {k[len(prefix):]: v for k, v in golden.items() if k.startswith(prefix)}


def main() -> None:
    """Compute PyTorch's answers anew."""
    import torch
    torch.manual_seed(0)
    answers: dict[str, np.ndarray] = {}
    for layer in LAYERS:
        module = layer.torch(torch.nn).eval()
        for name, value in module.state_dict().items():
            if value.dtype == torch.float32:
                value.copy_(value + 0.3 * torch.rand_like(value))
            answers[f"{layer.key}/{name}"] = value.numpy().copy()
        with torch.no_grad():
            result = layer.call(module.double(), *map(torch.from_numpy, layer.arrays()))
        for k, array in enumerate(flat(result)):
            answers[f"{layer.key}#{k}"] = array.numpy()
    np.savez_compressed(GOLDEN, **answers)


if __name__ == "__main__":
    main()
