"""How a transpose passes a reshape that keeps blocks of its axes together."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.ir.dims import Dim, product
from transpile.ir.graph import Node
from transpile.passes.tools import plain, same

Group = tuple[tuple[int, ...], tuple[int, ...]]


def groups(before: Sequence[Dim], after: Sequence[Dim]) -> list[Group]:
    """Runs of axes of `before` and `after` with equal sizes in all, as short as possible.

    Axes of size 1 belong to the group on their left, the first ones to the first group.
    """
    result: list[Group] = []
    i = j = 0
    while i < len(before) or j < len(after):
        end = next(((m, n) for m in range(i + 1, len(before) + 1)
                    for n in range(j + 1, len(after) + 1)
                    if same(product(before[i:m]), product(after[j:n]))), None)
        m, n = end or (len(before), len(after))
        while m < len(before) and same(before[m], 1):
            m += 1
        while n < len(after) and same(after[n], 1):
            n += 1
        result.append((tuple(range(i, m)), tuple(range(j, n))))
        i, j = m, n
    return result


def sink_through_reshape(node: Node, view: Node) -> Node | None:
    """`reshape(transpose(x))` as `transpose(reshape(x))`, if axes that merge are neighbours in x.

    Splitting an axis, as for groups of channels, is the same backwards.
    """
    perm, x = view.attrs["perm"], view.inputs[0]
    blocks = groups(view.shape, node.shape)
    if len(blocks) < 2:
        return None
    sources = [_source_axes(view, perm, before) for before, _ in blocks]
    if any(s != list(range(s[0], s[0] + len(s))) for s in sources if s):
        return None
    order = sorted(range(len(blocks)), key=lambda g: sources[g][0] if sources[g] else -1)
    shape = tuple(node.shape[a] for g in order for a in blocks[g][1])
    flat = [a for g in order for a in blocks[g][1]]
    moved = plain(node, "reshape", x, shape=shape).named(node.name)
    return plain(node, "transpose", moved, perm=tuple(flat.index(a) for a in range(len(flat))))


def _source_axes(view: Node, perm: Sequence[int], axes: Sequence[int]) -> list[int]:
    """The axes of the transpose's operand that make a group; those of size 1 do not matter."""
    return _compact(view, [perm[a] for a in axes if not same(view.shape[a], 1)])


def _compact(view: Node, axes: list[int]) -> list[int]:
    """`axes` renumbered among those whose size is not 1."""
    kept = [i for i, d in enumerate(view.inputs[0].shape) if not same(d, 1)]
    return [kept.index(a) for a in axes]
