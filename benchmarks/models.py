"""The models that speed and size are measured with: known architectures, seeded weights.

`MODELS[name]()` gives a `transpile.Model` for batch 1. Weights are random, and batch norms hold
the statistics of random images, so that activations keep a sensible range all the way through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import transpile
from transpile import nn

RELU6_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2 (Sandler et al. 2018, table 2): expansion, channels, blocks, stride."""


class Linear(nn.Module):
    """One weight and one bias."""

    def __init__(self) -> None:
        self.fc = nn.Linear(1, 1)

    def forward(self, x: Any) -> Any:
        return self.fc(x)


class MLP(nn.Module):
    """784-256-128-10 with relu."""

    def __init__(self) -> None:
        self.fc1, self.fc2 = nn.Linear(784, 256), nn.Linear(256, 128)
        self.fc3 = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        hidden = nn.relu(self.fc1(x))
        hidden = nn.relu(self.fc2(hidden))
        return self.fc3(hidden)


class LeNet(nn.Module):
    """Two 3x3 convolutions, a pool and two dense layers, as in the Keras MNIST example."""

    def __init__(self, size: int = 28) -> None:
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(64 * ((size - 4) // 2) ** 2, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        features = nn.relu(self.conv2(nn.relu(self.conv1(x))))
        pooled = nn.max_pool2d(features, 2)
        hidden = nn.relu(self.fc1(nn.flatten(pooled)))
        probs = nn.softmax(self.fc2(hidden))
        return probs  # noqa: RET504  (names in a model reach its JavaScript)


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project (Sandler et al. 2018, figure 4)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        hidden = inputs * expansion
        self.expand = None if expansion == 1 else nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden), nn.ReLU6())
        self.project = nn.Sequential(nn.Conv2d(hidden, outputs, 1, bias=False),
                                     nn.BatchNorm2d(outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) for 1000 classes."""

    def __init__(self) -> None:
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32),
                                  nn.ReLU6())
        blocks, channels = [], 32
        for expansion, outputs, count, stride in RELU6_STAGES:
            for k in range(count):
                blocks.append(InvertedResidual(channels, outputs, stride if k == 0 else 1,
                                               expansion))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280),
                                  nn.ReLU6())
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, x: Any) -> Any:
        features = self.head(self.blocks(self.stem(x)))
        pooled = nn.adaptive_avg_pool2d(features, 1)
        return self.classifier(nn.flatten(pooled))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None if stride == 1 and inputs == outputs else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Any) -> Any:
        y = nn.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        return nn.relu(y + shortcut)


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016) for 1000 classes."""

    def __init__(self) -> None:
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        blocks, channels = [], 64
        for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [BasicBlock(channels, outputs, stride), BasicBlock(outputs, outputs, 1)]
            channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, 1000)

    def forward(self, x: Any) -> Any:
        stem = nn.max_pool2d(nn.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        pooled = nn.adaptive_avg_pool2d(self.blocks(stem), 1)
        return self.fc(nn.flatten(pooled))


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward part, norms after the sums (Vaswani et al. 2017)."""

    def __init__(self, size: int, heads: int, hidden: int) -> None:
        self.attention = nn.MultiheadAttention(size, heads)
        self.norm1, self.norm2 = nn.LayerNorm(size, eps=1e-12), nn.LayerNorm(size, eps=1e-12)
        self.fc1, self.fc2 = nn.Linear(size, hidden), nn.Linear(hidden, size)

    def forward(self, x: Any) -> Any:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.fc2(nn.gelu(self.fc1(x))))


class Transformer(nn.Module):
    """A stack of encoder layers, of the size of MiniLM by default."""

    def __init__(self, layers: int = 6, size: int = 384, heads: int = 12,
                 hidden: int = 1536) -> None:
        self.layers = nn.ModuleList(EncoderLayer(size, heads, hidden) for _ in range(layers))

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


class LSTM(nn.Module):
    """One LSTM layer over 40 features, and a dense layer on its last state."""

    def __init__(self, inputs: int = 40, hidden: int = 128) -> None:
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 10)

    def forward(self, x: Any) -> Any:
        states, _ = self.lstm(x)
        return self.fc(states[:, -1])


def randomise(module: nn.Module, rng: np.random.Generator) -> None:
    """Weights fit for relu in convolutions, and norms that are not the identity."""
    for _, m in module.named_modules():
        if isinstance(m, nn.Conv2d):
            m.weight = nn.init.kaiming_normal(m.weight.shape, "fan_out", rng)
        if isinstance(m, nn.BatchNorm2d):
            m.weight = nn.init.uniform(m.weight.shape, 0.5, 1, rng)
            m.bias = nn.init.normal(m.bias.shape, 0, 0.1, rng)
        if isinstance(m, nn.LayerNorm):
            m.weight = nn.init.uniform(m.weight.shape, 0.8, 1.2, rng)
            m.bias = nn.init.normal(m.weight.shape, 0, 0.05, rng)


def calibrate(module: nn.Module, x: np.ndarray) -> None:
    """Give every batch norm the statistics of what reaches it when the module runs on `x`."""
    norms = [m for _, m in module.named_modules() if isinstance(m, nn.BatchNorm2d)]

    def observing(norm: nn.BatchNorm2d) -> Callable[[np.ndarray], np.ndarray]:
        def forward(y: np.ndarray) -> np.ndarray:
            axes = (0, *range(2, y.ndim))
            norm.running_mean, norm.running_var = y.mean(axes), y.var(axes) + 1e-3
            return np.asarray(type(norm).forward(norm, y))
        return forward

    for norm in norms:
        object.__setattr__(norm, "forward", observing(norm))
    module(x)
    for norm in norms:
        object.__delattr__(norm, "forward")


def prepared(make: Callable[[], nn.Module], shape: tuple[int, ...], seed: int,
             calibration: tuple[int, ...] = ()) -> transpile.Model:
    """A seeded model with an input `x` of a shape."""
    nn.manual_seed(seed)
    module, rng = make(), np.random.default_rng(seed)
    randomise(module, rng)
    if calibration:
        calibrate(module, rng.normal(size=calibration).astype(np.float32))
    result: transpile.Model = transpile.model(x=transpile.spec("float32", shape))(module)
    return result


MODELS: dict[str, Callable[[], transpile.Model]] = {
    "linear": lambda: prepared(Linear, (1, 1), 1),
    "mlp": lambda: prepared(MLP, (1, 784), 2),
    "lenet": lambda: prepared(LeNet, (1, 1, 28, 28), 3),
    "mobilenetv2": lambda: prepared(MobileNetV2, (1, 3, 224, 224), 4, (2, 3, 96, 96)),
    "resnet18": lambda: prepared(ResNet18, (1, 3, 224, 224), 5, (2, 3, 96, 96)),
    "transformer": lambda: prepared(Transformer, (1, 128, 384), 6),
    "lstm": lambda: prepared(LSTM, (1, 100, 40), 7),
}
"""Models by name; each call makes a new one with the same weights."""
