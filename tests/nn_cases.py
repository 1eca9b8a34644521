"""What the functions of transpile.nn are tried on, with the same in PyTorch.

`python -m tests.nn_cases` computes PyTorch's answers in float64 and keeps them in
`tests/golden/nn_torch.npz`, so that the tests themselves need no PyTorch.
"""


from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "nn_torch.npz"


@dataclass(frozen=True)
class Case:
    """One call: `function(*arrays, **attrs)`, and `torch(torch, F, *tensors)` for the same.

    Shapes are tuples; a tuple that starts with "int" or "bool" makes integers below its second
    entry or booleans. None stands for an operand that is left out.
    """

    function: str
    shapes: tuple[Any, ...]
    torch: Callable[..., Any]
    attrs: dict[str, Any] = field(default_factory=dict)
    positive: bool = False

    @property
    def key(self) -> str:
        attrs = ",".join(f"{k}={v}" for k, v in self.attrs.items())
        return f"{self.function}({','.join(map(str, self.shapes))};{attrs})".replace(" ", "")

    def arrays(self) -> list[np.ndarray | None]:
        rng = np.random.default_rng(zlib.crc32(self.key.encode()))
        return [_array(shape, rng, self.positive) for shape in self.shapes]


def _array(shape: Any, rng: np.random.Generator, positive: bool) -> np.ndarray | None:
    if shape is None:
        return None
    if shape and shape[0] == "int":
        return rng.integers(0, shape[1], shape[2:]).astype(np.int32)
    if shape and shape[0] == "bool":
        return rng.random(shape[1:]) < 0.6
    return rng.uniform(0.2, 2, shape) if positive else rng.normal(0, 1.5, shape)


def case(function: str, *shapes: Any, torch: Callable[..., Any], positive: bool = False,
         **attrs: Any) -> Case:
    return Case(function, shapes, torch, attrs, positive)


def _same(name: str, *shapes: Any, rename: dict[str, str] | None = None, **attrs: Any) -> Case:
    """PyTorch's functional of that name takes the same operands and attributes."""
    theirs = {(rename or {}).get(k, k): v for k, v in attrs.items()}
    return case(name, *shapes, torch=lambda t, F, *a: getattr(F, name)(*a, **theirs), **attrs)


ACTIVATIONS = [
    *(_same(name, (3, 17)) for name in (
        "relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "elu", "selu", "leaky_relu",
        "hardsigmoid", "hardswish", "softplus", "mish")),
    _same("gelu", (40,), approximate="tanh"), _same("elu", (9,), alpha=0.3),
    _same("leaky_relu", (9,), negative_slope=0.2),
    _same("prelu", (2, 3, 4), (3,)), _same("prelu", (2, 3, 4, 5), (1,)),
    _same("prelu", (4, 3), (3,)),
    _same("softmax", (3, 5), axis=-1, rename={"axis": "dim"}),
    _same("softmax", (2, 3, 4), axis=1, rename={"axis": "dim"}),
    _same("log_softmax", (3, 5), axis=-1, rename={"axis": "dim"}),
    _same("log_softmax", (2, 3, 4), axis=0, rename={"axis": "dim"}),
    case("dropout", (3, 4), torch=lambda t, F, x: F.dropout(x, training=False)),
]

CONVOLUTIONS = [
    _same("conv1d", (2, 3, 9), (4, 3, 3), (4,)),
    _same("conv1d", (1, 4, 11), (6, 2, 2), None, stride=2, padding=1, dilation=3, groups=2),
    _same("conv1d", (1, 2, 8), (3, 2, 4), (3,), padding="same"),
    _same("conv2d", (2, 3, 7, 6), (4, 3, 3, 3), (4,)),
    _same("conv2d", (1, 3, 8, 8), (5, 3, 1, 1), None),
    _same("conv2d", (2, 4, 9, 8), (4, 1, 3, 3), (4,), stride=2, padding=1, groups=4),
    _same("conv2d", (2, 3, 6, 6), (6, 1, 3, 2), None, padding=(1, 0), groups=3),
    _same("conv2d", (1, 4, 9, 9), (6, 2, 3, 2), (6,), stride=(1, 2), padding=(2, 1),
          dilation=(2, 1), groups=2),
    _same("conv2d", (1, 2, 7, 6), (3, 2, 4, 3), None, padding="same", dilation=2),
    _same("conv2d", (1, 2, 7, 6), (3, 2, 4, 3), (3,), padding="valid", stride=3),
    case("conv2d", (1, 2, 5, 5), (3, 2, 2, 2), padding=((1, 0), (2, 1)),
         torch=lambda t, F, x, w: F.conv2d(F.pad(x, (2, 1, 1, 0)), w)),
    _same("conv_transpose1d", (2, 4, 5), (4, 3, 3), (3,)),
    _same("conv_transpose1d", (1, 4, 5), (4, 2, 4), None, stride=3, padding=2, output_padding=1,
          groups=2, dilation=2),
    _same("conv_transpose2d", (2, 3, 4, 5), (3, 2, 3, 3), (2,)),
    _same("conv_transpose2d", (1, 4, 3, 4), (4, 3, 2, 3), (6,), stride=(2, 3), padding=(0, 2),
          groups=2),
    _same("conv_transpose2d", (1, 2, 5, 4), (2, 2, 3, 3), None, stride=2, padding=3,
          output_padding=1, dilation=2),
    _same("conv_transpose2d", (1, 4, 4, 4), (4, 1, 4, 4), None, stride=2, padding=1, groups=4),
]

