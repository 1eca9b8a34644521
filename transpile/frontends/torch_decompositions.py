"""Operators of PyTorch that torch.onnx cannot write, or writes wrongly, by operators that it can.

Each is a function on tensors with the arguments of the operator, which torch.export traces into the
program. It may return NotImplemented for arguments that torch.onnx knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from transpile.errors import UnsupportedError


def decomposed(program: Any) -> Any:
    """The program without such operators; the same object if it has none."""
    table = decompositions()
    if not any(node.target in table and not _is_usual_attention(node)
               for node in program.graph.nodes):
        return program
    return program.run_decompositions(dict(table))


def _is_usual_attention(node: Any) -> bool:
    """True for attention that torch.onnx can write: most programs that have any have this."""
    import torch
    if node.target is not torch.ops.aten.scaled_dot_product_attention.default:
        return False
    heads = (operand.meta["val"] for operand in node.args[:3])
    return node.kwargs.get("enable_gqa", False) or _same_heads(*heads)


@lru_cache(maxsize=1)
def decompositions() -> dict[Any, Callable[..., Any]]:
    """By PyTorch's operator; imports PyTorch."""
    import torch
    aten = torch.ops.aten
    return {
        aten.sort.stable: sort, aten.argsort.stable: sorted_places,
        aten.cdist.default: distances, aten._cdist_forward.default: distances,
        aten.searchsorted.Tensor: searched, aten.bucketize.Tensor: bucketed,
        aten.masked_scatter.default: masked_scatter, aten.index_put.default: masked_put,
        aten.index_put_.default: masked_put, aten.scatter_reduce.two: scatter_mean,
        aten.adaptive_max_pool1d.default: adaptive_max_row,
        aten.adaptive_max_pool2d.default: adaptive_max,
        aten.adaptive_max_pool3d.default: adaptive_max,
        aten.cumprod.default: running_product, aten.cummax.default: running_max,
        aten.cummin.default: running_min, aten.median.dim: median,
        aten.median.default: median_of_all, aten.nanmedian.dim: nan_median,
        aten.nanmedian.default: nan_median_of_all, aten.kthvalue.default: kth_value,
        aten.mode.default: most_frequent, aten.hypot.default: hypotenuse,
        aten.diagonal_scatter.default: diagonal_put,
        aten.scaled_dot_product_attention.default: attention,
        **dict.fromkeys((aten.hamming_window.default, aten.hamming_window.periodic,
                         aten.hamming_window.periodic_alpha,
                         aten.hamming_window.periodic_alpha_beta), hamming)}


# --- order --------------------------------------------------------------------------------
def sort(x: Any, *, stable: Any = None, dim: int = -1, descending: bool = False) -> Any:
    """ONNX's TopK, which writes sorts, keeps the order of equal elements anyway."""
    del stable
    return x.sort(dim=dim, descending=descending)


def sorted_places(x: Any, *, stable: bool, dim: int = -1, descending: bool = False) -> Any:
    return sort(x, stable=stable, dim=dim, descending=descending)[1]


