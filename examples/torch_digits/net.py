"""A recurrent network of PyTorch that reads a handwritten digit row by row."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import transpile

WEIGHTS = Path(__file__).with_name("weights.pt")


class Reader(nn.Module):
    """A GRU goes down the 8 rows of 8 pixels, in both directions; the last states decide."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.GRU(8, 24, batch_first=True, bidirectional=True)
        self.decide = nn.Linear(48, 10)

    def forward(self, image: Tensor) -> Tensor:
        """`image`: float32[batch, 1, 8, 8], 0 (paper) to 1 (ink); gives `probs`."""
        _, last = self.rows(image.squeeze(1))
        probs = torch.softmax(self.decide(torch.cat([last[0], last[1]], dim=-1)), dim=-1)
        return probs


def trained() -> Reader:
    net = Reader()
    net.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    return net


if WEIGHTS.exists():
    digit = transpile.model(
        trained(), image=transpile.spec("float32", ("batch", 1, 8, 8), low=0, high=1),
        labels="0 1 2 3 4 5 6 7 8 9".split())
