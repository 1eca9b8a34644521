"""Fusion: the graph becomes groups, each of which will be one kernel.

A group is one stored node and all that is computed on the way to it: an elementwise chain, or one
anchor (reduction, contraction, routine) with its prologue and epilogue, or a row kernel with
several reductions over one row. Groups grow from the stored node towards the operands; a node
joins only if every use of it lies in the group, so nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import Literal

from transpile.ir.control import REGIONS
from transpile.ir.dims import Dim
from transpile.ir.graph import Graph, Node
from transpile.lower.nest import Values
from transpile.lower.rows import NotRowsError, build_rows, is_row_reduction, row_shape
from transpile.lower.scalar import SCALARS
from transpile.lower.stmt import Argument
from transpile.lower.storage import ROW_MAJOR, is_alias
from transpile.ops import registry
from transpile.ops.compact import EXPANSIONS
from transpile.ops.registry import Form, Pointwise, Reduction, Routine

GroupKind = Literal["map", "reduce", "rows", "routine", "region"]

CHEAP = 8
"""A producer up to this cost may be computed again for each read of an overlapping window."""


@dataclass
class Group:
    """Nodes that become one kernel.

    Attributes:
        output: the node that the kernel stores.
        anchor: the reduction or routine, if there is one; of a row kernel the last reduction.
        members: every node computed inside, `output` included.
        epilogue: the members that are elementwise on the way from the anchor to the output.
        may_be_rows: False once the row builder has refused the group.
        pads_inside: True where a reduction computes a pad at its operand's edge itself.
    """

    output: Node
    kind: GroupKind = "map"
    anchor: Node | None = None
    members: set[Node] = field(default_factory=set)
    epilogue: set[Node] = field(default_factory=set)
    may_be_rows: bool = True
    pads_inside: bool = False

    @property
    def inputs(self) -> frozenset[Node]:
        """The nodes that the kernel reads."""
        return frozenset(i for n in self.members for i in n.inputs) - self.members


def form_of(node: Node) -> Form:
    return registry.get(node.op).form


def is_stored_elsewhere(node: Node) -> bool:
    return node.op in ("input", "constant", "result")


def fuse(graph: Graph, stored: Set[Node] = frozenset(), *, pads_inside: bool = False
         ) -> list[Group]:
    """The groups of a graph in execution order.

    Args:
        stored: nodes that must lie in memory; the outputs do anyway.
        pads_inside: convolutions and pools choose between the operand and the pad's value at each
            read, for targets where that costs less than a pass over the operand.
    """
    order = list(graph.nodes)
    position = {n: i for i, n in enumerate(order)}
    outputs = {n for _, n in graph.outputs} | stored
    grouped: set[Node] = set()
    groups: list[Group] = []
    for node in reversed(order):
        if node in grouped or is_stored_elsewhere(node):
            continue
        if is_alias(node):
            continue
        if node.op in REGIONS:
            groups.append(Group(node, "region", members={node}))
            continue
        group = _grow(Group(node, pads_inside=pads_inside), graph, outputs, position)
        if group.kind == "rows" and not is_rows(group):
            group = _grow(Group(node, may_be_rows=False, pads_inside=pads_inside), graph, outputs,
                          position)
        grouped |= group.members
        groups.append(group)
    return groups[::-1]


def is_rows(group: Group) -> bool:
    """Whether the row builder can serve the group; index mismatches show only there."""
    values = Values(frozenset(group.members), lambda n: n.name)
    out = Argument("out", group.output.dtype, group.output.type.size, written=True)
    try:
        build_rows(group.output, frozenset(group.members), values, out)
    except NotRowsError:
        return False
    return True


def _grow(group: Group, graph: Graph, outputs: set[Node], position: dict[Node, int]) -> Group:
    """Let an empty group grow from its output."""
    output = group.output
    group.members.add(output)
    form = form_of(output)
    if isinstance(form, Pointwise) and form.kind == "map":
        group.epilogue.add(output)
    _anchor_if_needed(group, output)
    frontier = set(output.inputs)
    while frontier:
        node = max(frontier, key=lambda n: position[n])
        frontier.discard(node)
        if node in group.members or is_stored_elsewhere(node) or node in outputs:
            continue
        if all(u in group.members for u in graph.users[node]) and _joins(group, node, graph):
            group.members.add(node)
            frontier |= set(node.inputs)
    return group


def _anchor_if_needed(group: Group, node: Node) -> None:
    form = form_of(node)
    if isinstance(form, Reduction):
        group.anchor, group.kind = node, "reduce"
    elif isinstance(form, Routine):
        group.anchor, group.kind = node, "routine"


def _joins(group: Group, node: Node, graph: Graph) -> bool:
    """Whether `node`, all of whose users are members, may be computed inside the group."""
    users = graph.users[node]
    form = form_of(node)
    if _has_memory(node, users):
        return False
    if isinstance(form, Routine):
        return form.epilogue and _joins_as_anchor(group, node, users)
    if any(u not in group.epilogue for u in users) and finishes_contraction(node, graph):
        return False
    if group.kind == "rows":
        return _joins_rows(group, node)
    if isinstance(form, Reduction):
        return _joins_as_anchor(group, node, users)
    assert isinstance(form, Pointwise)
    if is_alias(node) and not _is_computed(ROW_MAJOR.root(node)):
        return False
    if group.anchor is not None and any(u not in group.epilogue for u in users):
        return (_joins_prologue(group, node, users)
                or (_could_be_rows(group, node) and _turn_into_rows(group, node)))
    if not _same_work(node, users):
        return False
    if group.anchor is None and node.shape == group.output.shape and form.kind == "map" and all(
            u in group.epilogue for u in users):
        group.epilogue.add(node)
    return True


def _has_memory(node: Node, users: Iterable[Node]) -> bool:
    """True for what is laid out, and for weights expanded at load: only a gather, which reads a
    few of them, expands those itself."""
    return node.op == "copy" or (
        node.op in EXPANSIONS and any(u.op != "take" for u in users))


def _is_computed(node: Node) -> bool:
    """True for an elementwise or view operator: it can be computed wherever it is read."""
    return not is_stored_elsewhere(node) and isinstance(form_of(node), Pointwise)


def _same_work(node: Node, users: Iterable[Node]) -> bool:
    """True if computing `node` where it is read costs no more than computing it once."""
    reads: Dim = sum((u.type.size for u in users), 0)
    return _cost(node) <= CHEAP or reads == node.type.size or _is_smaller(reads, node.type.size)


def _is_smaller(a: Dim, b: Dim) -> bool:
    from transpile.ir.dims import nonnegative
    return nonnegative(b - a)


def _cost(node: Node) -> int:
    return SCALARS[node.op].cost if node.op in SCALARS else 1


def _joins_as_anchor(group: Group, node: Node, users: Iterable[Node]) -> bool:
    users = list(users)
    one_to_one = node.shape == group.output.shape and all(u in group.epilogue for u in users)
    if group.anchor is None and one_to_one and len(users) == 1:
        _anchor_if_needed(group, node)
        return True
    return isinstance(form_of(node), Reduction) and _turn_into_rows(group, node)


def _could_be_rows(group: Group, node: Node) -> bool:
    """True where a reduction's operand is shared with the epilogue, as in x / sum(x)."""
    return group.anchor is not None and is_row_reduction(group.anchor) and (
        node in group.anchor.inputs) and len(group.members) > 1