POOLS = [
    _same("max_pool1d", (2, 3, 10), kernel_size=3),
    _same("max_pool1d", (2, 3, 10), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    _same("max_pool2d", (2, 3, 8, 7), kernel_size=2),
    _same("max_pool2d", (1, 3, 8, 7), kernel_size=3, stride=2, padding=1),
    _same("max_pool2d", (1, 3, 8, 7), kernel_size=(2, 3), stride=(2, 1), padding=(1, 0)),
    _same("max_pool2d", (1, 3, 9, 8), kernel_size=2, stride=2, dilation=2, ceil_mode=True),
    _same("max_pool2d", (1, 2, 7, 7), kernel_size=2, stride=3, padding=1, ceil_mode=True),
    _same("avg_pool1d", (2, 3, 10), kernel_size=3),
    _same("avg_pool1d", (2, 3, 10), kernel_size=4, stride=3, padding=2, ceil_mode=True),
    _same("avg_pool2d", (2, 3, 8, 7), kernel_size=2),
    _same("avg_pool2d", (1, 3, 8, 7), kernel_size=3, stride=2, padding=1),
    _same("avg_pool2d", (1, 3, 8, 7), kernel_size=3, stride=2, padding=1,
          count_include_pad=False),
    _same("avg_pool2d", (1, 3, 8, 7), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    _same("avg_pool2d", (1, 3, 8, 8), kernel_size=(3, 2), stride=3, padding=(1, 0),
          ceil_mode=True, count_include_pad=False),
    _same("avg_pool2d", (1, 2, 5, 5), kernel_size=2, ceil_mode=True),
    *(_same(f"adaptive_{kind}_pool1d", (2, 3, 10), output_size=n)
      for kind in ("avg", "max") for n in (1, 3, 5, 10)),
    *(_same(f"adaptive_{kind}_pool2d", (1, 3, 7, 8), output_size=n)
      for kind in ("avg", "max") for n in (1, 3, (1, 4), (5, 8), (7, 1))),
]

NORMS = [
    *(case("batch_norm", shape, (3,), (3,), (3,), (3,), eps=1e-3, positive=True,
           torch=lambda t, F, x, *a: F.batch_norm(x, *a, eps=1e-3))
      for shape in ((4, 3), (2, 3, 5), (2, 3, 4, 5))),
    case("batch_norm", (2, 3, 4), (3,), (3,), None, (3,), positive=True,
         torch=lambda t, F, x, m, v, w, b: F.batch_norm(x, m, v, None, b)),
    case("batch_norm", (2, 3, 4), (3,), (3,), positive=True,
         torch=lambda t, F, x, m, v: F.batch_norm(x, m, v)),
    case("layer_norm", (3, 5), torch=lambda t, F, x: F.layer_norm(x, (5,))),
    case("layer_norm", (2, 3, 5), (5,), (5,), eps=1e-2,
         torch=lambda t, F, x, w, b: F.layer_norm(x, (5,), w, b, eps=1e-2)),
    case("layer_norm", (2, 3, 5), (3, 5), torch=lambda t, F, x, w: F.layer_norm(x, (3, 5), w)),
    case("layer_norm", (2, 3, 5), None, (5,),
         torch=lambda t, F, x, w, b: F.layer_norm(x, (5,), None, b)),
    case("rms_norm", (2, 3, 5), (5,), eps=1e-3,
         torch=lambda t, F, x, w: F.rms_norm(x, (5,), w, eps=1e-3)),
    case("rms_norm", (4, 6), torch=lambda t, F, x: F.rms_norm(x, (6,), eps=1e-6)),
    case("group_norm", (2, 6, 5), groups=3, torch=lambda t, F, x: F.group_norm(x, 3)),
    case("group_norm", (2, 4, 3, 5), (4,), (4,), groups=2, eps=1e-2,
         torch=lambda t, F, x, w, b: F.group_norm(x, 2, w, b, eps=1e-2)),
    case("instance_norm", (2, 3, 7), torch=lambda t, F, x: F.instance_norm(x)),
    case("instance_norm", (2, 3, 4, 5), (3,), (3,),
         torch=lambda t, F, x, w, b: F.instance_norm(x, weight=w, bias=b)),
]


def _attend(t: Any, F: Any, q: Any, k: Any, v: Any, mask: Any = None, **attrs: Any) -> Any:
    return F.scaled_dot_product_attention(q, k, v, mask, **attrs)


def _lstm(t: Any, x: Any, *rest: Any, batch_first: bool = False) -> Any:
    *weights, h0, c0 = rest
    y, h, c = t.lstm(x, (h0[None], c0[None]), weights, len(weights) == 4, 1, 0.0, False, False,
                     batch_first)
    return y, (h[0], c[0])


def _gru(t: Any, x: Any, *rest: Any, batch_first: bool = False) -> Any:
    *weights, h0 = rest
    y, h = t.gru(x, h0[None], weights, len(weights) == 4, 1, 0.0, False, False, batch_first)
    return y, h[0]


SEQUENCES = [
    _same("linear", (3, 4), (2, 4), (2,)), _same("linear", (2, 3, 4), (5, 4)),
    case("embedding", ("int", 5, 2, 3), (5, 4), torch=lambda t, F, i, w: F.embedding(i, w)),
    case("one_hot", ("int", 5, 2, 3), num_classes=5,
         torch=lambda t, F, i: F.one_hot(i.long(), 5).double()),
    case("flatten", (2, 3, 4, 5), torch=lambda t, F, x: t.flatten(x, 1)),
    case("flatten", (2, 3, 4, 5), start=1, end=2, torch=lambda t, F, x: t.flatten(x, 1, 2)),
    case("attention", (2, 5, 4), (2, 6, 4), (2, 6, 3), torch=_attend),
    case("attention", (2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4), causal=True, scale=0.7,
         torch=lambda t, F, *a: _attend(t, F, *a, is_causal=True, scale=0.7)),
    case("attention", (2, 5, 4), (2, 6, 4), (2, 6, 3), ("bool", 5, 6), torch=_attend),
    case("attention", (2, 5, 4), (2, 6, 4), (2, 6, 3), (5, 6), torch=_attend),
    case("attention", (2, 3, 4, 2), (2, 3, 4, 2), (2, 3, 4, 2), ("bool", 2, 1, 1, 4),
         torch=_attend),
    case("lstm", (5, 2, 3), (16, 3), (16, 4), (16,), (16,), (2, 4), (2, 4),
         torch=lambda t, F, *a: _lstm(t, *a)),
    case("lstm", (2, 5, 3), (16, 3), (16, 4), (16,), (16,), (2, 4), (2, 4), batch_first=True,
         torch=lambda t, F, *a: _lstm(t, *a, batch_first=True)),
    case("lstm", (5, 2, 3), (8, 3), (8, 2), None, None, None, None,
         torch=lambda t, F, x, w, u, *_: _lstm(t, x, w, u, *[x.new_zeros(2, 2)] * 2)),
    case("lstm", (4, 2, 3), (8, 3), (8, 2), (8,), (8,), reverse=True, torch=lambda t, F, x, *a: (
        lambda y: (y[0].flip(0), y[1]))(_lstm(t, x.flip(0), *a, *[x.new_zeros(2, 2)] * 2))),
    case("gru", (5, 2, 3), (12, 3), (12, 4), (12,), (12,), (2, 4),
         torch=lambda t, F, *a: _gru(t, *a)),
    case("gru", (2, 5, 3), (12, 3), (12, 4), (12,), (12,), (2, 4), batch_first=True,
         torch=lambda t, F, *a: _gru(t, *a, batch_first=True)),
    case("gru", (5, 2, 3), (6, 3), (6, 2), None, None, None,
         torch=lambda t, F, x, w, u, *_: _gru(t, x, w, u, x.new_zeros(2, 2))),
]

CASES = ACTIVATIONS + CONVOLUTIONS + POOLS + NORMS + SEQUENCES


def flat(result: Any) -> list[Any]:
    """The arrays in a result, nested tuples unrolled."""
    return [a for r in result for a in flat(r)] if isinstance(result, tuple) else [result]


def main() -> None:
    """Compute PyTorch's answers anew."""
    import torch
    answers = {}
    for one in CASES:
        tensors = [None if a is None else torch.from_numpy(a) for a in one.arrays()]
        result = one.torch(torch, torch.nn.functional, *tensors)
        for k, array in enumerate(flat(result)):
            answers[f"{one.key}#{k}"] = array.numpy()
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **answers)


if __name__ == "__main__":
    main()
