"""From a `Gather` to the body of a fragment shader: coordinates, lanes, render targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from transpile.ir.dims import (
    Axis,
    Opaque,
    atom,
    axis,
    substitute_axes,
)
from transpile.lower.expr import Local
from transpile.lower.legalize import Gather, substitute_body
from transpile.lower.loops import Tile, leaf
from transpile.lower.nest import Nest
from transpile.lower.share import share
from transpile.lower.simplify import simplify
from transpile.lower.stmt import Argument, For, Let, Stmt
from transpile.lower.walk import map_body
from transpile.targets.glsl.lanes import (
    NotLanesError,
    legal,
    rename_locals,
    vectorise,
    with_scalar_loads,
    without_lane_locals,
)
from transpile.targets.glsl.matrices import with_matrices
from transpile.targets.glsl.points import Finder, points_of
from transpile.targets.glsl.textures import Layout

LONGEST_TAPS = 3
"""Rows of taps up to this length are written out; longer ones would make large shaders."""

ELEMENT = "e"
"""The element's number in a shader that computes one element at a time."""


@dataclass(frozen=True)
class Shader:
    """What the printer needs.

    Attributes:
        body: the statements; each store goes to the next render target.
        one_by_one: the body computes the element `ELEMENT`, and is called for every lane.
        layouts: of the arguments, by name; `out` among them.
    """

    body: tuple[Stmt, ...]
    args: tuple[Argument, ...]
    out: Argument
    layouts: Mapping[str, Layout]
    one_by_one: bool = False


def build_shader(gather: Gather, layouts: Mapping[str, Layout], *, sliding: bool = False
                 ) -> Shader:
    """The shader of a pass, four lanes at once where that is possible.

    Args:
        sliding: write out the taps of a row: neighbouring pixels share what they read.
    """
    try:
        body = _vector_body(gather, layouts[gather.out.name], sliding)
        return Shader(body, gather.inputs, gather.out, layouts)
    except NotLanesError:
        return Shader(_element_body(gather), gather.inputs, gather.out, layouts, True)


def _vector_body(gather: Gather, layout: Layout, sliding: bool) -> tuple[Stmt, ...]:
    points = points_of(gather.axes, layout)
    if gather.nest is not None:
        nest, tile = _unrolled(gather.nest, sliding=sliding)
        body = points.joined(leaf(replace(nest, axes=()), tile, points.values))
    else:
        assert len(points.values) == 1
        body = substitute_body(gather.body, points.values[0])
    body = with_matrices(_shared(without_lane_locals(vectorise(_simplified(body)))))
    return (*points.lets_for(body), *body)


def _simplified(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    return map_body(body, lambda e: legal(simplify(e)))


class _Sharer:
    """Texels that are read several times are read once, block by block, under fresh names."""

    def __init__(self) -> None:
        self.count = 0

    def block(self, body: Sequence[Stmt]) -> tuple[Stmt, ...]:
        result: list[Stmt] = []
        straight: list[Stmt] = []
        for stmt in body:
            if isinstance(stmt, For):
                result += [*self.run(straight), replace(stmt, body=self.block(stmt.body))]
                straight = []
            else:
                straight.append(stmt)
        return (*result, *self.run(straight))

    def run(self, straight: Sequence[Stmt]) -> Sequence[Stmt]:
        taken = {s.name for s in straight if isinstance(s, Let)}
        marked = rename_locals(straight, {n: f"{n}@" for n in taken})
        shared = share(marked, lazy={})  # a read outside the texture does no harm
        names: dict[str, str] = {f"{n}@": n for n in taken}
        for stmt in shared:
            if isinstance(stmt, Let) and stmt.name not in names:
                names[stmt.name] = f"v{self.count}"
                self.count += 1
        return rename_locals(shared, names)


def _shared(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    return _Sharer().block(body)


def _unrolled(nest: Nest, *, sliding: bool = False) -> tuple[Nest, Tile]:
    """The innermost reduction in steps of a texel, where it is long enough.

    Args:
        sliding: write out the taps of a row, too.
    """
    if not nest.reds or nest.combine.startswith("arg"):
        return nest, Tile()
    last = nest.reds[-1]
    short = [r.name for r in nest.reds[1:-1] if sliding and _is_short(r)][-1:]
    if not isinstance(last.extent, int) or last.extent % 4:
        written = sliding and _is_short(last) and nest.combine == "sum"
        return nest, Tile((), (*short, last.name) if written else ())
    outer, inner = Axis(last.name, last.extent // 4), Axis(f"{last.name}Lane", 4)
    whole = axis(outer.name, outer.extent) * 4 + atom(inner)
    nest = nest.map_indices(lambda d: substitute_axes(d, {last.name: whole}))
    steps = (outer,) if outer.extent != 1 else ()
    return (replace(nest, reds=(*nest.reds[:-1], *steps, inner)),
            Tile((), (*short, inner.name)))


def _is_short(over: Axis) -> bool:
    return isinstance(over.extent, int) and over.extent <= LONGEST_TAPS


def _element_body(gather: Gather) -> tuple[Stmt, ...]:
    """The body for the element number `ELEMENT`."""
    size = gather.out.size
    element = atom(Opaque(Local(ELEMENT, "int32"), 0, size - 1))
    finder = Finder()
    values = finder.split(gather.axes, element, "") if gather.axes else {}
    if gather.nest is not None:
        nest, tile = _unrolled(gather.nest)
        body = leaf(replace(nest, axes=()), tile, (values,))
    else:
        body = substitute_body(gather.body, values)
    return (*finder.lets, *_shared(with_scalar_loads(_simplified(body))))

