"""PyTorch's projections, padded tokens and packed sequences against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import transpile
from transpile.errors import UnsupportedError

torch = pytest.importorskip("torch")
nn = torch.nn


class Projected(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, proj_size=3, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        y, (h, c) = self.lstm(x)
        return y, h, c


class Encoder(nn.Module):
    def __init__(self, norm: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, nn.LayerNorm(8) if norm else None)

    def forward(self, x: torch.Tensor, pads: torch.Tensor) -> torch.Tensor:
        return self.encoder(x, src_key_padding_mask=pads)


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lengths = torch.tensor([3, 2])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return self.lstm(packed)[1][0]


def compare(module: nn.Module, *batches: tuple[np.ndarray, ...]) -> None:
    """One compiled module, several batches, against a call without gradients."""
    names = ("x", "pads")
    compiled = transpile.compile(module.eval(), dict(zip(names, batches[0], strict=False)),
                                 targets=["js"])
    for batch in batches:
        with torch.no_grad():
            wanted = module(*map(torch.from_numpy, batch))
        found = compiled.run(dict(zip(names, batch, strict=False)), "js")
        for a, b in zip(found.values(), wanted if isinstance(wanted, tuple) else (wanted,),
                        strict=True):
            np.testing.assert_allclose(a, b.numpy(), atol=1e-5)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_projections() -> None:
    torch.manual_seed(0)
    compare(Projected(), (floats(2, 3, 4),))


@pytest.mark.parametrize("norm", [False, True])
def test_padded_tokens_are_those_of_a_call_without_gradients(norm: bool) -> None:
    torch.manual_seed(0)
    behind, before = np.zeros((2, 2, 5), bool)
    behind[1, 3:] = before[1, :2] = True
    module = Encoder(norm)
    if norm:
        nn.init.normal_(module.encoder.norm.bias)
    compare(module, (floats(2, 5, 8), behind), (floats(2, 5, 8), before))


def test_packed_sequences_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="packed sequences"):
        transpile.trace(Packed(), {"x": floats(2, 3, 4)})
