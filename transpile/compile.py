"""From a graph to a `Program`: passes, fusion, kernels, and the memory plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from transpile.arrange import Step, arrange
from transpile.fuse import Group
from transpile.ir.dims import Dim, product
from transpile.ir.graph import Graph, Node, all_graphs
from transpile.ir.types import TensorType
from transpile.lower.expansion import over_names
from transpile.lower.expr import Expr
from transpile.lower.formula import formula
from transpile.lower.loops import scheduled
from transpile.lower.nest import Nest, Operand, Values, build_nest
from transpile.lower.routine import RoutineContext
from transpile.lower.rows import build_rows
from transpile.lower.scalar import arithmetic
from transpile.lower.stmt import Argument, For, Kernel, Stmt
from transpile.lower.storage import Storage, is_alias
from transpile.lower.walk import dims_of, own_exprs, rename_buffers, statements
from transpile.naming import with_unique_names
from transpile.ops import registry
from transpile.ops.compact import EXPANSIONS
from transpile.ops.registry import Routine
from transpile.passes import Observer, Pass, run_pipeline
from transpile.passes.compress import Compressed, compress
from transpile.passes.fold_constants import fold_views
from transpile.place import fill_border
from transpile.program import Call, Port, Program
from transpile.regions import Part, apart, build_region, in_place, parts_of, storage_of, tasks
from transpile.signature import Signature
from transpile.targets import TARGETS, Target


def lower_graph(graph: Graph, target: str = "js", observer: Observer | None = None) -> Program:
    """Optimise and lower a traced graph for one target."""
    return lower_all(graph, (target,), observer)[0]


def lower_all(graph: Graph, targets: Sequence[str], observer: Observer | None = None
              ) -> tuple[Program, ...]:
    """Optimise and lower a traced graph for several targets, given from slow to fast."""
    return lower_compressed(compress(run_pipeline(graph, observer)[0]), targets, observer)


def lower_compressed(stored: Compressed, targets: Sequence[str],
                     observer: Observer | None = None, *, reuse: bool = False,
                     without: Sequence[str] = (), lasting: Container[str] = ()
                     ) -> tuple[Program, ...]:
    """Lower an optimised graph for several targets, given from slow to fast.

    All CPU targets share what the fastest of them wants: its passes, the layout of weights, and so
    the groups, buffers and memory plan. Their programs differ in kernels only. A GPU takes its
    weights from their memory as they have expanded them.

    Args:
        reuse: a run may overwrite what only the preparation of weights reads, unless a GPU takes
            weights from this memory.
        without: passes of the targets that are left out, by name.
        lasting: inputs whose memory nothing else uses.
    """
    wanted = [TARGETS[t] for t in targets]
    fastest = next((t for t in reversed(wanted) if t.cpu), None)
    shared = not all(t.cpu for t in wanted)
    graphs: dict[str, Graph] = {}  # by the target whose passes they went through
    programs = []
    for target in wanted:
        lead = fastest if fastest and target.cpu else target
        if lead.name not in graphs:
            graphs[lead.name] = own_passes(stored.graph if target.cpu else stored.rounded, lead,
                                           observer, without, shared=shared)
        programs.append(lower_optimised(graphs[lead.name], target, lead, shared=shared,
                                        reuse=reuse and not shared, lasting=lasting))
    return tuple(programs)


def own_passes(graph: Graph, lead: Target, observer: Observer | None = None,
               without: Sequence[str] = (), *, shared: bool = False) -> Graph:
    """A graph after a target's own passes, with names for all nodes.

    Args:
        shared: others read weights from this memory, so these stay as they are there.
    """
    passes = [p for p in lead.passes if p.name not in without]
    if not shared:
        passes.append(Pass("views", fold_views, once=True))
    return with_unique_names(apart(run_pipeline(graph, observer, passes=passes)[0]))


def lower_optimised(graph: Graph, target: Target, lead: Target, *, reuse: bool = False,
                    shared: bool = False, lasting: Container[str] = ()) -> Program:
    """Lower what `own_passes` gives: fusion, kernels, memory plan.

    Args:
        lead: whose passes these were, and whose panels the weights lie in.
        reuse, lasting: see `lower_compressed`.
        shared: others read weights from this memory, so all of them are expanded there.
    """
    whole = {n for one in all_graphs(graph) for n in one.nodes if shared and n.op in EXPANSIONS}
    part = parts_of(graph, whole) if target.cpu else Part(graph, [])  # others plan their own memory
    builder = _Builder(target, storage_of(part, panels_of(part, lead)))
    builder.build(part)
    return _assemble(graph, target, builder, reuse=reuse, lasting=lasting)


@dataclass
class _Builder:
    """Collects kernels, one for each shape of computation, and the calls of them."""

    target: Target
    storage: Storage
    kernels: dict[Kernel, Kernel] = field(default_factory=dict)
    lowered: dict[Hashable, tuple[Kernel, Kernel, tuple[int, ...]]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    prepared: set[Node] = field(default_factory=set)

    def add(self, group: Group) -> None:
        root = self.storage.root
        if group.output.op == "concat" and all(self.storage.inside(i, group.output)
                                               for i in group.output.inputs):
            return
        kernel, known, nodes, sizes = self._lowered(group)
        reads, output = tuple(map(root, nodes)), root(group.output)
        scratches = [(f"{group.output.name}.{a.name}", TensorType(a.dtype, (a.size,)))
                     for a in kernel.args[len(nodes) + 1:]]
        args = (*(n.name for n in (*reads, output)), *(name for name, _ in scratches))
        call = Call(known.name, args, group.output.name, kernel.formula, kernel.where, sizes)
        fixed = len(sizes) == len(kernel.dims) and not output.type.names
        at_load = fixed and output is group.output and not self._is_filled(group) and all(
            n.is_constant or n in self.prepared for n in reads)
        if at_load:
            self.prepared.add(output)
        self.steps.append(Step(call, (output,), reads, at_load, tuple(scratches)))

    def _lowered(self, group: Group) -> tuple[Kernel, Kernel, tuple[Node, ...], Mapping[str, int]]:
        """The group's kernel, an equal one that came first, the nodes it reads, and its sizes."""
        signature = Signature(group, self.storage)
        if equal := self.lowered.get(signature.key):
            twin, known, numbers = equal
            return described(twin, group), known, signature.nodes_of(numbers), {}
        kernel, nodes, sizes = self._kernel(group)
        known = self.kernels.setdefault(anonymous(kernel), kernel)
        if not sizes:
            self.lowered[signature.key] = kernel, known, signature.numbers_of(nodes)
        return kernel, known, nodes, sizes

    def build(self, part: Part) -> None:
        """The steps of a graph and of all that is inside it."""
        for group in part.groups:
            if group.kind == "region":
                build_region(self, part, group.output)
            else:
                self.add(group)

    def _kernel(self, group: Group) -> tuple[Kernel, tuple[Node, ...], Mapping[str, int]]:
        """The kernel, the nodes it reads, and the values of sizes that are this call's alone."""
        general = over_names(group.output, self.storage) if len(group.members) == 1 else None
        if general is None:
            return *build_kernel(group, self.target, self.storage), {}
        twin, sizes = general
        kernel, reads = build_kernel(Group(twin, members={twin}), self.target, Storage())
        own = dict(zip(twin.inputs, group.output.inputs, strict=True))
        return kernel, tuple(own[n] for n in reads), {d: sizes[d] for d in kernel.dims}

    def _is_filled(self, group: Group) -> bool:
        """True for a pad whose inside another call stores."""
        return group.output.op == "pad" and self.storage.inside(group.output.inputs[0],
                                                                group.output)


