"""A `Nest`: one fused group as an iteration space, an expression, and where the result goes.

It is what schedules and hand-scheduled kernels work on: axes, at most one reduction, an epilogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from transpile.ir.dims import (
    Atom,
    Axis,
    Dim,
    Opaque,
    Poly,
    atom,
    atoms,
    axis,
    rebuild,
    substitute_axes,
)
from transpile.ir.graph import Node
from transpile.ir.types import TensorType
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, map_expr
from transpile.lower.stmt import Argument
from transpile.lower.storage import ROW_MAJOR, Storage
from transpile.ops import registry
from transpile.ops.registry import Pointwise, Reduction

RESULT = Local("result")
"""Stands for the reduction's result in an epilogue."""


@dataclass(frozen=True)
class Nest:
    """`out[out_index] = epilogue(combine over reds of body)` for all values of `axes`.

    Attributes:
        combine: as in `Reduction`, or "" where there is none; then `body` is unused.
        epilogue: the value stored; reads `RESULT` if there is a reduction.
    """

    axes: tuple[Axis, ...]
    reds: tuple[Axis, ...]
    combine: str
    body: Expr
    epilogue: Expr
    out: Argument
    out_index: Dim
    inputs: tuple[Argument, ...]

    @property
    def exprs(self) -> tuple[Expr, ...]:
        return (self.body, self.epilogue) if self.combine else (self.epilogue,)

    def indices(self) -> Iterator[Dim]:
        """Every index expression in the nest."""
        yield self.out_index
        for expr in self.exprs:
            yield from indices_of(expr)

    def map_indices(self, change: Callable[[Dim], Dim]) -> Nest:
        return replace(self, body=map_index(self.body, change),
                       epilogue=map_index(self.epilogue, change),
                       out_index=change(self.out_index))


def indices_of(expr: Expr) -> Iterator[Dim]:
    """Every index in an expression, those inside gathered indices included."""
    if isinstance(expr, (Load, Index)):
        yield expr.index
        for a in atoms(expr.index):
            if isinstance(a, Opaque):
                yield from indices_of(a.expr)
    elif isinstance(expr, Call):
        for arg in expr.args:
            yield from indices_of(arg)


def map_index(expr: Expr, change: Callable[[Dim], Dim]) -> Expr:
    """`expr` with every index replaced; gathered indices are rebuilt inside first."""
    def inner(a: object) -> Dim | None:
        if isinstance(a, Opaque) and not isinstance(a.expr, Local):
            return atom(replace(a, expr=map_index(a.expr, change)))
        return None

    def visit(e: Expr) -> Expr | None:
        if isinstance(e, (Load, Index)):
            return replace(e, index=change(rebuild(e.index, inner)))
        return None
    return map_expr(expr, visit)


def substitute_expr(expr: Expr, values: Mapping[str, Dim]) -> Expr:
    """`expr` with loop variables replaced by name."""
    return map_index(expr, lambda d: substitute_axes(d, values))


class Operand:
    """An accessor: a node's type and its value at an index, inside one group."""

    def __init__(self, values: Values, node: Node) -> None:
        self.values, self.node = values, node

    @property
    def type(self) -> TensorType:
        return self.node.type

    @property
    def panel(self) -> int:
        """How many of its columns lie together in memory; 0 for all of them."""
        return self.values.storage.panels.get(self.node, 0)

    def __call__(self, *index: Dim) -> Expr:
        return self.values.at(self.node, index)


class Values:
    """Scalar expressions of nodes at indices: members are computed, all others are loaded.

    Attributes:
        bound: nodes whose value at the current point is known (a reduction's result).
        args: the buffers read so far, by node, in order of first use.
    """

    def __init__(self, members: frozenset[Node], arg_name: Callable[[Node], str],
                 storage: Storage = ROW_MAJOR) -> None:
        self.members, self.arg_name, self.storage = members, arg_name, storage
        self.bound: dict[Node, Callable[[tuple[Dim, ...]], Expr]] = {}
        self.args: dict[Node, Argument] = {}

    def at(self, node: Node, index: tuple[Dim, ...]) -> Expr:
        if node in self.bound:
            return self.bound[node](index)
        if node in self.members:
            form = registry.get(node.op).form
            assert isinstance(form, Pointwise), f"{node.op} cannot be computed at one index"
            return form.at(index, *self.operands(node), **node.attrs)
        if node.is_constant and node.type.size == 1:
            return Const(node.value.reshape(-1)[0].item(), node.dtype)
        return Load(self.argument(node).name, self.storage.offset(node, index), node.dtype)

    def operands(self, node: Node) -> list[Operand]:
        return [Operand(self, n) for n in node.inputs]

    def argument(self, node: Node) -> Argument:
        if node not in self.args:
            size = self.storage.root(node).type.size
            self.args[node] = Argument(self.arg_name(node), node.dtype, size)
        return self.args[node]

    def reduction_body(self, node: Node, index: tuple[Dim, ...], reds: Sequence[Dim]) -> Expr:
        form = registry.get(node.op).form
        assert isinstance(form, Reduction)
        return form.body(index, tuple(reds), *self.operands(node), **node.attrs)


AXIS_NAMES = {1: ("i",), 2: ("row", "col"), 3: ("n", "row", "col"), 4: ("n", "y", "x", "c")}
RED_NAMES = {1: ("k",), 2: ("ky", "kx"), 3: ("ky", "kx", "kc")}


