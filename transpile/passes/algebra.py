"""Algebraic identities: neutral elements, cheaper spellings, constants brought together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from transpile.ir.graph import Graph, Node
from transpile.passes.fold_constants import evaluate_node
from transpile.passes.tools import (
    Uses,
    moves_only_units,
    plain,
    rewrite,
    same,
    scalar,
    uniform,
    with_inputs,
)


def algebra(graph: Graph) -> Graph:
    """Drop what changes nothing, and merge neighbours that do one thing together."""
    return rewrite(graph, simplify)


def simplify(node: Node, _uses: Uses) -> Node | None:
    """The first identity that applies to `node`; None if none does."""
    for rule in RULES.get(node.op, ()):
        result = rule(node)
        if result is not None and result.type == node.type:
            return result
    return None


Rule = Callable[[Node], "Node | None"]


def _neutral(value: float) -> Rule:
    """`x op value` is `x`."""
    return lambda node: node.inputs[0] if uniform(node.inputs[1]) == value else None


def _undoes_itself(node: Node) -> Node | None:
    return node.inputs[0].inputs[0] if node.inputs[0].op == node.op else None


def _idempotent(node: Node) -> Node | None:
    return node.inputs[0] if node.inputs[0].op == node.op else None


def _twice_the_same(node: Node) -> Node | None:
    return node.inputs[0] if node.inputs[0] is node.inputs[1] else None


def _ignores_sign(node: Node) -> Node | None:
    inner = node.inputs[0]
    return plain(node, node.op, inner.inputs[0]) if inner.op in ("neg", "abs") else None


# Arithmetic

def _minus_one(node: Node) -> Node | None:
    return plain(node, "neg", node.inputs[0]) if uniform(node.inputs[1]) == -1 else None


def _from_zero(node: Node) -> Node | None:
    return plain(node, "neg", node.inputs[1]) if uniform(node.inputs[0]) == 0 else None


def _negated_term(node: Node) -> Node | None:
    """`a + -b` is `a - b`, `a - -b` is `a + b`."""
    a, b = node.inputs
    if node.op == "add" and a.op == "neg" and b.op != "neg":
        a, b = b, a
    if b.op != "neg":
        return None
    return plain(node, "sub" if node.op == "add" else "add", a, b.inputs[0])


def _negative_constant(node: Node) -> Node | None:
    """`x + -3` is `x - 3`, `x - -3` is `x + 3`."""
    x, c = node.inputs
    value = uniform(c)
    if value is None or not -1e9 < value < 0 or c.dtype not in ("float32", "int32"):
        return None
    return plain(node, "sub" if node.op == "add" else "add", x, evaluate_node(
        plain(c, "neg", c)))


def _power(node: Node) -> Node | None:
    x, exponent = node.inputs[0], uniform(node.inputs[1])
    if exponent in (2, 3):
        squared = plain(node, "mul", x, x)
        return squared if exponent == 2 else plain(node, "mul", squared, x)
    if exponent == 1:
        return x
    if x.dtype != "float32":
        return None
    if exponent == -1:
        return plain(node, "div", scalar(1.0, "float32"), x)
    names = {0.5: "sqrt", -0.5: "rsqrt"}
    return plain(node, names[exponent], x) if exponent in names else None


def _exact_reciprocal(node: Node) -> Node | None:
    """Division by a power of two is an exact multiplication."""
    x, divisor = node.inputs[0], node.inputs[1]
    if not divisor.is_constant or x.dtype != "float32" or divisor.dtype != "float32":
        return None
    mantissa, exponent = np.frexp(np.abs(divisor.value))
    if not np.all((mantissa == 0.5) & (np.abs(exponent) < 120)):
        return None
    reciprocal = plain(node, "div", scalar(1.0, "float32"), divisor)
    return plain(node, "mul", x, evaluate_node(reciprocal))


def _by_root(node: Node) -> Node | None:
    """`a / sqrt(b)` as `a * rsqrt(b)`, where the root is of fewer elements than `a`."""
    a, root = node.inputs
    if root.op != "sqrt" or not (root.shape != node.shape or uniform(a) == 1):
        return None
    inverse = plain(node, "rsqrt", root.inputs[0])
    return inverse if uniform(a) == 1 else plain(node, "mul", a, inverse.named(root.name))


def _sqrt_of_reciprocal(node: Node) -> Node | None:
    inner = node.inputs[0]
    if inner.op == "div" and uniform(inner.inputs[0]) == 1 and inner.inputs[1].dtype == "float32":
        return plain(node, "rsqrt", inner.inputs[1])
    return None


_JOIN = {("add", "add"): ("add", "add"), ("add", "sub"): ("sub", "add"),
         ("sub", "add"): ("sub", "sub"), ("sub", "sub"): ("add", "sub"),
         ("mul", "mul"): ("mul", "mul"), ("maximum", "maximum"): ("maximum", "maximum"),
         ("minimum", "minimum"): ("minimum", "minimum")}
"""(inner, outer) of `(x inner c) outer d`: how c and d join, and what then joins x with that.

