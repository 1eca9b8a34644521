"""What a target is: a column of the scalar table, a default schedule, and a printer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transpile.ir.dims import Dim
from transpile.lower.loops import Tile
from transpile.lower.nest import Nest
from transpile.lower.stmt import Kernel, Stmt
from transpile.passes.manager import Pass


def row_major(_columns: Dim, _rows: Dim) -> int:
    """No panels: columns lie as they are."""
    return 0


@dataclass(frozen=True)
class Target:
    """One kind of code that transpile emits.

    Attributes:
        name: as in `--targets` and `load({target})`.
        column: the column of the scalar table that it prints.
        schedule: the L1 schedule of a nest.
        print_kernel: `print_kernel(kernel, name)` gives source text that defines `name`.
        kernels: hand-scheduled kernels, asked in order: each gives the statements of a nest that it
            is made for, else None; see `transpile/kernels`. The iterations of an outermost loop
            are independent: threads share them.
        passes: graph rewrites for this target alone, after the common ones.
        panel: `panel(columns, rows)`: how many columns of a weight matrix lie together where the
            product has so many rows; 0 for row-major.
        assemble: for a target whose kernels are one binary: `assemble(program, steps=False,
            threads=False, relaxed=False, apart=False)`.
        cpu: True where it works on one flat memory; such targets share passes, buffers and plan.
        runs_in: "node" where Node can run it, "browser" where only a browser can.
    """

    name: str
    column: str
    schedule: Callable[[Nest], Tile]
    print_kernel: Callable[[Kernel, str], str]
    kernels: tuple[Callable[[Nest], Sequence[Stmt] | None], ...] = ()
    passes: tuple[Pass, ...] = ()
    panel: Callable[[Dim, Dim], int] = row_major
    assemble: Callable[..., bytes] | None = None
    cpu: bool = True
    runs_in: str = "node"
