"""From a `Gather` to the body of a fragment shader: coordinates, lanes, render targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from transpile.ir.dims import (
    Axis,
    Dim,
    FloorDiv,
    Mod,
    Opaque,
    atom,
    atoms,
    axis,
    floordiv,
    mod,
    substitute_axes,
    upper,
)
from transpile.lower.expr import Index, Local
from transpile.lower.legalize import Gather, substitute_body
from transpile.lower.loops import Tile, leaf
from transpile.lower.nest import Nest
from transpile.lower.share import share
from transpile.lower.simplify import simplify
from transpile.lower.stmt import Argument, For, Let, Stmt
from transpile.lower.walk import map_body
from transpile.targets.glsl.lanes import (
    LANE_INDEX,
    NotLanesError,
    legal,
    rename_locals,
    vectorise,
    with_scalar_loads,
)
from transpile.targets.glsl.matrices import with_matrices
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


def build_shader(gather: Gather, layouts: Mapping[str, Layout]) -> Shader:
    """The shader of a pass, four lanes at once where that is possible."""
    try:
        body = _vector_body(gather, layouts[gather.out.name])
        return Shader(body, gather.inputs, gather.out, layouts)
    except NotLanesError:
        return Shader(_element_body(gather), gather.inputs, gather.out, layouts, True)


def _vector_body(gather: Gather, layout: Layout) -> tuple[Stmt, ...]:
    lets, points = _points(gather.axes, layout)
    if gather.nest is not None:
        nest, tile = _unrolled(gather.nest, sliding=has_neighbours(gather.axes, layout))
        body = leaf(replace(nest, axes=()), tile, points)
    else:
        assert len(points) == 1
        body = substitute_body(gather.body, points[0])
    return (*lets, *with_matrices(_shared(vectorise(_simplified(body)))))


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
        shared = share(marked)
        names: dict[str, str] = {f"{n}@": n for n in taken}
        for stmt in shared:
            if isinstance(stmt, Let) and stmt.name not in names:
                names[stmt.name] = f"v{self.count}"
                self.count += 1
        return rename_locals(shared, names)


def _shared(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    return _Sharer().block(body)


def has_neighbours(axes: Sequence[Axis], layout: Layout) -> bool:
    """True if the rows of an invocation are pixels side by side in a row of pixels."""
    if layout.layers == 1 or len(axes) < 2:
        return False
    x, last = axes[-2:]
    return (last.extent == 4 * layout.width and isinstance(x.extent, int)
            and x.extent % layout.layers == 0)


def _unrolled(nest: Nest, *, sliding: bool = False) -> tuple[Nest, Tile]:
    """The innermost reduction in steps of a texel, where it is long enough.

    Args:
        sliding: write out the taps of a row, too: neighbouring pixels share what they read.
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


def _points(axes: Sequence[Axis], layout: Layout) -> tuple[list[Stmt], tuple[dict[str, Dim], ...]]:
    """Statements that find this invocation's indices, and the axes' values for each target.

    Raises:
        NotLanesError: four lanes do not lie side by side along the innermost axis.
    """
    column = axis("q", layout.width)
    row = axis("r", layout.height)
    if not axes:
        return [], ({},)
    last = axes[-1]
    if len(axes) > 1 and not (isinstance(last.extent, int) and last.extent % 4 == 0):
        raise NotLanesError
    finder = _Finder()
    if layout.layers == 1:
        return finder.result([finder.point(axes, layout, column, row, "")])
    rows = [row * layout.layers + j for j in range(layout.layers)]
    if has_neighbours(axes, layout):
        return finder.result(finder.neighbours(axes, layout, column, row))
    return finder.result([finder.point(axes, layout, column, r, str(j))
                          for j, r in enumerate(rows)])


class _Finder:
    """Names the parts of an index that take a division."""

    def __init__(self) -> None:
        self.lets: list[Stmt] = []

    def result(self, points: Sequence[dict[str, Dim]]
               ) -> tuple[list[Stmt], tuple[dict[str, Dim], ...]]:
        return self.lets, tuple(points)

    def point(self, axes: Sequence[Axis], layout: Layout, column: Dim, row: Dim, suffix: str
              ) -> dict[str, Dim]:
        texel = row * layout.width + column
        last = axes[-1]
        if len(axes) == 1:
            return {last.name: texel * 4 + LANE_INDEX}
        assert isinstance(last.extent, int)
        run = last.extent // 4
        found = {last.name: self.named(mod(texel, run), f"{last.name}{suffix}", run) * 4
                 + LANE_INDEX}
        return {**found, **self.split(axes[:-1], floordiv(texel, run), suffix)}

    def neighbours(self, axes: Sequence[Axis], layout: Layout, column: Dim, row: Dim
                   ) -> list[dict[str, Dim]]:
        """Pixels side by side."""
        *outer, x, channel = axes
        assert isinstance(x.extent, int)
        count = layout.layers
        steps = x.extent // count
        step = self.named(mod(row, steps), f"{x.name}{count}", steps)
        rest = self.split(outer, floordiv(row, steps), "") if outer else {}
        return [{**rest, x.name: step * count + j, channel.name: column * 4 + LANE_INDEX}
                for j in range(count)]

    def split(self, axes: Sequence[Axis], number: Dim, suffix: str) -> dict[str, Dim]:
        """Indices from a row-major number."""
        found: dict[str, Dim] = {}
        if len(axes) > 1 and suffix:
            # Divided as it is: what its factor and a size have in common would make other forms.
            number = self.local(number, f"at{suffix}", upper(number))
        for k in range(len(axes) - 1, -1, -1):
            a = axes[k]
            part = mod(number, a.extent) if k else number
            found[a.name] = self.named(part, f"{a.name}{suffix}", a.extent)
            number = floordiv(number, a.extent)
            if k > 1:
                number = self.named(number, f"{a.name}{suffix}Rest", None)
        return found

    def named(self, value: Dim, name: str, extent: Dim | None) -> Dim:
        """A local for what takes a division."""
        if not any(isinstance(a, (FloorDiv, Mod)) for a in atoms(value)):
            return value
        return self.local(value, name, None if extent is None else extent - 1)

    def local(self, value: Dim, name: str, top: Dim | None) -> Dim:
        """A local for an index that is `top` at most."""
        self.lets.append(Let(name, Index(value)))
        return atom(Opaque(Local(name, "int32"), 0, 2**31 - 1 if top is None else top))


def _element_body(gather: Gather) -> tuple[Stmt, ...]:
    """The body for the element number `ELEMENT`."""
    size = gather.out.size
    element = atom(Opaque(Local(ELEMENT, "int32"), 0, size - 1))
    finder = _Finder()
    values = finder.split(gather.axes, element, "") if gather.axes else {}
    if gather.nest is not None:
        nest, tile = _unrolled(gather.nest)
        body = leaf(replace(nest, axes=()), tile, (values,))
    else:
        body = substitute_body(gather.body, values)
    return (*finder.lets, *_shared(with_scalar_loads(_simplified(body))))

