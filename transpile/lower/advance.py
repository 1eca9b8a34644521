"""Pointers that move with an innermost loop, instead of addresses computed from its variable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from transpile.ir.dims import Axis, Dim, Opaque, Poly, atoms
from transpile.lower.expr import Pointer
from transpile.lower.hoist import map_addresses
from transpile.lower.stmt import Assign, Declare, For, If, Let, Stmt
from transpile.lower.walk import statements

MOST = 8
"""Moving pointers in one loop; more would not fit in registers."""


def advance(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The statements with moving pointers in every innermost loop. Comes after `hoist`."""
    return tuple(_Mover().block(body))


@dataclass
class _Mover:
    count: Counter[str] = field(default_factory=Counter)

    def block(self, body: Sequence[Stmt]) -> list[Stmt]:
        result: list[Stmt] = []
        for stmt in body:
            if isinstance(stmt, For):
                inner = any(isinstance(s, For) for s in statements(stmt.body))
                result += [replace(stmt, body=tuple(self.block(stmt.body)))] if inner else (
                    self.innermost(stmt))
            elif isinstance(stmt, If):
                result.append(replace(stmt, then=tuple(self.block(stmt.then)),
                                      otherwise=tuple(self.block(stmt.otherwise))))
            else:
                result.append(stmt)
        return result

    def innermost(self, loop: For) -> list[Stmt]:
        inside = {s.name for s in statements(loop.body) if isinstance(s, (Let, Declare, Assign))}
        moving: dict[tuple[str, int, str], str] = {}

        def point(buffer: str, index: Dim, dtype: str) -> tuple[str, Dim]:
            stride = _stride(index, loop.axis)
            key = (buffer, stride, dtype.removesuffix("x4"))
            if stride == 0 or buffer in inside or (key not in moving and len(moving) == MOST):
                return buffer, index
            if key not in moving:
                self.count[buffer] += 1
                moving[key] = f"{buffer}Step{self.count[buffer]}"
            assert isinstance(index, Poly)
            return moving[key], index.const
        body = map_addresses(loop.body, point)
        if not moving:
            return [loop]
        before = [Declare(name, Pointer(buffer, loop.start * stride, dtype))
                  for (buffer, stride, dtype), name in moving.items()]
        after = [Assign(name, Pointer(name, stride * loop.step, dtype))
                 for (_, stride, dtype), name in moving.items()]
        return [*before, replace(loop, body=(*body, *after))]


def _stride(index: Dim, over: Axis) -> int:
    """The factor of the loop variable where the index is that and a number, else 0."""
    if isinstance(index, int) or any(isinstance(a, Opaque) for a in atoms(index)):
        return 0
    rest = [(m, c) for m, c in index.terms if m]
    return rest[0][1] if len(rest) == 1 and rest[0][0] == (over,) else 0
