"""Branches and loops on the way to a program: whose memory is whose, and what is copied when.

What goes into the graphs inside lies where it lies outside. The two sides of a branch store their
results in the same memory. A loop's states have memory of their own, into which their first values
are copied before it and their next ones at the end of a trip, where they are not made there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from transpile.arrange import Mark, Step
from transpile.fuse import Group, fuse
from transpile.ir.graph import Graph, Node, map_graphs
from transpile.lower.storage import ROW_MAJOR, Place, Storage
from transpile.ops.control import ENDLESS
from transpile.ops.registry import make
from transpile.passes.tools import is_map
from transpile.place import place
from transpile.program import Branch, Call, Repeat, Task


@dataclass(frozen=True)
class Part:
    """A graph's groups in order, and the parts inside its branches and loops."""

    graph: Graph
    groups: Sequence[Group]
    inner: Mapping[Node, tuple[Part, ...]] = field(default_factory=dict)

    def all(self) -> Iterator[Part]:
        """This part and those inside."""
        yield self
        for parts in self.inner.values():
            for part in parts:
                yield from part.all()

    def results(self, region: Node) -> dict[int, list[Node]]:
        """The nodes that stand for each result of a branch or loop."""
        found: dict[int, list[Node]] = {}
        for user in dict.fromkeys(self.graph.users[region]):
            found.setdefault(user.attrs["index"], []).append(user)
        return found


def sides(region: Node) -> tuple[Graph, ...]:
    """The graphs inside: what is done if true and if false, or the loop's body."""
    keys = ("then", "otherwise") if region.op == "branch" else ("body",)
    return tuple(region.attrs[key] for key in keys)


def parts_of(graph: Graph, whole: Set[Node]) -> Part:
    """Fuse a graph and those inside; `whole` are nodes that must lie in memory."""
    groups = fuse(graph, whole)
    return Part(graph, groups, {g.output: tuple(parts_of(s, whole) for s in sides(g.output))
                                for g in groups if g.kind == "region"})


def apart(graph: Graph) -> Graph:
    """Give what leaves a graph inside a place of its own, where it is not computed there.

    Of a loop, that is a state that becomes another one's next value: it would be overwritten. Of a
    branch it is all that both sides cannot simply store in the same memory.
    """
    return map_graphs(graph, lambda one: one.rewrite(_apart))


def _apart(node: Node) -> Node | None:
    if node.op == "branch":
        changed = {key: _with_copies(node.attrs[key], _side_copies(node.attrs[key]))
                   for key in ("then", "otherwise")}
    elif node.op == "loop":
        body = node.attrs["body"]
        changed = {"body": _with_copies(body, _body_copies(body, node.attrs["carried"]))}
    else:
        return None
    if all(changed[key] is node.attrs[key] for key in changed):
        return None
    return replace(node, attrs=MappingProxyType({**node.attrs, **changed}))


def _side_copies(graph: Graph) -> Iterator[bool]:
    taken: set[Node] = set()
    for _, node in graph.outputs:
        root = ROW_MAJOR.root(node)
        of_loop = root.op == "result" and root.inputs[0].op == "loop"
        yield root.op in ("input", "constant") or of_loop or root in taken
        taken.add(root)


def _body_copies(body: Graph, count: int) -> Iterator[bool]:
    states = body.inputs[1:count + 1]
    for state, (_, node) in zip(states, body.outputs, strict=True):
        root = ROW_MAJOR.root(node)
        yield root in states and root is not state


def _with_copies(graph: Graph, wanted: Iterable[bool]) -> Graph:
    outputs = [(name, make("copy", n, where=n.where, label=n.name) if copied else n)
               for (name, n), copied in zip(graph.outputs, wanted, strict=True)]
    same = all(a is b for (_, a), (_, b) in zip(outputs, graph.outputs, strict=True))
    return graph if same else replace(graph, outputs=tuple(outputs))


def storage_of(part: Part, panels: Mapping[Node, int]) -> Storage:
    """Where everything lies, in a graph and in those inside."""
    places: dict[Node, Place] = {}
    for one in part.all():
        places.update(place(one.groups, one.graph))
    storage = Storage(panels, places)
    for one in part.all():
        for region in one.inner:
            (_branch_homes if region.op == "branch" else _loop_homes)(one, region, storage)
    return storage


def _branch_homes(part: Part, region: Node, storage: Storage) -> None:
    homes, results = storage.homes, part.results(region)
    homes[region] = region.inputs[0]
    for nodes in results.values():
        homes.update(dict.fromkeys(nodes[1:], nodes[0]))
    for side in sides(region):
        homes.update(zip(side.inputs, region.inputs[1:], strict=True))
        for index, (_, node) in enumerate(side.outputs):
            if index in results:
                homes[ROW_MAJOR.root(node)] = results[index][0]


def _loop_homes(part: Part, region: Node, storage: Storage) -> None:
    homes, (body,) = storage.homes, part.inner[region]
    count, inputs = region.attrs["carried"], body.graph.inputs
    homes[inputs[0]] = region
    homes.update(zip(inputs[count + 1:], region.inputs[count + 1:], strict=True))
    for index, nodes in part.results(region).items():
        homes.update(dict.fromkeys(nodes, inputs[1 + index]))
    made = {g.output for g in part.groups if g.kind != "region"}
    outputs = {n for _, n in part.graph.outputs}
    for first, state, (_, node) in zip(region.inputs[1:], inputs[1:], body.graph.outputs,
                                       strict=False):
        if made_in_place(body, state, node):
            homes[node] = state
        if first in made - outputs and part.graph.users[first] == (region,):
            homes[first] = state