def make_axes(extents: Sequence[Dim], names: Mapping[int, tuple[str, ...]], prefix: str
              ) -> tuple[tuple[Axis, ...], tuple[Dim, ...]]:
    """Loop variables for extents, and the index made of them; a size of 1 needs no loop."""
    chosen = names.get(len(extents)) or tuple(f"{prefix}{n}" for n in range(len(extents)))
    index = tuple(axis(name, extent) for name, extent in zip(chosen, extents, strict=True))
    made = tuple(Axis(name, extent) for name, extent in zip(chosen, extents, strict=True)
                 if extent != 1)
    return made, index


def build_nest(output: Node, anchor: Node | None, values: Values, out: Argument, *,
               whole_texels: bool = False) -> Nest:
    """The nest of a group that ends in `output`; `anchor` is its reduction, of equal shape.

    With `whole_texels`, a reduction over a multiple of four elements stays a loop of its own.
    """
    axes, index = make_axes(output.shape, AXIS_NAMES, "i")
    reds: tuple[Axis, ...] = ()
    combine = ""
    body: Expr = RESULT
    if anchor is not None:
        form = registry.get(anchor.op).form
        assert isinstance(form, Reduction)
        extents = form.extents(*(n.type for n in anchor.inputs), **anchor.attrs)
        reds, red_index = make_axes(extents, RED_NAMES, "k")
        combine = form.combine
        body = values.reduction_body(anchor, index, red_index)
        values.bound[anchor] = lambda _: replace(RESULT, dtype=anchor.dtype)
    epilogue = values.at(output, index)
    nest = Nest(axes, reds, combine, body, epilogue, out, values.storage.offset(output, index),
                tuple(values.args.values()))
    panels = values.storage.panels
    width = next((panels[n] for n in values.args if n in panels), 0)
    if width and not whole_texels and (anchor is not None or output in panels):
        nest = split_last_axis(nest, width)
        if anchor is None:  # panel by panel, as memory lies
            nest = replace(nest, axes=tuple(sorted(nest.axes, key=lambda a: a.name != "panel")))
    nest = nest if reds or combine.startswith("arg") else without_reduction(nest)
    return flatten(nest, whole_texels=whole_texels)


def split_last_axis(nest: Nest, width: int) -> Nest:
    """The last axis as panels of `width` columns and the column in a panel."""
    *rest, last = nest.axes
    assert isinstance(last.extent, int)
    panel, col = Axis("panel", last.extent // width), Axis(last.name, width)
    change = {last.name: axis(panel.name, panel.extent) * width + axis(col.name, width)}
    nest = nest.map_indices(lambda d: substitute_axes(d, change))
    kept = [a for a in (panel, col) if a.extent != 1]
    return replace(nest, axes=(*rest, *kept))


def without_reduction(nest: Nest) -> Nest:
    """A reduction over one element is that element."""
    if not nest.combine:
        return nest
    epilogue = map_expr(nest.epilogue, lambda e: nest.body if isinstance(e, Local)
                        and e.name == RESULT.name else None)
    return replace(nest, combine="", body=RESULT, epilogue=epilogue)


def flatten(nest: Nest, *, whole_texels: bool = False) -> Nest:
    """Merge neighbouring loops wherever every index walks them as one."""
    nest = _flatten_axes(nest, "axes")
    if whole_texels and nest.reds and _is_multiple(nest.reds[-1].extent, 4):
        *others, last = nest.reds
        outer = _flatten_axes(replace(nest, reds=tuple(others)), "reds")
        return replace(outer, reds=(*outer.reds, last))
    # A position that argmax reports must stay a single loop variable as it is.
    return nest if nest.combine.startswith("arg") else _flatten_axes(nest, "reds")


def _is_multiple(extent: Dim, of: int) -> bool:
    return isinstance(extent, int) and extent % of == 0


def _flatten_axes(nest: Nest, field: str) -> Nest:
    axes: list[Axis] = list(getattr(nest, field))
    position = len(axes) - 1
    while position > 0:
        outer, inner = axes[position - 1], axes[position]
        if all(walks_as_one(i, outer, inner) for i in nest.indices()):
            merged = Axis(inner.name, outer.extent * inner.extent)
            change = {outer.name: 0, inner.name: axis(merged.name, merged.extent)}
            nest = nest.map_indices(lambda d, c=change: substitute_axes(d, c))  # type: ignore[misc]
            axes[position - 1:position + 1] = [merged]
        position -= 1
    return replace(nest, **{field: tuple(axes)})  # type: ignore[arg-type]


def walks_as_one(index: Dim, outer: Axis, inner: Axis) -> bool:
    """True if the index depends on both loop variables only as on one that counts through."""
    a, b = coefficient(index, outer), coefficient(index, inner)
    return a is not None and b is not None and a == b * inner.extent


def coefficient(index: Dim, over: Atom) -> Dim | None:
    """The factor of a loop variable or local in an index; None where it is not linear in that."""
    if isinstance(index, int):
        return 0
    total: Dim = 0
    for monomial, coef in index.terms:
        count = sum(a == over for a in monomial)
        if count == 1:
            rest: Dim = Poly((((), coef),))
            for a in monomial:
                if a != over:
                    rest = rest * atom(a)
            total = total + rest
        if count > 1 or any(_mentions(a, over) for a in monomial if a != over):
            return None
    return total


def _mentions(a: object, over: Atom) -> bool:
    if isinstance(a, Opaque):
        return not isinstance(a.expr, Local) and any(
            over in set(atoms(i)) for i in indices_of(a.expr))
    inner = [getattr(a, "value", 0), getattr(a, "divisor", 0)]
    return any(x == over or _mentions(x, over) for d in inner for x in atoms(d))