For example `(x - c) + d` is `x - (c - d)`.
"""


def _join_constants(node: Node) -> Node | None:
    """`(x + c) + d` is `x + (c + d)`."""
    inner, d = node.inputs
    if not d.is_constant or (inner.op, node.op) not in _JOIN or not inner.inputs[1].is_constant:
        return None
    x, c = inner.inputs
    if len({x.dtype, c.dtype, d.dtype}) > 1 or x.is_constant:
        return None
    join, outer = _JOIN[inner.op, node.op]
    return plain(node, outer, x, evaluate_node(plain(node, join, c, d)))


# Views

def _composed_transpose(node: Node) -> Node | None:
    inner, perm = node.inputs[0], node.attrs["perm"]
    if perm == tuple(range(len(perm))):
        return inner
    if inner.op == "transpose":
        return plain(node, "transpose", inner.inputs[0],
                     perm=tuple(inner.attrs["perm"][p] for p in perm))
    if moves_only_units(inner.shape, perm):
        return plain(node, "reshape", inner, shape=node.shape)
    return None


def _composed_reshape(node: Node) -> Node | None:
    inner = node.inputs[0]
    if inner.type == node.type:
        return inner
    if inner.op == "reshape":
        return plain(node, "reshape", inner.inputs[0], shape=node.shape)
    return None


def _unchanged(node: Node) -> Node | None:
    return node.inputs[0] if node.inputs[0].type == node.type else None


def _composed_broadcast(node: Node) -> Node | None:
    inner = node.inputs[0]
    if inner.op == "broadcast_to":
        return plain(node, "broadcast_to", inner.inputs[0], shape=node.shape)
    return None


def _nothing_padded(node: Node) -> Node | None:
    amounts = (*node.attrs["low"], *node.attrs["high"])
    return node.inputs[0] if all(same(a, 0) for a in amounts) else None


def _composed_pad(node: Node) -> Node | None:
    """Two paddings with one constant are one."""
    inner = node.inputs[0]
    kinds = {(n.attrs.get("mode", "constant"), n.attrs.get("value", 0.0)) for n in (node, inner)
             } if inner.op == "pad" else set()
    if len(kinds) != 1 or next(iter(kinds))[0] != "constant" or not all(map(_positive, (node,
                                                                                       inner))):
        return None
    both = {side: tuple(a + b for a, b in zip(node.attrs[side], inner.attrs[side], strict=True))
            for side in ("low", "high")}
    return replace(with_inputs(node, inner.inputs, **both), name="")


def _positive(node: Node) -> bool:
    amounts: Sequence[object] = (*node.attrs["low"], *node.attrs["high"])
    return all(isinstance(a, int) and a >= 0 for a in amounts)


def _not_dilated(node: Node) -> Node | None:
    return node.inputs[0] if all(f == 1 for f in node.attrs["factors"]) else None


# The rest

def _same_choice(node: Node) -> Node | None:
    condition, yes, no = node.inputs
    if yes is no:
        return yes
    if uniform(condition) is not None:
        return yes if uniform(condition) else no
    if condition.op == "logical_not":
        return plain(node, "where", condition.inputs[0], no, yes)
    return None


def _reduces_nothing(node: Node) -> Node | None:
    """A sum, product or extreme over axes of size 1 is a reshape."""
    x = node.inputs[0]
    if x.dtype == node.dtype and all(same(x.shape[a], 1) for a in node.attrs["axes"]):
        return plain(node, "reshape", x, shape=node.shape)
    return None


def _cast_twice(node: Node) -> Node | None:
    """A cast from bool or uint8 to a wider dtype loses nothing, so the next one may skip it."""
    inner = node.inputs[0]
    if inner.op != "cast":
        return None
    start = inner.inputs[0]
    exact = (start.dtype in ("bool", "uint8") and inner.dtype in ("int32", "float32"))
    return plain(node, "cast", start, **node.attrs) if exact else None


ZERO, ONE = _neutral(0), _neutral(1)

RULES: dict[str, tuple[Rule, ...]] = {
    "add": (ZERO, _negated_term, _join_constants, _negative_constant),
    "sub": (ZERO, _from_zero, _negated_term, _join_constants, _negative_constant),
    "mul": (ONE, _minus_one, _join_constants),
    "div": (ONE, _exact_reciprocal, _by_root),
    "pow": (_power,),
    "maximum": (_twice_the_same, _neutral(-math.inf), _join_constants),
    "minimum": (_twice_the_same, _neutral(math.inf), _join_constants),
    "logical_and": (_twice_the_same,), "logical_or": (_twice_the_same,),
    "neg": (_undoes_itself,), "logical_not": (_undoes_itself,), "bitwise_not": (_undoes_itself,),
    "abs": (_idempotent, _ignores_sign),
    **dict.fromkeys(("sign", "floor", "ceil", "round", "trunc"), (_idempotent,)),
    "sqrt": (_sqrt_of_reciprocal,),
    "transpose": (_composed_transpose,),
    "reshape": (_composed_reshape,),
    "broadcast_to": (_unchanged, _composed_broadcast),
    "cast": (_unchanged, _cast_twice),
    "pad": (_nothing_padded, _composed_pad),
    "dilate": (_not_dilated,),
    "where": (_same_choice,),
    **dict.fromkeys(("sum", "prod", "max", "min"), (_reduces_nothing,)),
}
"""The identities of each op, tried in order."""