def _turn_into_rows(group: Group, node: Node) -> bool:
    """Make the group a row kernel if `node` and the anchor so far fit one row."""
    reductions = [n for n in (group.anchor, node) if n is not None and is_row_reduction(n)]
    if not group.may_be_rows or not reductions or (
            group.anchor is not None and not is_row_reduction(group.anchor)):
        return False
    rows, cols = row_shape(reductions[0])
    shapes = _row_shapes(rows, cols)
    fits = (all(row_shape(r) == (rows, cols) for r in reductions)
            and all(m.shape in shapes and _row_member(m) for m in group.members)
            and node.shape in shapes and _row_member(node))
    if fits:
        group.kind = "rows"
        group.anchor = reductions[0]
    return fits


def finishes_contraction(node: Node, graph: Graph) -> bool:
    """True if `node` is elementwise on the result of a contraction that only it reads.

    It belongs into that kernel's epilogue, where the value is still in a register.
    """
    form = form_of(node)
    if not isinstance(form, Pointwise) or form.kind != "map":
        return False
    for operand in node.inputs:
        if is_stored_elsewhere(operand) or operand.shape != node.shape or (
                len(graph.users[operand]) != 1):
            continue
        inner = form_of(operand)
        if getattr(inner, "contraction", False) or getattr(inner, "epilogue", False):
            return True
        if finishes_contraction(operand, graph):
            return True
    return False


def _row_member(node: Node) -> bool:
    form = form_of(node)
    return is_row_reduction(node) or (isinstance(form, Pointwise) and form.kind == "map")


def _row_shapes(rows: tuple[Dim, ...], cols: tuple[Dim, ...]) -> tuple[tuple[Dim, ...], ...]:
    return rows + cols, rows + (1,) * len(cols), rows


def _joins_rows(group: Group, node: Node) -> bool:
    assert group.anchor is not None
    rows, cols = row_shape(group.anchor)
    if not _row_member(node) or node.shape not in _row_shapes(rows, cols):
        return False
    return not is_row_reduction(node) or row_shape(node) == (rows, cols)


def _joins_prologue(group: Group, node: Node, users: Iterable[Node]) -> bool:
    """Whether an elementwise or view producer is computed inside the reduction itself."""
    assert group.anchor is not None
    form, anchor_form = form_of(node), form_of(group.anchor)
    assert isinstance(form, Pointwise)
    if any(u in group.epilogue for u in users) or not isinstance(anchor_form, Reduction):
        return False
    if node.op == "pad" and ("window" in group.anchor.attrs or anchor_form.contraction):
        return group.pads_inside and node.attrs["mode"] == "constant"
    if anchor_form.contraction:
        return form.kind == "view" and node.op in ("transpose", "slice", "broadcast_to")
    if "window" in group.anchor.attrs:
        return False
    return form.kind in ("map", "view") and node.op != "pad"
