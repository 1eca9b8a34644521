"""Statements and kernels of the loop IR. Immutable; `str(kernel)` prints text that parses back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

from transpile.ir.dims import Axis, Dim
from transpile.lower.expr import Expr


@dataclass(frozen=True)
class For:
    """`for axis in range(start, stop, step)`; `axis.extent` bounds the variable."""

    axis: Axis
    body: tuple[Stmt, ...]
    start: Dim = 0
    stop: Dim = 0
    step: int = 1


@dataclass(frozen=True)
class Let:
    """A local that never changes. An integer one may hold an index."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Declare:
    """A local that `Assign` changes later: an accumulator."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Assign:
    name: str
    value: Expr


@dataclass(frozen=True)
class Store:
    """`buffer[index] = value`."""

    buffer: str
    index: Dim
    value: Expr


@dataclass(frozen=True)
class If:
    condition: Expr
    then: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...] = ()


@dataclass(frozen=True)
class Comment:
    text: str


Stmt = Union[For, Let, Declare, Assign, Store, If, Comment]


@dataclass(frozen=True)
class Argument:
    """A buffer that a kernel works on; the caller gives its offset."""

    name: str
    dtype: str
    size: Dim
    written: bool = False


@dataclass(frozen=True)
class Kernel:
    """One function of the module.

    Attributes:
        name: a name made from the Python variable or the layer's path; not yet a JS name.
        args: the buffers in the order of a call: what is read, the output, scratch memory.
        dims: the named dimensions that bounds and indices use.
        body: the statements.
        formula: the fused expression in the user's terms, for the comment above the function.
        where: `file.py:line` of the last operation in it.
        flops: floating-point operations of one call (multiply and add are two).
        parallel: True if the iterations of every outermost loop are independent, scratch memory
            aside: what one leaves there, no other one reads.
    """

    name: str
    args: tuple[Argument, ...]
    dims: tuple[str, ...]
    body: tuple[Stmt, ...]
    formula: str = field(default="", compare=False)
    where: str = field(default="", compare=False)
    flops: Dim = field(default=0, compare=False)
    parallel: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        from transpile.lower.text import format_kernel
        return format_kernel(self)
