"""The static memory plan: one arena for fixed sizes, one for each way of scaling.

Buffers whose sizes are multiples of one product of named dimensions share an arena whose offsets
are multiples of that product, so that a plan made once holds for every size.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass

from transpile.ir.dims import Dim, Poly

ALIGNMENT = 16
"""Bytes; a WASM v128 and four floats."""


@dataclass(frozen=True)
class Lifetime:
    """A buffer's size in bytes and the calls between which it must hold its value."""

    name: str
    size: Dim
    first: int
    last: int


def align(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def plan(lifetimes: Sequence[Lifetime], start: int, lasting: Container[str] = ()
         ) -> tuple[dict[str, Dim], Dim]:
    """Offsets by name, from `start` bytes on, and the end of memory.

    Arenas with a `lasting` buffer come first: no other size than its own moves it.

    Buffers that live at the same time never overlap. Placed largest first, each at the lowest
    gap that holds it (greedy by size; Pisarchyk and Lee, arXiv 2001.03288).
    """
    arenas: dict[Dim, list[tuple[Lifetime, int]]] = {}
    for lifetime in lifetimes:
        unit, count = _scale(lifetime.size)
        arenas.setdefault(unit, []).append((lifetime, align(count)))
    offsets: dict[str, Dim] = {}
    base: Dim = start
    fixed = {unit for unit, found in arenas.items() if any(b.name in lasting for b, _ in found)}
    for unit in sorted(arenas, key=lambda u: (u != 1, u not in fixed, str(u))):
        placed, end = _place(arenas[unit])
        offsets.update({name: base + unit * offset for name, offset in placed.items()})
        base = base + unit * end
    return offsets, base


def _scale(size: Dim) -> tuple[Dim, int]:
    """A size as unit times count: the unit is 1 or holds the names."""
    if isinstance(size, int):
        return 1, size
    factor = math.gcd(*(c for _, c in size.terms))
    return Poly(tuple((m, c // factor) for m, c in size.terms)), factor


def _place(buffers: Sequence[tuple[Lifetime, int]]) -> tuple[dict[str, int], int]:
    placed: list[tuple[Lifetime, int, int]] = []
    for lifetime, size in sorted(buffers, key=lambda b: (-b[1], b[0].first, b[0].name)):
        busy = sorted((offset, offset + length) for other, offset, length in placed
                      if other.first <= lifetime.last and lifetime.first <= other.last)
        position = 0
        for low, high in busy:
            if low - position >= size:
                break
            position = max(position, high)
        placed.append((lifetime, position, size))
    end = max((offset + size for _, offset, size in placed), default=0)
    return {lifetime.name: offset for lifetime, offset, _ in placed}, end
