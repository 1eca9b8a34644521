"""Trains the network on scikit-learn's digits and writes weights.pt, in about ten seconds."""

from __future__ import annotations

import torch
from net import WEIGHTS, Reader
from sklearn.datasets import load_digits
from torch.nn import functional as F

EPOCHS = 60
HELD_OUT = 360


def shifted(images: torch.Tensor) -> torch.Tensor:
    """Every image moved by up to one pixel: people do not draw in the middle."""
    down, right = (int(v) for v in torch.randint(-1, 2, (2,)))
    return torch.roll(images, (down, right), (2, 3))


def main() -> None:
    torch.manual_seed(0)
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    labels = torch.tensor(digits)
    net = Reader()
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images) - HELD_OUT).split(64):
            loss = F.nll_loss(torch.log(net(shifted(images[batch])) + 1e-9), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        right = (net(images[-HELD_OUT:]).argmax(-1) == labels[-HELD_OUT:]).sum()
    print(f"{int(right)} of {HELD_OUT} held-out digits")
    torch.save(net.state_dict(), WEIGHTS)


if __name__ == "__main__":
    main()
