"""Which elements an invocation computes: the indices that belong to a column and a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transpile.ir.dims import (
    Atom,
    Axis,
    Dim,
    FloorDiv,
    Mod,
    Opaque,
    Poly,
    atom,
    atoms,
    axis,
    floordiv,
    mod,
    upper,
)
from transpile.lower.expr import Expr, Index, Load, Local, map_expr
from transpile.lower.nest import coefficient
from transpile.lower.stmt import Let, Stmt
from transpile.lower.walk import indices, map_body, own_exprs, parts, statements
from transpile.targets.glsl.lanes import LANE_INDEX, NotLanesError
from transpile.targets.glsl.textures import Layout


@dataclass(frozen=True)
class Split:
    """A row-major number and the locals that it was divided into, with their strides."""

    number: Dim
    parts: tuple[tuple[Atom, Dim], ...]

    def joined(self, index: Dim) -> Dim:
        """An index in which the parts count as they do in the number, by the number itself.

        Pixels whose windows overlap then read texels of the same form, rows' ends or not.
        """
        factor = coefficient(index, self.parts[-1][0])
        if factor is None or factor == 0 or any(
                coefficient(index, a) != factor * s for a, s in self.parts):
            return index
        for part, stride in self.parts:
            index = index - factor * stride * atom(part)
        return index + factor * self.number


@dataclass(frozen=True)
class Points:
    """The elements of an invocation.

    Attributes:
        lets: statements that find them.
        values: of the axes, for each render target.
        splits: of the numbers in `values`.
    """

    lets: tuple[Let, ...]
    values: tuple[dict[str, Dim], ...]
    splits: tuple[Split, ...] = ()

    def joined(self, body: Sequence[Stmt]) -> tuple[Stmt, ...]:
        """The body with loads by undivided numbers where that is possible."""
        def visit(e: Expr) -> Expr | None:
            if not isinstance(e, Load):
                return None
            index = e.index
            for split in self.splits:
                index = split.joined(index)
            return replace(e, index=index)
        return map_body(body, lambda e: map_expr(e, visit))

    def lets_for(self, body: Sequence[Stmt]) -> tuple[Let, ...]:
        """The statements that a body needs."""
        kept: list[Let] = []
        used = _locals(body)
        for let in reversed(self.lets):
            if let.name in used:
                kept.append(let)
                used |= _locals([let])
        return tuple(reversed(kept))


def _locals(body: Sequence[Stmt]) -> set[str]:
    exprs = [*(e for s in statements(body) for e in own_exprs(s)), *map(Index, indices(body))]
    return {p.name for e in exprs for p in parts(e) if isinstance(p, Local)}


def points_of(axes: Sequence[Axis], layout: Layout) -> Points:
    """What an invocation computes of a tensor.

    Raises:
        NotLanesError: four lanes do not lie side by side along the innermost axis.
    """
    column = axis("q", layout.width)
    row = axis("r", layout.height)
    if not axes:
        return Points((), ({},))
    last = axes[-1]
    if len(axes) > 1 and not (isinstance(last.extent, int) and last.extent % 4 == 0):
        raise NotLanesError
    finder = Finder()
    if layout.layers == 1:
        return finder.result([finder.point(axes, layout, column, row, "")])
    rows = [row * layout.layers + j for j in range(layout.layers)]
    if has_neighbours(axes, layout):
        return finder.result(finder.neighbours(axes, layout, column, row))
    return finder.result([finder.point(axes, layout, column, r, str(j))
                          for j, r in enumerate(rows)])


def has_neighbours(axes: Sequence[Axis], layout: Layout) -> bool:
    """True if the rows of an invocation are pixels side by side in a row of pixels."""
    if layout.layers == 1 or len(axes) < 2:
        return False
    x, last = axes[-2:]
    return (last.extent == 4 * layout.width and isinstance(x.extent, int)
            and x.extent % layout.layers == 0)


class Finder:
    """Names the parts of an index that take a division."""

    def __init__(self) -> None:
        self.lets: list[Let] = []
        self.splits: list[Split] = []

    def result(self, values: Sequence[dict[str, Dim]]) -> Points:
        return Points(tuple(self.lets), tuple(values), tuple(self.splits))

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
        whole = number
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
        self.note(whole, [(found[a.name], a.extent) for a in axes])
        return found

    def note(self, number: Dim, places: Sequence[tuple[Dim, Dim]]) -> None:
        """Remember what a number was divided into, if that is more than one local."""
        found: list[tuple[Atom, Dim]] = []
        stride: Dim = 1
        for place, extent in reversed(places):
            local = sole_atom(place)
            if local is None:
                return
            found.insert(0, (local, stride))
            stride = stride * extent
        if len(found) > 1:
            self.splits.append(Split(number, tuple(found)))

    def named(self, value: Dim, name: str, extent: Dim | None) -> Dim:
        """A local for what takes a division."""
        if not any(isinstance(a, (FloorDiv, Mod)) for a in atoms(value)):
            return value
        return self.local(value, name, None if extent is None else extent - 1)

    def local(self, value: Dim, name: str, top: Dim | None) -> Dim:
        """A local for an index that is `top` at most."""
        self.lets.append(Let(name, Index(value)))
        return atom(Opaque(Local(name, "int32"), 0, 2**31 - 1 if top is None else top))


def sole_atom(value: Dim) -> Atom | None:
    """The atom that an index consists of, if it is one."""
    if isinstance(value, Poly) and len(value.terms) == 1:
        (monomial, factor), = value.terms
        if factor == 1 and len(monomial) == 1:
            return monomial[0]
    return None
