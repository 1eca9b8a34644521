"""Linear maps, embeddings, attention, recurrent layers, and shapes."""

from __future__ import annotations

import numpy as np

from transpile.ir.dims import product
from transpile.nn.dispatch import Array, call

State = tuple[Array, Array]


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """`x @ weight.T + bias`.

    Args:
        x: `[..., I]`.
        weight: `[O, I]`.
        bias: `[O]`.

    Returns:
        `[..., O]`.
    """
    return call("linear", x, weight, bias)


def embedding(ids: Array, table: Array) -> Array:
    """Rows of a table.

    Args:
        ids: integers of any shape, each in `0..V-1`.
        table: `[V, D]`.

    Returns:
        `[*ids.shape, D]`.
    """
    return call("embedding", ids, table)


def one_hot(ids: Array, num_classes: int) -> Array:
    """float32 `[*ids.shape, num_classes]`: 1 at each id, 0 elsewhere."""
    wide = np.expand_dims(ids, -1)
    return np.equal(wide, np.arange(num_classes, dtype=np.int32)).astype(np.float32)


def flatten(x: Array, start: int = 1, end: int = -1) -> Array:
    """One axis in place of the axes `start` to `end`, both included."""
    first, last = start % max(x.ndim, 1), end % max(x.ndim, 1)
    middle = product(x.shape[first:last + 1])
    return np.reshape(x, (*x.shape[:first], middle, *x.shape[last + 1:]))


def attention(q: Array, k: Array, v: Array, mask: Array | None = None,
              scale: float | None = None, causal: bool = False) -> Array:
    """`softmax(q @ k.T * scale + mask) @ v` (Vaswani et al. 2017).

    Args:
        q: `[..., T, D]`.
        k: `[..., S, D]`.
        v: `[..., S, E]`.
        mask: broadcasts to `[..., T, S]`: bool, True where to look, or float32, added. A row
            with nothing to look at gives zeros.
        scale: `1/sqrt(D)` by default.
        causal: position t looks at positions 0 to t.

    Returns:
        `[..., T, E]`.
    """
    return call("attention", q, k, v, mask, scale=scale, causal=causal)


scaled_dot_product_attention = attention


def lstm(x: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
         b_hh: Array | None = None, h0: Array | None = None, c0: Array | None = None,
         batch_first: bool = False, reverse: bool = False) -> tuple[Array, State]:
    """One layer of LSTM in one direction (Hochreiter and Schmidhuber 1997, with forget gate).

    Args:
        x: `[T, B, I]`, or `[B, T, I]` if `batch_first`.
        w_ih: `[4H, I]`; gates in PyTorch's order: input, forget, cell, output.
        w_hh: `[4H, H]`.
        b_ih, b_hh: `[4H]`.
        h0, c0: `[B, H]`, zeros by default.
        reverse: from the last step to the first.

    Returns:
        The hidden states `[T, B, H]` (or `[B, T, H]`), and the last `(h, c)`, each `[B, H]`.
    """
    out = call("lstm", np.swapaxes(x, 0, 1) if batch_first else x, w_ih, w_hh, b_ih, b_hh, h0, c0,
               reverse=reverse)
    states = out[:-2]
    return np.swapaxes(states, 0, 1) if batch_first else states, (out[-2], out[-1])


def gru(x: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
        b_hh: Array | None = None, h0: Array | None = None, batch_first: bool = False,
        reverse: bool = False) -> tuple[Array, Array]:
    """One layer of GRU in one direction (Cho et al. 2014, reset gate after the product).

    Args:
        x: `[T, B, I]`, or `[B, T, I]` if `batch_first`.
        w_ih: `[3H, I]`; gates in PyTorch's order: reset, update, new.
        w_hh: `[3H, H]`.
        b_ih, b_hh: `[3H]`.
        h0: `[B, H]`, zeros by default.
        reverse: from the last step to the first.

    Returns:
        The hidden states `[T, B, H]` (or `[B, T, H]`), and the last one `[B, H]`.
    """
    out = call("gru", np.swapaxes(x, 0, 1) if batch_first else x, w_ih, w_hh, b_ih, b_hh, h0,
               reverse=reverse)
    states = out[:-1]
    return np.swapaxes(states, 0, 1) if batch_first else states, out[-1]