def anonymous(kernel: Kernel) -> Kernel:
    """The kernel with its name and its arguments' names taken away, to find equal ones."""
    change = {a.name: f"@{i}" for i, a in enumerate(kernel.args)}
    args = tuple(replace(a, name=change[a.name]) for a in kernel.args)
    return replace(kernel, name="", args=args, body=rename_buffers(kernel.body, change))


def panels_of(part: Part, target: Target) -> dict[Node, int]:
    """The weights that only contractions read, by columns: those are stored in panels."""
    result: dict[Node, int] = {}
    parts = list(part.all())
    anchors = [g.anchor for p in parts for g in p.groups if g.anchor is not None]
    fixed = {n for p in parts for n in _made_of_constants(p.graph)}
    users: dict[Node, list[Node]] = defaultdict(list)
    for p in parts:  # a constant may lie in several graphs
        for n, of in p.graph.users.items():
            users[n] += of
    for anchor in anchors:
        weight = _columns_of(anchor)
        if weight is None or weight not in fixed or is_alias(weight) or any(
                u not in anchors or _columns_of(u) is not weight for u in users[weight]):
            continue
        rows = registry.get(anchor.op).columns.rows(anchor)
        width = target.panel(weight.shape[-1], rows)
        if width:
            result[weight] = width
            if weight.op in (*EXPANSIONS, "widen_int8"):  # what it is made of, in the same order
                result.update((n, width) for n in weight.inputs if len(users[n]) == 1 and (
                    n.shape == weight.shape or weight.op == "widen_int8"))
    return result


def _columns_of(node: Node) -> Node | None:
    return registry.get(node.op).columns.operand(node)


def _made_of_constants(graph: Graph) -> set[Node]:
    fixed: set[Node] = set()
    for node in graph.nodes:
        if node.is_constant or (node.inputs and all(i in fixed for i in node.inputs)):
            fixed.add(node)
    return fixed


