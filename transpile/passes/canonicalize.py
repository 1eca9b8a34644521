"""One spelling for each thing, so that later passes need to know fewer."""

from __future__ import annotations

from string import ascii_letters

from transpile.ir.graph import Graph, Node
from transpile.ir.types import broadcast
from transpile.ops.contract import parse_equation
from transpile.passes.tools import (
    COMMUTATIVE,
    Uses,
    is_map,
    new_constant,
    plain,
    rewrite,
    with_inputs,
)


def canonicalize(graph: Graph) -> Graph:
    """Constants on the right, equations in one alphabet, broadcasts left to elementwise ops."""
    return rewrite(graph, _rule)


def _rule(node: Node, _uses: Uses) -> Node | None:
    if is_map(node):
        return _implicit_broadcast(node) or _constant_right(node) or _lean_constants(node)
    if node.op == "contract":
        return _sum_first(node) or _contract_order(node)
    if node.op == "reshape" and node.attrs["shape"] != node.shape:
        return with_inputs(node, node.inputs, shape=node.shape)
    return None


def _constant_right(node: Node) -> Node | None:
    """`2 * x` as `x * 2`."""
    if node.op in COMMUTATIVE and node.inputs[0].is_constant and not node.inputs[1].is_constant:
        return with_inputs(node, reversed(node.inputs))
    return None


def _implicit_broadcast(node: Node) -> Node | None:
    """Elementwise operators broadcast by themselves, if another operand has the full shape."""
    for k, operand in enumerate(node.inputs):
        if operand.op == "broadcast_to":
            inputs = (*node.inputs[:k], operand.inputs[0], *node.inputs[k + 1:])
            if broadcast(*(i.shape for i in inputs)) == node.shape:
                return with_inputs(node, inputs)
    return None


def _lean_constants(node: Node) -> Node | None:
    """Constants without leading axes of size 1, where another operand has the full rank."""
    full = any(not i.is_constant and i.type.rank == node.type.rank for i in node.inputs)
    if not full:
        return None
    inputs = [_lean(i) for i in node.inputs]
    same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
    return None if same else with_inputs(node, inputs)


def _lean(operand: Node) -> Node:
    if not operand.is_constant or operand.shape[:1] != (1,):
        return operand
    rank = next((i for i, d in enumerate(operand.shape) if d != 1), operand.type.rank)
    return new_constant(operand.value.reshape(operand.shape[rank:]), operand)


def _sum_first(node: Node) -> Node | None:
    """A label that only one operand has is summed before the product, not inside it."""
    a, b, out = parse_equation(node.attrs["equation"])
    for k, (labels, other) in enumerate(((a, b), (b, a))):
        lone = [i for i, c in enumerate(labels)
                if c not in other + out and labels.count(c) == 1]
        if lone and node.inputs[k].dtype == node.dtype:
            kept = "".join(c for i, c in enumerate(labels) if i not in lone)
            summed = plain(node, "sum", node.inputs[k], axes=tuple(lone), keepdims=False)
            inputs, sides = list(node.inputs), [a, b]
            inputs[k], sides[k] = summed, kept
            return with_inputs(node, inputs, equation=f"{sides[0]},{sides[1]}->{out}")
    return None


def _contract_order(node: Node) -> Node | None:
    """The constant operand second, labels a, b, c, ... in order of appearance."""
    (a, b, out), inputs = parse_equation(node.attrs["equation"]), node.inputs
    if inputs[0].is_constant and not inputs[1].is_constant:
        a, b, inputs = b, a, inputs[::-1]
    order = dict(zip(dict.fromkeys(a + b), ascii_letters, strict=False))
    table = str.maketrans(order)
    equation = f"{a},{b}->{out}".translate(table)
    if equation == node.attrs["equation"] and inputs is node.inputs:
        return None
    return with_inputs(node, inputs, equation=equation)
