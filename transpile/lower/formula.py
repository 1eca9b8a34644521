"""The fused expression of a kernel in the user's terms, for the comment above the function."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from transpile.ir.graph import Node

INFIX = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2), "div": ("/", 2), "contract": ("@", 2),
         "less": ("<", 0), "greater": (">", 0), "less_equal": ("<=", 0),
         "greater_equal": (">=", 0), "equal": ("==", 0), "not_equal": ("!=", 0)}
LONGEST = 90


def formula(output: Node, members: Collection[Node]) -> str:
    """`relu(x @ W1 + b1)`: composites by name, operands outside the kernel by their own."""
    text = _text(output, members, 0)
    return text if len(text) <= LONGEST else text[:LONGEST - 3] + "..."


def _name(node: Node) -> str:
    if node.op == "reshape" and not node.name:
        return _name(node.inputs[0])
    if node.is_constant and node.type.size == 1:
        return f"{np.float32(node.value.reshape(-1)[0].item()):g}"
    return node.name or node.op


def _text(node: Node, members: Collection[Node], level: int) -> str:
    if node not in members:
        return _name(node)
    if node.where.part_of:
        operands: dict[str, None] = {}
        _composite_operands(node, node, members, operands)
        return f"{node.where.part_of}({', '.join(operands)})"
    if node.op in INFIX and len(node.inputs) == 2:
        sign, own = INFIX[node.op]
        left, right = (_text(n, members, own + i) for i, n in enumerate(node.inputs))
        text = f"{left} {sign} {right}"
        return f"({text})" if own < level else text
    return f"{node.op}({', '.join(_text(n, members, 0) for n in node.inputs)})"


def _composite_operands(node: Node, root: Node, members: Collection[Node],
                        found: dict[str, None]) -> None:
    for operand in node.inputs:
        if operand in members and operand.where == root.where:
            _composite_operands(operand, root, members, found)
        elif not (operand.is_constant and not operand.name):
            found.setdefault(_text(operand, members, 0))
