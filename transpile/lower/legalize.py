"""Kernels for targets without scatter: every element of the result computes itself.

A `Gather` is such a kernel: its axes walk the result row by row, its body ends in one store. A
reduction is one as it stands. A row kernel becomes one that reduces its row for each element, or,
where rows are long, one for each stage with the rows' results in between. Running sums and sorts
have gather forms of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from transpile.errors import UnsupportedError
from transpile.fuse import Group
from transpile.ir.dims import Axis, Dim, axis, product, substitute_axes
from transpile.ir.graph import Node
from transpile.ir.types import TensorType
from transpile.lower.expr import Load, Local
from transpile.lower.formula import formula
from transpile.lower.loops import COMBINE
from transpile.lower.nest import RESULT, Nest, Values, build_nest, map_index
from transpile.lower.rows import RowBuilder
from transpile.lower.stmt import Argument, For, Stmt, Store
from transpile.lower.storage import ROW_MAJOR, Storage
from transpile.lower.walk import map_body
from transpile.lower.walk import parts as parts_of

SHORT_ROW = 64
"""Rows up to this length are reduced again for each of their elements: one pass instead of many."""


LONG_REDUCTION, FEW_ELEMENTS, MOST_PARTS = 256, 2048, 32
"""Reductions from this length on, to at most so many elements, are made in up to so many parts."""


@dataclass(frozen=True)
class Gather:
    """One pass over the elements of `out`.

    Attributes:
        axes: walk the result row by row; their extents' product is its size.
        body: statements for one element; the last one stores it.
        nest: what the body was made from, if it can be scheduled.
        reads: the nodes that `inputs` stand for.
        formula: for the comment.
    """

    axes: tuple[Axis, ...]
    body: tuple[Stmt, ...]
    out: Argument
    inputs: tuple[Argument, ...]
    output: Node
    reads: tuple[Node, ...]
    nest: Nest | None = None
    formula: str = ""


class NotGatherError(UnsupportedError):
    """The group has no gather form: it runs on the CPU."""


def gathers(group: Group, storage: Storage = ROW_MAJOR) -> list[Gather]:
    """The passes of one group, in order; the last one computes its output.

    Args:
        storage: weights in panels of four columns.

    Raises:
        NotGatherError: scans over time, and other routines without a form at one index.
    """
    if group.kind == "rows":
        return row_passes(group)
    if group.kind == "routine":
        return routine_passes(group)
    whole = nest_pass(group.output, group.anchor, frozenset(group.members), storage)
    return in_parts(whole) or [whole]


def values_of(members: frozenset[Node], storage: Storage = ROW_MAJOR) -> Values:
    """Values whose arguments are named a0, a1, ..."""
    count = iter(range(1_000_000))
    return Values(members, lambda _: f"a{next(count)}", storage)


def out_of(node: Node) -> Argument:
    return Argument("out", node.dtype, node.type.size, written=True)


def nest_pass(output: Node, anchor: Node | None, members: frozenset[Node],
              storage: Storage = ROW_MAJOR) -> Gather:
    """A map or a reduction, scheduled later."""
    values = values_of(members, storage)
    nest = build_nest(output, anchor, values, out_of(output), whole_texels=True)
    return Gather(nest.axes, (), nest.out, tuple(values.args.values()), output,
                  tuple(values.args), nest, _formula(output, members))


def in_parts(whole: Gather) -> list[Gather]:
    """A long reduction to few elements as partial ones side by side, and one over these.

    Empty where one pass is as good: a pass keeps a GPU busy if it has elements enough.
    """
    nest = whole.nest
    if nest is None or nest.combine not in COMBINE or len(nest.reds) != 1:
        return []
    red, size = nest.reds[0], whole.output.type.size
    if not isinstance(red.extent, int) or not isinstance(size, int) or size > FEW_ELEMENTS:
        return []
    count = max((d for d in range(1, MOST_PARTS + 1) if red.extent % (4 * d) == 0), default=1)
    if count == 1 or red.extent < LONG_REDUCTION:
        return []
    part, inner = Axis("part", count), Axis(red.name, red.extent // count)
    at = axis(part.name, count)
    change = {red.name: at * inner.extent + axis(inner.name, inner.extent)}
    node = Node("parts", (), TensorType(nest.body.dtype, (count, *whole.output.shape)),
                name=f"{whole.output.name}.parts", where=whole.output.where)
    out = out_of(node)
    first = replace(nest, axes=(part, *nest.axes), reds=(inner,), out=out,
                    body=map_index(nest.body, lambda d: substitute_axes(d, change)),
                    epilogue=Local(RESULT.name, nest.body.dtype),
                    out_index=at * size + nest.out_index)
    parts = Argument("parts", node.dtype, node.type.size)
    last = replace(nest, reds=(part,), body=Load(parts.name, at * size + nest.out_index,
                                                 node.dtype))
    return [_reading(whole, first, node, f"{node.name}: {count} parts of {whole.formula}"),
            _reading(whole, last, whole.output, whole.formula, (parts, node))]


def _reading(whole: Gather, nest: Nest, output: Node, text: str,
             *more: tuple[Argument, Node]) -> Gather:
    """A pass made from another one's nest, with the inputs that it still reads."""
    used = {p.buffer for e in nest.exprs for p in parts_of(e) if isinstance(p, Load)}
    pairs = [(a, n) for a, n in zip(whole.inputs, whole.reads, strict=True) if a.name in used]
    pairs += more
    inputs = tuple(a for a, _ in pairs)
    return Gather(nest.axes, (), nest.out, inputs, output, tuple(n for _, n in pairs),
                  replace(nest, inputs=inputs), text)


