"""Functions of PyTorch that its exporter writes in a form of its own, or cannot write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import transpile
from transpile.errors import UnsupportedError

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def assigned(x: torch.Tensor, index: Any, value: Any) -> torch.Tensor:
    y = x.clone()
    y[index] = value
    return y


def broadcast_heads(x: torch.Tensor) -> torch.Tensor:
    """Queries of three heads on keys and values of one, and then of as many."""
    rows, one, mask = x[:, :3], x[:, 3:], x[:, :1, :, :7] > -1
    y = F.scaled_dot_product_attention(rows, one, one * 2, attn_mask=mask, scale=0.5)
    return F.scaled_dot_product_attention(y, rows, rows, is_causal=True)


CASES: dict[str, Callable[[torch.Tensor], Any]] = {
    "nothing": lambda x: x,
    "nothing_and_more": lambda x: (x, x + 1),
    "dstack": lambda x: torch.dstack([x, x]),
    "aligned_corners": lambda x: F.interpolate(
        x, scale_factor=1.7, mode="bilinear", align_corners=True),
    "aligned_corners_smaller": lambda x: F.interpolate(
        x, scale_factor=0.5, mode="bicubic", align_corners=True),
    "sort": lambda x: torch.sort(torch.round(x), stable=True, dim=1, descending=True),
    "argsort": lambda x: torch.argsort(torch.round(x), stable=True),
    "kth_value": lambda x: torch.kthvalue(x, 3, 2, keepdim=True),
    "median": lambda x: (*torch.median(x, 1), torch.median(x)),
    "nan_median": lambda x: (*torch.nanmedian(x / (x > 0), 2), torch.nanmedian(x.sqrt())),
    "mode": lambda x: torch.mode(torch.round(x), 3)[0],
    "search": lambda x: torch.searchsorted(x.sort(-1)[0], torch.round(x), right=True),
    "buckets": lambda x: torch.bucketize(torch.round(x), torch.tensor([-1.0, 0.0, 0.5, 1.0])),
    "running_product": lambda x: torch.cumprod(x, 2),
    "running_maximum": lambda x: torch.cummax(torch.round(x), 3),
    "running_minimum": lambda x: torch.cummin(torch.round(x), -1),
    "mask": lambda x: assigned(x, x > 0, 3.0),
    "mask_of_rows": lambda x: assigned(x, x[:, :, 0, 0] > 0, x[0, 0] + 1),
    "mask_behind": lambda x: assigned(x, (slice(None), x[0, :, 0, 0] > 0), -1.0),
    "masked_scatter": lambda x: x.masked_scatter(x > 0.1, torch.arange(504.0)),
    "number_in_a_tensor": lambda x: assigned(x, x[0, :, 0, 0].argmax(), 5.0),
    "numbers_in_tensors": lambda x: assigned(
        x, (slice(1, None), x[0, :, 0, 0].argmax() - 4, ..., x[0, 0, 0].argmin()), x[0, 0, :, 0]),
    "scatter_mean": lambda x: x.scatter_reduce(1, torch.tensor([[[[1]], [[1]], [[3]]]]).expand(
        2, 3, 7, 9), x[:, :3] * 2, "mean"),
    "scatter_mean_of_new": lambda x: x.scatter_reduce(1, torch.tensor([[[[1]], [[1]]]]).expand(
        2, 2, 7, 9), x[:, :2] * 2, "mean", include_self=False),
    "distances": lambda x: torch.cdist(x, x * 0.5 + 1),
    "distances_in_other_norms": lambda x: tuple(
        torch.cdist(x, x + 1, p=p) for p in (0.0, 1.0, 3.0, float("inf"))),
    "uneven_windows": lambda x: F.adaptive_max_pool2d(x, (3, 5), return_indices=True),
    "uneven_rows": lambda x: F.adaptive_max_pool1d(x[0], 4),
    "uneven_boxes": lambda x: F.adaptive_max_pool3d(x, (3, 2, 4)),
    "hamming": lambda x: x * torch.hamming_window(9) + torch.hamming_window(9, periodic=False),
    "diagonals": lambda x: tuple(
        torch.diagonal_scatter(x, x[:, :, 0, :5] * 2, k, 2, 3) for k in (-2, 4)),
    "hypotenuse": lambda x: torch.hypot(x, x.flip(0) * 1e30),
    "broadcast_heads": broadcast_heads,
    "shared_heads": lambda x: F.scaled_dot_product_attention(
        x, x[:, :2], x[:, 2:], enable_gqa=True),
    "tiny_terms": lambda x: F.relu(x - 9) / (F.relu(x - 9).sum(-1, keepdim=True) + 1e-9),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pytorch(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 9)).astype(np.float32)
    module = transpile.compile(Call(CASES[name]), {"x": x}, targets=["js"])
    wanted = CASES[name](torch.from_numpy(x))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for got, want in zip(module.run({"x": x}).values(), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_take_along_a_named_batch() -> None:
    net = Call(lambda x: torch.take_along_dim(x, x.argmax(2, keepdim=True), 2))
    x = np.random.default_rng(0).normal(size=(3, 4, 7)).astype(np.float32)
    module = transpile.compile(
        transpile.model(net, x=transpile.spec("float32", ("batch", 4, 7))), targets=["js"])
    np.testing.assert_array_equal(module.run({"x": x})["output"], x.max(2, keepdims=True))


@pytest.mark.filterwarnings("ignore")
def test_layers_that_pytorch_quantised_are_refused_by_name() -> None:
    net = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), {nn.Linear})
    with pytest.raises(UnsupportedError, match="quantised Linear"):
        transpile.trace(net, {"input": "float32[1, 3]"})


def test_what_the_exporter_drops_is_refused() -> None:
    net = Call(lambda x: F.avg_pool2d(x, 2, divisor_override=3))
    with pytest.raises(UnsupportedError, match="divisor_override"):
        transpile.trace(net, {"x": "float32[1, 2, 4, 4]"})
