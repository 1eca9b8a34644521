"""Row kernels: softmax, norms, and whatever else reduces rows and goes on with the results.

A row kernel walks the row once per stage. A stage computes every reduction whose operands are
known by then; the last stage stores. What is dear (an exponential) and needed again later is kept
in the output buffer in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from transpile.errors import InternalError
from transpile.ir.dims import Axis, Dim, axis
from transpile.ir.graph import Node, topological
from transpile.lower.expr import Expr, Load, Local
from transpile.lower.loops import combine_expr, identity
from transpile.lower.merge import merge_loops
from transpile.lower.nest import Values
from transpile.lower.scalar import SCALARS
from transpile.lower.share import share
from transpile.lower.stmt import Argument, Assign, Declare, For, Let, Stmt, Store
from transpile.ops import registry
from transpile.ops.registry import Reduction

DEAR = 20
"""An expression of this cost is kept rather than computed again in a later stage."""


class NotRowsError(Exception):
    """The group does not have the form of a row kernel."""


def is_row_reduction(node: Node) -> bool:
    """True for a plain reduction over the trailing axes of its operand."""
    form = registry.get(node.op).form
    if not isinstance(form, Reduction) or "axes" not in node.attrs:
        return False
    rank, axes = node.inputs[0].type.rank, node.attrs["axes"]
    return len(axes) > 0 and tuple(axes) == tuple(range(rank - len(axes), rank))


def row_shape(node: Node) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    """The row part and the column part of what a row reduction reads."""
    split = node.inputs[0].type.rank - len(node.attrs["axes"])
    shape = node.inputs[0].shape
    return shape[:split], shape[split:]


@dataclass
class RowBuilder:
    """Builds the statements of one row kernel.

    Attributes:
        output: the last node of the group; of full shape, or one value per row.
        reductions: the row reductions among the members.
    """

    output: Node
    members: frozenset[Node]
    values: Values
    out: Argument
    reductions: list[Node] = field(default_factory=list)

    def build(self) -> tuple[Stmt, ...]:
        order = [n for n in topological([self.output]) if n in self.members]
        self.reductions = [n for n in order if is_row_reduction(n)]
        rows, cols = row_shape(self.reductions[0])
        self.cols = cols
        self.row_axes = [Axis(f"r{i}" if len(rows) > 1 else "row", d) for i, d in enumerate(rows)]
        self.row_index = tuple(axis(a.name, a.extent) for a in self.row_axes)
        names = ("col",) if len(cols) == 1 else tuple(f"c{i}" for i in range(len(cols)))
        self.col_axes = [Axis(n, d) for n, d in zip(names, cols, strict=True)]
        self.col_index = tuple(axis(a.name, a.extent) for a in self.col_axes)
        body: list[Stmt] = []
        stages = self._stages(order)
        kept = self._kept(order, stages)
        for stage in range(max(stages[r] for r in self.reductions) + 1):
            body += self._stage([r for r in self.reductions if stages[r] == stage], kept)
            if kept is not None and kept in self.values.bound:
                self._load_kept(kept)
        body += self._final()
        return merge_loops(self._wrap(self.row_axes, body))

    def _stages(self, order: Sequence[Node]) -> dict[Node, int]:
        """For each member the number of passes over the row that must come before it."""
        stages: dict[Node, int] = {}
        for node in order:
            stage = max((stages[i] for i in node.inputs if i in stages), default=0)
            bump = any(i in self.reductions for i in node.inputs)
            below = max((stages[i] + 1 for i in node.inputs if i in self.reductions), default=0)
            stages[node] = max(stage, below) if bump else stage
        return stages

    def _kept(self, order: Sequence[Node], stages: dict[Node, int]) -> Node | None:
        """The dear value of full shape that an earlier stage and the last one both need."""
        if self.output.dtype != "float32" or self.output.type.size != self._full_size():
            return None
        last = stages[self.output]
        for node in order:
            users = [n for n in order if node in n.inputs]
            early = any(u in self.reductions and stages[u] < last for u in users)
            late = any(u not in self.reductions for u in users)
            if (early and late and node.shape == self.output.shape and node.dtype == "float32"
                    and node is not self.output
                    and cost_of(node, self.members, self.reductions) >= DEAR):
                return node
        return None

    def _full_size(self) -> Dim:
        return self.reductions[0].inputs[0].type.size

    def _stage(self, reductions: Sequence[Node], kept: Node | None) -> list[Stmt]:
        result: list[Stmt] = []
        inner: list[Stmt] = []
        for node in reductions:
            if kept is not None and kept in node.inputs and kept not in self.values.bound:
                inner += self._keep(kept)
            form = registry.get(node.op).form
            assert isinstance(form, Reduction)
            if row_shape(node)[1] != self.cols:
                raise NotRowsError
            value = self.values.reduction_body(node, self._own_index(node), self.col_index)
            local = Local(self._local_name(node), value.dtype)
            result.append(Declare(local.name, identity(form.combine, value.dtype)))
            inner.append(Assign(local.name, combine_expr(form.combine, local, value)))
            self._bind_row_value(node, local)
        loops = self._wrap(self.col_axes, share(inner))
        return [*result, *loops]

    def _keep(self, node: Node) -> list[Stmt]:
        index = (*self.row_index, *self.col_index)
        value = self.values.at(node, index)
        self.values.bound[node] = lambda _: Local("kept")
        return [Let("kept", value), Store(self.out.name, self._offset(index), Local("kept"))]

    def _load_kept(self, node: Node) -> None:
        self.values.bound[node] = lambda index: Load(self.out.name, self._offset(index))

    def _offset(self, index: tuple[Dim, ...]) -> Dim:
        return self.values.storage.offset(self.output, index)

    def _bind_row_value(self, node: Node, local: Local) -> None:
        expected = self._own_index(node)

        def value(index: tuple[Dim, ...]) -> Expr:
            if index != expected:
                raise NotRowsError
            return local
        self.values.bound[node] = value

    def _own_index(self, node: Node) -> tuple[Dim, ...]:
        ones = node.type.rank - len(self.row_index)
        return (*self.row_index, *(0,) * ones)

    def _local_name(self, node: Node) -> str:
        combines = [_combine(n) for n in self.reductions]
        combine = _combine(node)
        if combines.count(combine) == 1:
            return combine
        return f"{combine}_{combines[:self.reductions.index(node)].count(combine)}"

    def _final(self) -> list[Stmt]:
        full = self.output.type.size == self._full_size() and (
            self.output.type.rank == len(self.row_index) + len(self.col_index))
        index = (*self.row_index, *self.col_index) if full else self._own_index(self.output)
        if len(index) != self.output.type.rank:
            raise NotRowsError
        value = self.values.at(self.output, index)
        store = Store(self.out.name, self._offset(index), value)
        if not full:
            return list(share([store]))
        return list(self._wrap(self.col_axes, share([store])))

    def _wrap(self, axes: Sequence[Axis], body: Sequence[Stmt]) -> tuple[Stmt, ...]:
        result = tuple(body)
        for a in reversed(axes):
            if a.extent != 1:
                result = (For(a, result, 0, a.extent),)
        return result


def _combine(node: Node) -> str:
    form = registry.get(node.op).form
    assert isinstance(form, Reduction)
    return form.combine


def cost_of(node: Node, members: frozenset[Node], known: Sequence[Node]) -> int:
    """Rough work to compute one element of `node` again, row results being known."""
    if node not in members or node in known:
        return 0
    own = SCALARS[node.op].cost if node.op in SCALARS else 1
    return own + sum(cost_of(i, members, known) for i in node.inputs)


def build_rows(output: Node, members: frozenset[Node], values: Values, out: Argument
               ) -> tuple[Stmt, ...]:
    """The statements of a row kernel; NotRowsError if the group has another form."""
    try:
        return RowBuilder(output, members, values, out).build()
    except AssertionError as error:
        raise InternalError(f"row kernel for {output!r}", why=str(error)) from error