def made_in_place(body: Part, state: Node, node: Node) -> bool:
    """True if a state's next value may overwrite it: nothing reads the old one afterwards, and
    the kernel reads each element just before it stores there."""
    groups = body.groups
    at = next((k for k, g in enumerate(groups) if g.output is node), None)
    if at is None or sum(n is node for _, n in body.graph.outputs) > 1 or any(
            ROW_MAJOR.root(i) is state for g in groups[at + 1:] for i in g.inputs):
        return False
    group = groups[at]
    if group.kind == "region":
        return False
    readers = [m for m in group.members if any(ROW_MAJOR.root(i) is state for i in m.inputs)]
    if not readers:
        return True
    if node.op == "scatter_nd":
        return readers == [node] and node.inputs[0] is state and not any(
            ROW_MAJOR.root(i) is state for i in node.inputs[1:])
    return all(is_map(m) and m.shape == state.shape for m in group.members) and all(
        i is state for m in readers for i in m.inputs if ROW_MAJOR.root(i) is state)


def in_place(node: Node, storage: Storage) -> bool:
    """True if the first operand lies in the result's memory."""
    return bool(node.inputs) and node.op == "scatter_nd" and (
        storage.root(node) is storage.root(node.inputs[0]))


class Builder(Protocol):
    """What `compile.py` collects steps with."""

    storage: Storage
    steps: list[Step]

    def add(self, group: Group) -> None: ...

    def build(self, part: Part) -> None: ...


def build_region(builder: Builder, part: Part, region: Node) -> None:
    """The steps of a branch or loop, between marks."""
    (_build_branch if region.op == "branch" else _build_loop)(builder, part, region)


def _build_branch(builder: Builder, part: Part, region: Node) -> None:
    root, steps = builder.storage.root, builder.steps
    results = tuple(nodes[0] for _, nodes in sorted(part.results(region).items()))
    homes = tuple(map(root, results))
    condition = root(region)
    named = tuple((n.name, h.name) for n, h in zip(results, homes, strict=True))
    steps.append(_mark(Mark(Branch(condition.name, named)), homes, (condition,)))
    then, otherwise = part.inner[region]
    builder.build(then)
    steps.append(_mark(Mark(), (), ()))
    builder.build(otherwise)
    steps.append(_mark(Mark(ends=True), (), homes))


def _build_loop(builder: Builder, part: Part, region: Node) -> None:
    root, steps = builder.storage.root, builder.steps
    (body,) = part.inner[region]
    states = body.graph.inputs[1:region.attrs["carried"] + 1]
    nexts = [n for _, n in body.graph.outputs]
    first = region.inputs[1:]
    always = all(n.is_constant and n.value.all() for n in (first[0], nexts[0]))
    unread = always and not body.graph.users[states[0]] and 0 not in part.results(region)
    kept = [k for k in range(len(states)) if k or not unread]
    for k in kept:
        if root(first[k]) is not states[k]:
            _copy(builder, first[k], states[k], "at first")
    limit = root(region.inputs[0])
    bound = int(limit.value.reshape(-1)[0]) if limit.is_constant else limit.name
    named = tuple((nodes[0].name, states[k].name) for k, nodes in
                  sorted(part.results(region).items()))
    task = Repeat(region.name, None if bound == ENDLESS else bound,
                  None if always else states[0].name, named)
    reads = (*(() if limit.is_constant else (limit,)), *(() if always else states[:1]))
    begin = len(steps)
    steps.append(_mark(Mark(task), (region,), reads))
    builder.build(body)
    for k in kept:
        if root(nexts[k]) is not states[k]:
            _copy(builder, nexts[k], states[k], "next")
    # What a later trip reads again must last until the end.
    made = {n for s in steps[begin + 1:] if not s.at_load for n in s.outputs} - {*states}
    read = dict.fromkeys(n for s in steps[begin:] if not s.at_load for n in s.reads
                         if n not in made)
    steps.append(_mark(Mark(ends=True), (), (*read, region, *(states[k] for k in kept))))


def _mark(mark: Mark, outputs: Sequence[Node], reads: Sequence[Node]) -> Step:
    return Step(mark, tuple(outputs), tuple(reads), False)


def _copy(builder: Builder, value: Node, state: Node, when: str) -> None:
    node = make("copy", value, where=value.where, label=f"{state.name} {when}")
    builder.storage.homes[node] = state
    builder.add(Group(node, members={node}))


def tasks(marked: Iterable[Call | Mark]) -> tuple[Task, ...]:
    """Calls between marks as branches and loops."""
    stack: list[tuple[Any, list[list[Task]]]] = [(None, [[]])]
    for one in marked:
        if isinstance(one, Call):
            stack[-1][1][-1].append(one)
        elif one.ends:
            task, found = stack.pop()
            lists = tuple(map(tuple, found))
            stack[-1][1][-1].append(
                replace(task, body=lists[0]) if isinstance(task, Repeat)
                else replace(task, then=lists[0], otherwise=lists[1]))
        elif one.task is None:
            stack[-1][1].append([])
        else:
            stack.append((one.task, [[]]))
    return tuple(stack[0][1][0])
