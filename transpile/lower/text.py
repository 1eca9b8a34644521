"""Kernels as text, for reading and for tests; `parse_kernel` reads what `format_kernel` writes.

    kernel hidden(x: float32[$batch*784], w: float32[7840], out: float32[$batch*10] written)
      for row in 0..$batch:
        var sum = 0.0
        for k in 0..784:
          sum = add(sum, mul(x[784*row+k], w[k]))
        out[row] = maximum(sum, 0.0)

Indices: `$name` is a named dimension, other names are loop variables, `<expr in low..high>` is an
index computed at run time. Expressions: `[index]` is an index as a value, `&x[index]` a place, and
`3i`, `3u` are constants of int32 and uint8. What the place of a name's definition tells is left
out: `name::dtype` and `axis{extent}` stand only where they differ from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from transpile.ir.dims import Atom, Axis, Dim, FloorDiv, Mod, Name, Opaque
from transpile.lower.expr import Call, Const, Expr, Index, Local, Pointer
from transpile.lower.scalar import result_dtype
from transpile.lower.stmt import Assign, Comment, Declare, For, If, Kernel, Let, Stmt, Store

RESERVED = frozenset("let var for if else in step written lanes true false inf nan "
                     "truex4 falsex4 infx4 nanx4".split())
"""Words that a name in quotes only can be."""

SUFFIX = {"int32": "i", "uint8": "u"}
"""What follows a number of another dtype than float32; `x4` follows where it is in four lanes."""

ANY_INTEGER = (0, 2**31 - 1)
"""The bounds of a gathered index that need no mention."""


@dataclass
class Scope:
    """What is known of names at some place of a kernel."""

    buffers: dict[str, str] = field(default_factory=dict)
    locals: dict[str, str] = field(default_factory=dict)
    axes: dict[str, Axis] = field(default_factory=dict)

    def define(self, stmt: Stmt) -> None:
        """Take note of what a statement introduces."""
        if isinstance(stmt, For):
            self.axes[stmt.axis.name] = stmt.axis
        elif isinstance(stmt, (Let, Declare)):
            table = self.buffers if isinstance(stmt.value, Pointer) else self.locals
            table[stmt.name] = stmt.value.dtype


def format_kernel(kernel: Kernel) -> str:
    """`kernel` as text, its formula and source line as comments above it."""
    scope = Scope({a.name: a.dtype for a in kernel.args})
    printer = _Printer(scope)
    args = ", ".join(f"{_quote(a.name)}: {a.dtype}[{printer.dim(a.size)}]"
                     + (" written" if a.written else "") for a in kernel.args)
    dims = "".join(f" {printer.dim_name(d)}" for d in kernel.dims)
    notes = [f"# {line}" for line in kernel.formula.split("\n") if line]
    notes += [f"# at {kernel.where}"] if kernel.where else []
    head = f"kernel {_quote(kernel.name)}({args}){dims}"
    return "\n".join([*notes, head, *printer.block(kernel.body, 1)]) + "\n"


def format_expr(expr: Expr) -> str:
    """An expression on its own; every name comes with its dtype unless that is float32."""
    return _Printer(Scope()).expr(expr)


def _quote(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_@][\w@.]*", name, re.ASCII) and name not in RESERVED
    return name if plain else json.dumps(name)


@dataclass
class _Printer:
    scope: Scope

    def block(self, body: Sequence[Stmt], depth: int) -> Iterator[str]:
        for stmt in body:
            for line in self.statement(stmt):
                yield "  " * depth + line

    def statement(self, stmt: Stmt) -> Iterator[str]:
        if isinstance(stmt, For):
            yield from self.loop(stmt)
        elif isinstance(stmt, If):
            yield f"if {self.expr(stmt.condition)}:"
            yield from self.block(stmt.then, 1)
            if stmt.otherwise:
                yield "else:"
                yield from self.block(stmt.otherwise, 1)
        elif isinstance(stmt, Comment):
            yield f"# {json.dumps(stmt.text)}"
        else:
            yield self.simple(stmt)
        self.scope.define(stmt)

    def simple(self, stmt: Let | Declare | Assign | Store) -> str:
        value = self.expr(stmt.value)
        if isinstance(stmt, Store):
            return f"{_quote(stmt.buffer)}[{self.dim(stmt.index)}] = {value}"
        word = "let " if isinstance(stmt, Let) else "var " if isinstance(stmt, Declare) else ""
        return f"{word}{_quote(stmt.name)} = {value}"

    def loop(self, stmt: For) -> Iterator[str]:
        extent = "" if stmt.axis.extent == stmt.stop else f"{{{self.dim(stmt.axis.extent)}}}"
        step = "" if stmt.step == 1 else f" step {stmt.step}"
        yield (f"for {_quote(stmt.axis.name)}{extent} in {self.dim(stmt.start)}.."
               f"{self.dim(stmt.stop)}{step}:")
        self.scope.define(stmt)
        yield from self.block(stmt.body, 1)

    def expr(self, expr: Expr) -> str:
        if isinstance(expr, Const):
            return self.const(expr)
        if isinstance(expr, Local):
            return self.typed(expr.name, expr.dtype, self.scope.locals.get(expr.name, "float32"))
        if isinstance(expr, Index):
            return f"[{self.dim(expr.index)}]"
        if isinstance(expr, Call):
            usual = result_dtype(expr.fn, *(a.dtype for a in expr.args))
            args = ", ".join(map(self.expr, expr.args))
            return f"{self.typed(expr.fn, expr.dtype, usual)}({args})"
        usual = self.scope.buffers.get(expr.buffer, "float32")
        place = f"{self.typed(expr.buffer, expr.dtype, usual)}[{self.dim(expr.index)}]"
        return f"&{place}" if isinstance(expr, Pointer) else place

    def const(self, const: Const) -> str:
        base, lanes = const.dtype.removesuffix("x4"), "x4" * const.dtype.endswith("x4")
        if base == "bool":
            return ("true" if const.value else "false") + lanes
        if base == "float32":
            return repr(float(const.value)) + lanes
        return f"{int(const.value)}{SUFFIX[base]}{lanes}"

    def typed(self, name: str, dtype: str, usual: str) -> str:
        return _quote(name) if dtype == usual else f"{_quote(name)}::{dtype}"

    def dim(self, value: Dim) -> str:
        if isinstance(value, int):
            return str(value)
        text = ""
        for monomial, coef in value.terms:
            factors = [self.atom(a) for a in monomial]
            if abs(coef) != 1 or not factors:
                factors.insert(0, str(abs(coef)))
            sign = "-" if coef < 0 else "+" if text else ""
            text += sign + "*".join(factors)
        return text

    def dim_name(self, name: str) -> str:
        return "$" + _quote(name)

    def atom(self, a: Atom) -> str:
        if isinstance(a, Name):
            return self.dim_name(a.name)
        if isinstance(a, Axis):
            known = self.scope.axes.get(a.name) == a
            return _quote(a.name) if known else f"{_quote(a.name)}{{{self.dim(a.extent)}}}"
        if isinstance(a, Opaque):
            limits = "" if (a.low, a.high) == ANY_INTEGER else (
                f" in {a.low}..{self.dim(a.high)}")
            return f"<{self.expr(a.expr)}{limits}>"
        sign = "//" if isinstance(a, FloorDiv) else "%"
        assert isinstance(a, (FloorDiv, Mod))
        return f"({self.dim(a.value)} {sign} {self.dim(a.divisor)})"


def parse_kernel(text: str) -> Kernel:
    """Read what `format_kernel` writes; the number of operations is not part of the text.

    Raises:
        SourceError: a line that does not parse.
    """
    from transpile.lower.text_parser import read_kernel
    return read_kernel(text)
