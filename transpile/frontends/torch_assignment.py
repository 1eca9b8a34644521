"""x[i] = v where i is a tensor of one number: PyTorch would ask for the number itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def assigned_by_tensor() -> Iterator[None]:
    """Numbers in tensors are indices like any others while a module is traced."""
    import torch
    usual = torch.Tensor.__setitem__

    def assign(x: Any, index: Any, value: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        if any(is_number(p) for p in parts) and all(is_number(p) or is_plain(p) for p in parts):
            put(x, parts, value)
        else:
            usual(x, index, value)
    torch.Tensor.__setitem__ = assign
    try:
        yield
    finally:
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
