"""What a target is: a column of the scalar table, a default schedule, and a printer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transpile.ir.dims import Dim
from transpile.lower.loops import Tile
from transpile.lower.nest import Nest
from transpile.lower.stmt import Kernel
from transpile.passes.manager import Pass


def row_major(_columns: Dim) -> int:
    """No panels: columns lie as they are."""
    return 1


@dataclass(frozen=True)
class Target:
    """One kind of code that transpile emits.

    Attributes:
        name: as in `--targets` and `load({target})`.
        column: the column of the scalar table that it prints.
        schedule: the L1 schedule of a nest.
        print_kernel: `print_kernel(kernel, name)` gives source text that defines `name`.
        passes: graph rewrites for this target alone, after the common ones.
        panel: how many columns of a weight matrix with so many lie together; 1 for row-major.
        assemble: for a target whose kernels are one binary, all of them to bytes.
        runs_in: "node" where Node can run it, "browser" where only a browser can.
    """

    name: str
    column: str
    schedule: Callable[[Nest], Tile]
    print_kernel: Callable[[Kernel, str], str]
    passes: tuple[Pass, ...] = ()
    panel: Callable[[Dim], int] = row_major
    assemble: Callable[[Sequence[Kernel]], bytes] | None = None
    runs_in: str = "node"
