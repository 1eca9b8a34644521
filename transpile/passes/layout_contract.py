"""Contractions take any order of axes: they absorb the transposes around them."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.ir.graph import Node
from transpile.ops.contract import parse_equation
from transpile.passes.layout_reshape import groups
from transpile.passes.tools import Uses, inverse, like, plain, same, with_inputs


def absorb(node: Node, uses: Uses) -> Node | None:
    """Transposes before and after a `contract` become another order of its labels."""
    if node.op == "transpose":
        return _after(node, uses)
    return _before(node) or _flattened(node)


def _after(node: Node, uses: Uses) -> Node | None:
    inner = node.inputs[0]
    if inner.op != "contract" or uses.get(inner, 1) > 1:
        return None
    a, b, out = parse_equation(inner.attrs["equation"])
    turned = "".join(out[p] for p in node.attrs["perm"])
    return like(node, "contract", *inner.inputs, equation=f"{a},{b}->{turned}")


def _before(node: Node) -> Node | None:
    a, b, out = parse_equation(node.attrs["equation"])
    sides, inputs = [a, b], list(node.inputs)
    for k, operand in enumerate(node.inputs):
        if operand.op == "transpose":
            back = inverse(operand.attrs["perm"])
            sides[k] = "".join(sides[k][p] for p in back)
            inputs[k] = operand.inputs[0]
    if tuple(inputs) == node.inputs:
        return None
    return with_inputs(node, inputs, equation=f"{sides[0]},{sides[1]}->{out}")


def _flattened(node: Node) -> Node | None:
    """`reshape(transpose(x)) @ w` as `reshape(x) @ w` with the rows of a constant w reordered."""
    flat, weight = node.inputs
    if flat.op != "reshape" or flat.inputs[0].op != "transpose" or not weight.is_constant:
        return None
    a, b, out = parse_equation(node.attrs["equation"])
    view = flat.inputs[0]
    x, perm = view.inputs[0], view.attrs["perm"]
    blocks = groups(view.shape, flat.shape)
    sources = [sorted(perm[i] for i in before) for before, _ in blocks]
    neighbours = all(s == list(range(s[0], s[0] + len(s))) for s in sources if s)
    if not neighbours or len(set(b)) != len(b):
        return None
    for (before, after), source in zip(blocks, sources, strict=True):
        order = [perm[i] for i in before]
        if order == source:
            continue
        labels = [a[i] for i in after if not same(flat.shape[i], 1)]
        if len(labels) != 1 or labels[0] in out or labels[0] not in b:
            return None
        sizes = [view.shape[i] for i in before]
        if not all(isinstance(d, int) for d in sizes):
            return None
        weight = _reordered(weight, b.index(labels[0]), sizes,
                            [order.index(s) for s in source])
    ranks = sorted(range(len(blocks)), key=lambda g: sources[g][0] if sources[g] else -1)
    axes = [i for g in ranks for i in blocks[g][1]]
    moved = plain(flat, "reshape", x, shape=tuple(flat.shape[i] for i in axes)).named(flat.name)
    equation = f"{''.join(a[i] for i in axes)},{b}->{out}"
    return with_inputs(node, (moved, weight), equation=equation)


def _reordered(weight: Node, axis: int, sizes: Sequence[int], order: Sequence[int]) -> Node:
    """`weight` with one axis split into `sizes`, these permuted and merged again."""
    head, tail = weight.shape[:axis], weight.shape[axis + 1:]
    split = plain(weight, "reshape", weight, shape=(*head, *sizes, *tail))
    middle = tuple(axis + i for i in order)
    rest = tuple(range(axis + len(sizes), len(sizes) + weight.type.rank - 1))
    turned = plain(weight, "transpose", split, perm=(*range(axis), *middle, *rest))
    return plain(weight, "reshape", turned, shape=weight.shape)