def _formula(output: Node, members: frozenset[Node]) -> str:
    return f"{output.name} = {formula(output, members)}"


def row_passes(group: Group) -> list[Gather]:
    """A row kernel: one pass for short rows, else one for each reduction and one at the end."""
    members = frozenset(group.members)
    rows = _Rows(group.output, members, values_of(members), out_of(group.output))
    body = rows.build()
    length = product(rows.cols)
    if not isinstance(length, int) or length > SHORT_ROW:
        return _staged(group, rows.reductions)
    axes, body = peel(body)
    *setup, last = body
    inner, final = peel([last])
    # The loops before have the names of these axes, too.
    own = {a.name: Axis(f"{a.name}Own", a.extent) for a in inner}
    final = substitute_body(final, {name: axis(a.name, a.extent) for name, a in own.items()})
    args = rows.values.args
    return [Gather((*axes, *own.values()), (*setup, *final), rows.out, tuple(args.values()),
                   group.output, tuple(args), None, _formula(group.output, members))]


def _staged(group: Group, reductions: Sequence[Node]) -> list[Gather]:
    """Each reduction on its own; what lies between them is computed where it is read."""
    inner = frozenset(group.members) - set(reductions)
    passes = [nest_pass(r, r, inner | {r}) for r in reductions if r is not group.output]
    anchor = group.output if group.output in reductions else None
    return [*passes, nest_pass(group.output, anchor, inner | {group.output})]


class _Rows(RowBuilder):
    """A row kernel that keeps nothing in its output."""

    def _kept(self, _order: Sequence[Node], _stages: dict[Node, int]) -> Node | None:
        return None


def peel(body: Sequence[Stmt]) -> tuple[tuple[Axis, ...], tuple[Stmt, ...]]:
    """The axes of the perfect loops around a body, and the body."""
    axes: list[Axis] = []
    while len(body) == 1 and isinstance(body[0], For):
        axes.append(body[0].axis)
        body = body[0].body
    return tuple(axes), tuple(body)


def routine_passes(group: Group) -> list[Gather]:
    """Gather forms of routines.

    Raises:
        NotGatherError: the routine has none.
    """
    from transpile.lower.legalize_routines import FORMS
    anchor = group.anchor
    assert anchor is not None
    if anchor.op not in FORMS or len(group.members) > 1:
        raise NotGatherError(f"{anchor.op} has no form at one index", where=str(anchor.where))
    return FORMS[anchor.op](anchor)


def made(output: Node, values: Values, out: Argument, body: Sequence[Stmt]) -> Gather:
    """A pass from statements: loops over the elements around a body that stores one."""
    axes, inner = peel(body)
    return Gather(axes, inner, out, tuple(values.args.values()), output, tuple(values.args),
                  None, _formula(output, frozenset([output])))


def substitute_body(body: Sequence[Stmt], values: Mapping[str, Dim]) -> tuple[Stmt, ...]:
    """A body with loop variables replaced by name, in bounds and stores, too."""
    def change(index: Dim) -> Dim:
        return substitute_axes(index, values)

    def store(stmt: Store) -> Store:
        return replace(stmt, index=change(stmt.index))
    mapped = map_body(body, lambda e: map_index(e, change), store)
    return tuple(_bounds(s, change) for s in mapped)


def _bounds(stmt: Stmt, change: Callable[[Dim], Dim]) -> Stmt:
    if not isinstance(stmt, For):
        return stmt
    return replace(stmt, start=change(stmt.start), stop=change(stmt.stop),
                   body=tuple(_bounds(s, change) for s in stmt.body))