def kth_value(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    if x.dim() == 0:
        return x, x.new_zeros((), dtype=_long())
    values, places = (t.narrow(dim, k - 1, 1) for t in x.sort(dim=dim))
    return (values, places) if keepdim else (values.squeeze(dim), places.squeeze(dim))


def median(x: Any, dim: int, keepdim: bool = False) -> Any:
    """The lower one of the two in the middle."""
    return kth_value(x, (x.shape[dim] + 1) // 2 if x.dim() else 1, dim, keepdim)


def median_of_all(x: Any) -> Any:
    return median(x.flatten(), 0)[0]


def nan_median(x: Any, dim: int, keepdim: bool = False) -> Any:
    """The median of what is a number; NaN where nothing is."""
    lost = x.isnan()
    values, places = x.masked_fill(lost, float("inf")).sort(dim=dim)
    count = x.shape[dim] - lost.sum(dim, keepdim=True)
    middle = ((count - 1).clamp(min=0) // 2)
    value, place = values.gather(dim, middle), places.gather(dim, middle)
    value = value.masked_fill(count == 0, float("nan"))
    return (value, place) if keepdim else (value.squeeze(dim), place.squeeze(dim))


def nan_median_of_all(x: Any) -> Any:
    return nan_median(x.flatten(), 0)[0]


def most_frequent(x: Any, dim: int = -1, keepdim: bool = False) -> Any:
    """The smallest of the most frequent values, and the last place where it stands."""
    import torch
    rows = x.movedim(dim, -1)
    count = (rows.unsqueeze(-1) == rows.unsqueeze(-2)).sum(-1)
    often = count == count.amax(-1, keepdim=True)
    value = rows.masked_fill(~often, float("inf")).amin(-1, keepdim=True)
    numbers = torch.arange(rows.shape[-1])
    place = torch.where(rows == value, numbers, -1).amax(-1, keepdim=True)
    value, place = value.movedim(-1, dim), place.movedim(-1, dim)
    return (value, place) if keepdim else (value.squeeze(dim), place.squeeze(dim))


def searched(row: Any, x: Any, *, out_int32: bool = False, right: bool = False, side: Any = None,
             sorter: Any = None) -> Any:
    """How many elements of the sorted rows lie before x; NaN lies behind all."""
    import torch
    row = row if sorter is None else row.gather(-1, sorter)
    row = row if row.dim() == 1 else row.unsqueeze(-2)
    x = x.unsqueeze(-1)
    behind = row > x if right or side == "right" else row >= x
    return (~behind).sum(-1, dtype=torch.int32 if out_int32 else _long())


def bucketed(x: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    return searched(boundaries, x, out_int32=out_int32, right=right)


# --- running along an axis ----------------------------------------------------------------
def doubled(x: Any, dim: int, join: Callable[[Any, Any], Any]) -> Any:
    """An inclusive scan in log2(n) steps: each joins what ends 1, 2, 4, ... places before.

    W. D. Hillis and G. L. Steele, "Data parallel algorithms", 1986.

    Args:
        x: a tuple of tensors of one shape.
        join: of tuples: (what ends earlier, what comes after it).
    """
    import torch
    size = x[0].shape[dim]
    if not isinstance(size, int):
        raise UnsupportedError("a running product, maximum or minimum along a named size is not "
                               "supported", fix="give that dimension a number in the input's spec")
    step = 1
    while step < size:
        later = tuple(t.narrow(dim, step, size - step) for t in x)
        joined = join(tuple(t.narrow(dim, 0, size - step) for t in x), later)
        x = tuple(torch.cat([t.narrow(dim, 0, step), j], dim) for t, j in zip(x, joined,
                                                                              strict=True))
        step *= 2
    return x


def running_product(x: Any, dim: int, *, dtype: Any = None) -> Any:
    x = x if dtype is None else x.to(dtype)
    return doubled((x,), dim, lambda a, b: (a[0] * b[0],))[0] if x.dim() else x.clone()


def running_max(x: Any, dim: int) -> Any:
    """The maximum so far and the last place where it stood."""
    return _running(x, dim, lambda old, new: new >= old)


def running_min(x: Any, dim: int) -> Any:
    return _running(x, dim, lambda old, new: new <= old)


def _running(x: Any, dim: int, better: Callable[[Any, Any], Any]) -> Any:
    import torch
    if x.dim() == 0:
        return x.clone(), x.new_zeros((), dtype=_long())
    shape = [1] * x.dim()
    shape[dim] = -1

    def join(old: Any, new: Any) -> Any:
        wins = better(old[0], new[0]) | (new[0] != new[0])
        return torch.where(wins, new[0], old[0]), torch.where(wins, new[1], old[1])
    places = torch.arange(x.shape[dim]).reshape(shape).expand(x.shape)
    return doubled((x, places), dim, join)


# --- writing into tensors -----------------------------------------------------------------
def masked_put(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """x[mask] = values that are the same for all places, as `where`."""
    import torch
    given = [i for i in indices if i is not None]
    if len(given) != 1 or given[0].dtype != torch.bool or not _alike(x, indices, values):
        return NotImplemented
    before = len(indices) - 1
    mask = given[0].reshape((*given[0].shape, *[1] * (x.dim() - before - given[0].dim())))
    values = values.reshape(()) if values.numel() == 1 else values
    return torch.where(mask, x + values if accumulate else values, x).to(x.dtype)


def _alike(x: Any, indices: Sequence[Any], values: Any) -> bool:
    """True if the values have no axis for the places that a mask selects."""
    if all(isinstance(s, int) and s == 1 for s in values.shape):
        return True
    return indices[0] is not None and bool(values.dim() <= x.dim() - indices[0].dim())


def masked_scatter(x: Any, mask: Any, source: Any) -> Any:
    """The places of a mask take the elements of the source one after the other."""
    import torch
    mask = mask.expand(x.shape)
    number = mask.flatten().to(_long()).cumsum(0) - 1
    taken = source.flatten()[number.clamp(min=0)].reshape(x.shape)
    return torch.where(mask, taken, x)


def scatter_mean(x: Any, dim: int, index: Any, source: Any, reduce: str, *,
                 include_self: bool = True) -> Any:
    """The mean of what meets at a place: torch.onnx writes no division."""
    import torch
    if reduce != "mean":
        return NotImplemented
    start, ones = (x, 1) if include_self else (torch.zeros_like(x), 0)
    total = start.scatter_add(dim, index, source)
    count = torch.full_like(x, ones).scatter_add(dim, index, torch.ones_like(source))
    return torch.where(count == 0, x, total / count.clamp(min=1))


def diagonal_put(x: Any, source: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A diagonal's elements in the last axis of the source."""
    import torch
    rows = x.movedim((dim1, dim2), (-2, -1))
    place = (torch.arange(rows.shape[-1]) - max(offset, 0)).clamp(0, source.shape[-1] - 1)
    taken = source[..., place].unsqueeze(-2)
    mask = torch.arange(rows.shape[-1]) - torch.arange(rows.shape[-2])[:, None] == offset
    return torch.where(mask, taken, rows).movedim((-2, -1), (dim1, dim2))


# --- formulas -----------------------------------------------------------------------------
def hypotenuse(a: Any, b: Any) -> Any:
    """Divided by the larger one first, so that no square overflows."""
    import torch
    large, small = torch.maximum(a.abs(), b.abs()), torch.minimum(a.abs(), b.abs())
    ratio = small / torch.where((large == 0) | large.isinf(), 1, large)
    return large * (1 + ratio * ratio).sqrt()


def hamming(size: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46,
            **options: Any) -> Any:
    """torch.onnx writes ONNX's window, whose numbers are 25/46 and 21/46."""
    import torch
    if size == 1:
        return torch.ones(1)
    phase = torch.arange(size) * (2 * math.pi / (size if periodic else size - 1))
    return (alpha - beta * phase.cos()).to(options.get("dtype") or torch.float32)


# --- attention ----------------------------------------------------------------------------
def attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
              is_causal: bool = False, *, scale: Any = None, enable_gqa: bool = False) -> Any:
    """Keys and values of one head, which all queries read."""
    import torch
    if enable_gqa or _same_heads(query, key, value):
        return NotImplemented
    key, value = (t.expand(*query.shape[:-2], *t.shape[-2:]) for t in (key, value))
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale)


def _same_heads(query: Any, key: Any, value: Any) -> bool:
    return bool(query.shape[:-2] == key.shape[:-2] == value.shape[:-2])


# --- windows and distances ----------------------------------------------------------------
def distances(a: Any, b: Any, p: float = 2.0, mode: Any = None) -> Any:
    """|a_i - b_j| in the norm p: a[..., P, M], b[..., R, M] give [..., P, R]."""
    del mode
    apart = (a.unsqueeze(-2) - b.unsqueeze(-3)).abs()
    if p == 2:
        return (apart * apart).sum(-1).sqrt()
    if p == 0:
        return (apart != 0).to(a.dtype).sum(-1)
    if p == float("inf"):
        return apart.amax(-1)
    return apart.sum(-1) if p == 1 else (apart ** p).sum(-1) ** (1 / p)


def adaptive_max(x: Any, output_size: Sequence[int]) -> Any:
    """Windows of unequal sizes; the last element of a short one is read again."""
    import torch
    rank = len(output_size)
    sizes = x.shape[-rank:]
    if not all(isinstance(s, int) for s in sizes):
        return NotImplemented
    if all(s % o == 0 for s, o in zip(sizes, output_size, strict=True)):
        return NotImplemented
    flat: Any = 0
    for axis, (size, out) in enumerate(zip(sizes, output_size, strict=True)):
        own = windows(size, out)
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = own.shape
        flat = flat * size + own.reshape(shape)
    cells = flat.flatten(0, rank - 1).flatten(1)
    read = x.flatten(-rank)[..., cells]
    best, place = read.max(-1)
    number = torch.arange(cells.shape[0]) * cells.shape[1] + place
    shape = [*x.shape[:-rank], *output_size]
    return best.reshape(shape), cells.flatten()[number].reshape(shape)


def adaptive_max_row(x: Any, output_size: Sequence[int]) -> Any:
    best, place = adaptive_max_square(x.unsqueeze(-2), (1, *output_size))
    return best.squeeze(-2), place.squeeze(-2)


def adaptive_max_square(x: Any, output_size: Sequence[int]) -> Any:
    import torch
    found = adaptive_max(x, output_size)
    return torch.nn.functional.adaptive_max_pool2d(x, output_size, return_indices=True) if (
        found is NotImplemented) else found


def windows(size: int, out: int) -> Any:
    """int64[out, widest]: the elements of each window from floor(k n / out) to ceil."""
    import torch
    first = [k * size // out for k in range(out)]
    last = [-(-(k + 1) * size // out) - 1 for k in range(out)]
    width = max(e - s for s, e in zip(first, last, strict=True)) + 1
    number = torch.arange(out)
    start, end = number * size // out, ((number + 1) * size + out - 1) // out - 1
    return torch.minimum(start[:, None] + torch.arange(width), end[:, None])


def _long() -> Any:
    import torch
    return torch.int64
