"""Multiplies constant factors into the constant weights of a contraction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transpile.ir.graph import Graph, Node, constant
from transpile.ops.contract import parse_equation
from transpile.passes.fold_constants import evaluate_node
from transpile.passes.tools import Uses, align, plain, rewrite

CONTRACTIONS = ("contract", "conv")


def fold_scale(graph: Graph) -> Graph:
    """Fold batch norm and other per-channel scales into the weights before or after them."""
    return rewrite(graph, _rule)


def _rule(node: Node, uses: Uses) -> Node | None:
    if node.op in ("mul", "div") and node.inputs[1].is_constant:
        return _scale_after(node, uses)
    if node.op in CONTRACTIONS and node.inputs[1].is_constant:
        return _scale_before(node, uses)
    return None


def _scale_after(node: Node, uses: Uses) -> Node | None:
    """`conv(x, w) * s` is `conv(x, w * s)`; `(conv(x, w) + b) * s` is `conv(x, w * s) + b * s`."""
    inner, factor = node.inputs
    if node.dtype != "float32" or inner.type != node.type or uses.get(inner, 1) > 1:
        return None
    if inner.op in ("add", "sub") and inner.inputs[1].is_constant:
        scaled = _scaled_contraction(inner.inputs[0], factor, node.op, uses)
        if scaled is None or scaled.type != node.type:
            return None
        shift = evaluate_node(plain(node, node.op, inner.inputs[1], factor))
        return plain(node, inner.op, scaled, shift)
    return _scaled_contraction(inner, factor, node.op, uses)


def _scaled_contraction(inner: Node, factor: Node, op: str, uses: Uses) -> Node | None:
    if inner.op not in CONTRACTIONS or uses.get(inner, 1) > 1 or inner.dtype != "float32":
        return None
    x, weight = inner.inputs
    if not weight.is_constant or factor.type.rank > inner.type.rank:
        return None
    shape = _for_weight(factor.value, _labels(inner), inner.type.rank)
    if shape is None:
        return None
    return plain(inner, inner.op, x, _times(weight, shape, op), **inner.attrs).named(inner.name)


def _labels(node: Node) -> tuple[str, str, str]:
    """Labels of both operands and the result; a convolution shares only what scales alike."""
    if node.op == "contract":
        return parse_equation(node.attrs["equation"])
    rank = node.type.rank
    spatial, taps = "stuvw"[:rank - 2], "klmpq"[:rank - 2]
    shared = "c" if node.attrs.get("groups", 1) == 1 else "g"
    return f"n{spatial}c", f"{taps}{shared}o", f"n{spatial}o"


def _for_weight(factor: np.ndarray, labels: tuple[str, str, str], rank: int, *,
                side: int = 2) -> np.ndarray | None:
    """`factor`, aligned with one side of an equation, in the axes of the weight; else None."""
    weight, own = labels[1], labels[side]
    full = factor.reshape(_ints(align(factor.shape, rank)))
    axes = [i for i in range(rank) if full.shape[i] != 1]
    if any(own[i] not in weight for i in axes) or len(set(weight)) != len(weight):
        return None
    order = sorted(axes, key=lambda i: weight.index(own[i]))
    sizes = {own[i]: full.shape[i] for i in axes}
    compact = full.transpose([*order, *(i for i in range(rank) if i not in axes)])
    result: np.ndarray = compact.reshape([sizes.get(c, 1) for c in weight])
    return result


def _times(weight: Node, factor: np.ndarray, op: str) -> Node:
    return evaluate_node(plain(weight, op, weight, constant(factor)).named(weight.name))


def _scale_before(node: Node, uses: Uses) -> Node | None:
    """`conv(x * s, w)` is `conv(x, w * s)`, through transposes and zero padding too."""
    x, weight = node.inputs
    found = _strip(x, uses)
    if found is None or found[0].dtype != "float32" or node.dtype != "float32":
        return None
    bare, factor, op = found
    if op == "div":
        factor = 1 / factor.astype(np.float64)
    shape = _for_weight(factor, _labels(node), x.type.rank, side=0)
    if shape is None or not np.all(np.isfinite(factor)):
        return None
    return plain(node, node.op, bare, _times(weight, shape, "mul"), **node.attrs)


def _strip(x: Node, uses: Uses) -> tuple[Node, np.ndarray, str] | None:
    """`x` without its last constant factor, that factor aligned with x, and `mul` or `div`."""
    if uses.get(x, 1) > 1:
        return None
    if x.op in ("mul", "div") and x.inputs[1].is_constant and x.inputs[0].type == x.type:
        factor = x.inputs[1].value
        return x.inputs[0], factor.reshape(_ints(align(factor.shape, x.type.rank))), x.op
    if x.op not in ("transpose", "pad", "reshape"):
        return None
    found = _strip(x.inputs[0], uses)
    if found is None:
        return None
    bare, factor, op = found
    if x.op == "transpose":
        factor = factor.transpose(x.attrs["perm"])
    elif x.op == "reshape":
        if factor.size != 1:
            return None
        factor = factor.reshape((1,) * x.type.rank)
    elif not _padding_commutes(x, factor):
        return None
    return plain(x, x.op, bare, **x.attrs), factor, op


def _padding_commutes(x: Node, factor: np.ndarray) -> bool:
    """Zeros stay zero, and a factor that does not vary along a padded axis fits after it."""
    zeros = x.attrs.get("mode", "constant") != "constant" or x.attrs.get("value", 0) == 0
    grown = zip(x.attrs["low"], x.attrs["high"], factor.shape, strict=True)
    return zeros and all(d == 1 or (low == 0 and high == 0) for low, high, d in grown)


def _ints(shape: Sequence[object]) -> list[int]:
    return [int(d) for d in shape]  # type: ignore[call-overload]
