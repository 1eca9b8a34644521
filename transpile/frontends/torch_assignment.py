"""What PyTorch computes from values or sizes themselves, in a form that can be traced.

For x[i] = v with a number in a tensor it asks for the number; for take_along_dim, for all sizes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def indexed_by_tensor() -> Iterator[None]:
    """Numbers in tensors are indices like any others, and sizes may be named, in a trace."""
    import torch
    usual, along = torch.Tensor.__setitem__, torch.take_along_dim

    def assign(x: Any, index: Any, value: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        if any(is_number(p) for p in parts) and all(is_number(p) or is_plain(p) for p in parts):
            put(x, parts, value)
        else:
            usual(x, index, value)
    torch.Tensor.__setitem__, torch.take_along_dim = assign, taken
    try:
        yield
    finally:
        torch.take_along_dim = along
        if usual is torch._C.TensorBase.__setitem__:
            del torch.Tensor.__setitem__
        else:
            torch.Tensor.__setitem__ = usual


def is_number(part: Any) -> bool:
    """True for an integer tensor without axes."""
    import torch
    return isinstance(part, torch.Tensor) and part.dim() == 0 and not (
        part.is_floating_point() or part.dtype == torch.bool)


def is_plain(part: Any) -> bool:
    """True for what selects a view."""
    return part is None or part is Ellipsis or (
        isinstance(part, (int, slice)) and not isinstance(part, bool))


def put(x: Any, parts: tuple[Any, ...], value: Any) -> None:
    """Numbers select in a view, whose axes for them come first."""
    import torch
    used = sum(p is not None and p is not Ellipsis for p in parts)
    if Ellipsis not in [p for p in parts if not is_number(p)]:
        parts = (*parts, Ellipsis)
    full: list[Any] = []
    for part in parts:
        full += [slice(None)] * (x.dim() - used) if part is Ellipsis else [part]
    view = x[tuple(slice(None) if is_number(p) else p for p in full)]
    kept = [p for p in full if not isinstance(p, int)]
    axes = [k for k, p in enumerate(kept) if is_number(p)]
    places = tuple(kept[k].reshape(1) for k in axes)
    value = value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=x.dtype)
    view.movedim(axes, list(range(len(axes)))).index_put_(places, value.to(x.dtype))


def taken(x: Any, indices: Any, dim: int | None = None) -> Any:
    """torch.take_along_dim: axes of size 1 of either operand are as long as the other's."""
    if dim is None:
        return x.flatten().gather(0, indices.flatten())
    dim %= x.dim()

    def common(a: Any, b: Any) -> Any:
        return b if isinstance(a, int) and a == 1 else a
    pairs = list(zip(x.shape, indices.shape, strict=True))
    values = x.expand([a if k == dim else common(a, b) for k, (a, b) in enumerate(pairs)])
    places = indices.expand([b if k == dim else common(b, a) for k, (a, b) in enumerate(pairs)])
    return values.gather(dim, places)
