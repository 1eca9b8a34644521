"""Trains the network with PyTorch and writes weights.npz. Seeded: the result is the same each time.

The images are shifted, turned, sheared and scaled a little in every epoch, so that the network also
reads what people draw with a mouse.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from data import load
from torch import Tensor, nn

EPOCHS = 150


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25), nn.Linear(256, 10),
    )


def distort(images: Tensor) -> Tensor:
    """Each image under its own small affine map, and with its own thickness of the pen."""
    count = len(images)
    angle = torch.randn(count) * math.radians(7)
    scale = 1 + 0.1 * torch.randn(2, count)
    shear = 0.12 * torch.randn(count)
    shift = 0.12 * torch.randn(2, count)
    rows = [
        torch.stack([angle.cos() * scale[0], shear - angle.sin(), shift[0]], dim=1),
        torch.stack([angle.sin(), angle.cos() * scale[1], shift[1]], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), images.shape, align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False)
    gain = 1 + 0.3 * torch.rand(count, 1, 1, 1)
    return (moved * gain).clamp(0, 1)


def train(model: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(64):
            loss = F.cross_entropy(model(distort(images[batch])), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()


def main() -> None:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    images, labels, held_out, answers = (torch.from_numpy(a) for a in load())
    model = network()
    train(model, images, labels)
    model.eval()
    with torch.no_grad():
        accuracy = (model(held_out).argmax(1) == answers).float().mean().item()
    print(f"accuracy on {len(answers)} held-out digits: {accuracy:.2%}")
    conv1, conv2, dense = model[0], model[2], model[7]
    arrays = {
        "conv1_weight": conv1.weight, "conv1_bias": conv1.bias,
        "conv2_weight": conv2.weight, "conv2_bias": conv2.bias,
        "dense_weight": dense.weight.T, "dense_bias": dense.bias,
    }
    np.savez(
        Path(__file__).with_name("weights.npz"),
        **{name: np.ascontiguousarray(a.detach().numpy()) for name, a in arrays.items()},
    )


if __name__ == "__main__":
    main()
