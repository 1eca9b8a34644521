"""Reductions and positions of extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply, cast


def _add_up(x: Tensor, axes: tuple[int, ...], keep: bool) -> Any:
    return np.sum(x, axis=axes, keepdims=keep)


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Any:
    result = np.mean(x, axis=axes, keepdims=keep)
    return cast(result, x.node.dtype)


def _log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Any:
    if any(x.shape[a] == 0 for a in axes):
        return np.log(_add_up(x, axes, keep))
    return apply("logsumexp", x, axes=axes, keepdims=keep)


def _extreme(op: str, empty: float) -> Callable[..., Any]:
    """A maximum or minimum; over no elements it is what loses against everything."""
    def build(x: Tensor, axes: tuple[int, ...], keep: bool) -> Any:
        if any(x.shape[a] == 0 for a in axes):
            shape = tuple(1 if k in axes else d for k, d in enumerate(x.shape)
                          if keep or k not in axes)
            limit = {"float32": empty, "bool": empty > 0}.get(
                x.node.dtype, 2**31 - 1 if empty > 0 else -2**31)
            return apply("broadcast_to", np.asarray(limit, x.node.dtype), shape=shape)
        return apply(op, x, axes=axes, keepdims=keep)
    return build


REDUCE: dict[str, Callable[[Tensor, tuple[int, ...], bool], Any]] = {
    "ReduceSum": _add_up, "ReduceMean": _mean, "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _extreme("max", -np.inf), "ReduceMin": _extreme("min", np.inf),
    "ReduceProd": lambda x, axes, keep: np.prod(x, axis=axes, keepdims=keep),
    "ReduceL1": lambda x, axes, keep: _add_up(np.abs(x), axes, keep),
    "ReduceL2": lambda x, axes, keep: np.sqrt(_add_up(x * x, axes, keep)),
    "ReduceLogSum": lambda x, axes, keep: np.log(_add_up(x, axes, keep)),
    "ReduceSumSquare": lambda x, axes, keep: _add_up(x * x, axes, keep)}


def reduction_axes(n: Site, rank: int) -> tuple[int, ...]:
    """The axes, from the attribute or the second operand; none given means all."""
    given = n.attr("axes")
    if given is None and n.has(1):
        given = n.ints(1, "the axes")
    axes = tuple(sorted({int(a) % rank for a in given})) if given and rank else ()
    if not axes and not n.attr("noop_with_empty_axes", 0):
        return tuple(range(rank))
    return axes


def _reduce(function: Callable[[Tensor, tuple[int, ...], bool], Any]) -> Callable[[Site], Any]:
    def build(n: Site) -> Any:
        x = n[0]
        given = n.attr("axes")
        if n.attr("noop_with_empty_axes", 0) and not given and (
                not n.has(1) or not n.ints(1, "the axes")) and n.op in ("ReduceSum", "ReduceMean",
                                                                       "ReduceMax", "ReduceMin",
                                                                       "ReduceProd"):
            return x
        result = function(x, reduction_axes(n, x.ndim), bool(n.attr("keepdims", 1)))
        return cast(result, x.node.dtype) if x.node.dtype != "bool" else result
    return build


for _name, _function in REDUCE.items():
    onnx_op(_name)(_reduce(_function))


@onnx_op("ArgMax", "ArgMin")
def extreme_position(n: Site) -> Any:
    x = n[0]
    axis, op = int(n.attr("axis", 0)) % x.ndim, n.op.lower()
    keep = bool(n.attr("keepdims", 1))
    if not n.attr("select_last_index", 0):
        return apply(op, x, axis=axis, keepdims=keep)
    found = apply(op, np.flip(x, axis), axis=axis, keepdims=keep)
    return (x.shape[axis] - 1) - found