def build_kernel(group: Group, target: Target, storage: Storage
                 ) -> tuple[Kernel, tuple[Node, ...]]:
    """One group's kernel, and the nodes that its arguments stand for, the output left out."""
    output = group.output
    names = _ArgNames()
    size = storage.root(output).type.size
    out = Argument(names.fresh("out"), output.dtype, size, written=True)
    values = Values(frozenset(group.members), names, storage)
    scratches: list[Argument] = []
    body, flops = _statements(group, target, values, out, scratches)
    args = (*values.args.values(), out, *scratches)
    kernel = Kernel("", args, tuple(sorted(dims_of(body))), body, "", "", flops,
                    is_parallel(group))
    return described(kernel, group), tuple(values.args)


def described(kernel: Kernel, group: Group) -> Kernel:
    """The kernel with the group's own name, formula and place in the source."""
    output = group.output
    return replace(kernel, name=output.name, where=str(replace(output.where, part_of="")),
                   formula=f"{output.name} = {formula(output, group.members)}")


def is_parallel(group: Group) -> bool:
    """True if every iteration of an outermost loop stores elsewhere and reads what others don't.

    The axes of nests and row kernels are those of the output; routines say so themselves.
    """
    if group.kind != "routine" or group.anchor is None:
        return True
    form = registry.get(group.anchor.op).form
    return isinstance(form, Routine) and form.parallel


class _ArgNames:
    """Short names for a kernel's arguments: the last part of the node's own name."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def fresh(self, base: str) -> str:
        name, count = base, 1
        while name in self.taken:
            count += 1
            name = f"{base}{count}"
        self.taken.add(name)
        return name

    def __call__(self, node: Node) -> str:
        while is_alias(node):
            node = node.inputs[0]
        return self.fresh(node.name.split(".")[-1] or "x")


def _statements(group: Group, target: Target, values: Values, out: Argument,
                scratches: list[Argument]) -> tuple[tuple[Stmt, ...], Dim]:
    output = group.output
    if output.op == "pad" and values.storage.inside(output.inputs[0], output):
        return fill_border(output, values.storage, out), 0
    if group.kind == "rows":
        body = build_rows(output, frozenset(group.members), values, out)
        return body, _count(body)
    if group.kind == "routine":
        anchor = group.anchor
        assert anchor is not None
        form = registry.get(anchor.op).form
        assert isinstance(form, Routine)
        operands = [Operand(values, n) for n in anchor.inputs]

        def epilogue(index: Sequence[Dim], value: Expr) -> Expr:
            values.bound[anchor] = lambda _: value
            return values.at(output, tuple(index))
        context = RoutineContext(out, anchor.type, lambda i: values.storage.offset(output, i),
                                 epilogue, in_place=in_place(anchor, values.storage),
                                 schedule=lambda nest: scheduled(nest, target.schedule(nest)))
        body = form.build(context, *operands, **anchor.attrs)
        scratches += context.scratches
        return body, _count(body)
    nest = build_nest(output, group.anchor, values, out)
    made = (kernel(nest) for kernel in target.kernels)
    body = next((tuple(b) for b in made if b is not None), ())
    return body or scheduled(nest, target.schedule(nest)), _nest_flops(nest)


def _nest_flops(nest: Nest) -> Dim:
    points = product(a.extent for a in nest.axes)
    inner = product(r.extent for r in nest.reds) * (arithmetic(nest.body) + 1)
    return points * ((inner if nest.combine else 0) + arithmetic(nest.epilogue))


def _count(body: Sequence[Stmt]) -> Dim:
    """Arithmetic operations of statements, loops multiplied out."""
    total: Dim = 0
    for stmt in body:
        if isinstance(stmt, For):
            total = total + -(-(stmt.stop - stmt.start) // stmt.step) * _count(stmt.body)
        else:
            inside: Dim = sum(arithmetic(e) for s in statements([stmt]) for e in own_exprs(s))
            total = total + inside
    return total


def _assemble(graph: Graph, target: Target, builder: _Builder, *, reuse: bool,
              lasting: Container[str]) -> Program:
    storage, steps = builder.storage, builder.steps
    found = arrange(graph, steps, storage, reuse=reuse, lasting=lasting)
    return Program(
        graph.name, graph.origin, target.name,
        tuple(Port(n.name, n.type, n.name) for n in graph.inputs),
        tuple(Port(name, n.type, storage.root(n).name) for name, n in graph.outputs),
        graph.dim_names, found.buffers,
        {n.name: stored(n, storage.panels) for n in found.constants},
        tuple(builder.kernels.values()), tasks(s.call for s in steps if not s.at_load),
        found.weight_bytes, found.memory, graph,
        tuple(s.call for s in steps if s.at_load and isinstance(s.call, Call)),
        found.weight_offset, found.passing_bytes, found.load_bytes,
        {n.name: width for n, width in storage.panels.items()})


def stored(node: Node, panels: Mapping[Node, int]) -> np.ndarray:
    """A constant's values in the order in which they lie in memory, without a copy of them."""
    value, width = node.value, panels.get(node)
    if not width:
        return value
    *rows, columns = value.shape
    return np.moveaxis(value.reshape(*rows, columns // width, width), -2, 0)
