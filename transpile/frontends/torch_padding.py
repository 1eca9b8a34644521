"""Padded tokens of torch.nn.TransformerEncoder are what a call without gradients gives.

Such a call computes on nested tensors, from which padded tokens come back as zeros. torch.export
takes the other path, where they hold numbers, and so would whatever pools over all tokens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def zero_padding() -> Iterator[None]:
    """Encoders give zeros for padded tokens where PyTorch's fast path does, before a last norm."""
    from torch import nn
    usual = nn.TransformerEncoder.forward

    def forward(self: Any, src: Any, mask: Any = None, src_key_padding_mask: Any = None,
                is_causal: Any = None) -> Any:
        norm, pads = self.norm, src_key_padding_mask
        if mask is not None or pads is None or src.dim() != 3 or not self.use_nested_tensor:
            return usual(self, src, mask, pads, is_causal)
        self.norm = None
        try:
            y = usual(self, src, mask, pads, is_causal)
        finally:
            self.norm = norm
        y = y.masked_fill(zeros(pads).unsqueeze(-1), 0.0)
        return y if norm is None else norm(y)
    try:
        nn.TransformerEncoder.forward = forward
        yield
    finally:
        nn.TransformerEncoder.forward = usual


def zeros(pads: Any) -> Any:
    """The padded tokens bool[B, T]; none where padding stands before a token in any row.

    PyTorch computes such a batch in the other way (`_nested_tensor_from_mask_left_aligned`).

    Args:
        pads: `src_key_padding_mask`: True, or a number that is added, where there is padding.
    """
    import torch
    padded = pads if pads.dtype == torch.bool else pads != 0
    gaps = (padded.int().cumsum(1) > 0) & ~padded
    return padded & ~gaps.any()
