"""Plain JavaScript: one function per kernel over one heap, in float64 arithmetic.

JS computes in float64 and rounds to float32 when it stores, so results differ from float32
arithmetic in the last bits. `Math.fround` after each step costs a factor of 2 to 10 (measured),
and buys nothing that a model needs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from transpile.ir.dims import Dim, FloorDiv, Mod, Opaque, evaluate, nonnegative
from transpile.ir.dims import lower as lower_bound
from transpile.ir.dims import names as dim_names
from transpile.lower.decompose import decompose
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, Pointer
from transpile.lower.hoist import hoist
from transpile.lower.loops import Tile
from transpile.lower.nest import Nest
from transpile.lower.scalar import ATOM, BIT_OR, PRODUCT, SCALARS, SUM, UNARY, decomposed
from transpile.lower.schedule import is_small, register_tile
from transpile.lower.stmt import Assign, Comment, Declare, For, If, Kernel, Let, Stmt, Store
from transpile.passes.manager import Pass
from transpile.passes.recurrent import recurrent
from transpile.passes.winograd import winograd
from transpile.targets.base import Target
from transpile.targets.text import Text, TextPrinter, product_of, sum_of

VIEWS = {"float32": "f32", "int32": "i32", "uint8": "u8", "bool": "u8"}
"""The view of the heap for each dtype; a bool is a byte."""

RESERVED = frozenset(
    "arguments await break case catch class const continue debugger default delete do else enum "
    "eval export extends false finally for function if implements import in instanceof interface "
    "let new null package private protected public return static super switch this throw true "
    "try typeof var void while with yield Math Number Infinity NaN undefined f32 i32 u8".split())


def identifier(name: str) -> str:
    """A legal JS identifier that reads like `name`."""
    parts = [p for p in re.split(r"[^A-Za-z0-9_$]+", name) if p]
    text = "".join(p if i == 0 else p[0].upper() + p[1:] for i, p in enumerate(parts)) or "value"
    return f"_{text}" if text[0].isdigit() or text in RESERVED else text


@dataclass
class _Scope:
    """JS names inside one function; the kinds of IR names are separate spaces."""

    names: dict[tuple[str, str], str] = field(default_factory=dict)

    def get(self, kind: str, name: str) -> str:
        key = (kind, name)
        if key not in self.names:
            base = text = identifier(name)
            count = 1
            while text in self.names.values():
                count += 1
                text = f"{base}_{count}"
            self.names[key] = text
        return self.names[key]


def js_number(value: float | int | bool, dtype: str) -> str:
    """The shortest JS literal that rounds to `value` in its dtype."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype != "float32":
        return str(int(value))
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    number = float(np.float32(value))
    text = str(np.float32(number)) if abs(number) != 0 else "0"
    text = re.sub(r"\.0$", "", text)
    text = re.sub(r"\.0e", "e", text).replace("e+", "e").replace("e-0", "e-").replace("e0", "e")
    return "-0" if number == 0 and math.copysign(1, number) < 0 else text


COMPARISONS = frozenset({"less", "greater", "less_equal", "greater_equal", "equal", "not_equal"})


def exact_number(value: float) -> str:
    """The literal of a float32 that numbers are compared with: 0.3 is less than float32's 0.3."""
    number, text = float(np.float32(value)), js_number(value, "float32")
    return text if math.isnan(number) or float(text) == number else repr(number)


HOT = 2**20
"""Operations a call from which on loads say `| 0`: V8 then checks no sum of an index for overflow,
which makes the innermost loops about 5 % faster."""


class Printer(TextPrinter):
    """Prints the loop IR as JS; knows no graph operator."""

    counter = "let"

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.scope = _Scope()
        self.views: set[str] = set()
        work = evaluate(kernel.flops, dict.fromkeys(dim_names(kernel.flops), 1))
        self.truncates = work >= HOT
        self.args = [self.scope.get("buffer", a.name) for a in kernel.args]
        self.dims = [self.scope.get("dim", d) for d in kernel.dims]

    def text(self, name: str) -> str:
        self.block(hoist(decompose(self.kernel.body, "js")))
        views = ", ".join(v for v in ("f32", "i32", "u8") if v in self.views)
        head = f"function {name}({', '.join([f'{{ {views} }}', *self.args, *self.dims])}) {{"
        return "\n".join([head, *self.lines, "}"])

    def axis_name(self, name: str) -> str:
        return self.scope.get("axis", name)

    def statement(self, stmt: Stmt) -> None:
        if isinstance(stmt, For):
            self.loop(stmt)
        elif isinstance(stmt, If):
            self.branch(stmt)
        elif isinstance(stmt, Comment):
            self.line(f"// {stmt.text}")
        elif isinstance(stmt, Store):
            self.line(f"{self.place(stmt.buffer, stmt.index, stmt.value.dtype)} = "
                      f"{self.expr(stmt.value)};")
        elif isinstance(stmt, Let) and isinstance(stmt.value, Pointer):
            pointer = self.offset(stmt.value.buffer, stmt.value.index)
            self.line(f"const {self.scope.get('buffer', stmt.name)} = {pointer};")
        else:
            self.local(stmt)

    def local(self, stmt: Let | Declare | Assign) -> None:
        name, value = self.scope.get("local", stmt.name), stmt.value
        if isinstance(stmt, Assign):
            grows = (isinstance(value, Call) and value.fn in ("add", "mul")
                     and value.args[0] == Local(stmt.name, value.dtype)
                     and value.dtype == "float32")
            if grows and isinstance(value, Call):
                sign = "+" if value.fn == "add" else "*"
                self.line(f"{name} {sign}= {self.expr(value.args[1])};")
            else:
                self.line(f"{name} = {self.expr(value)};")
        else:
            word = "const" if isinstance(stmt, Let) else "let"
            self.line(f"{word} {name} = {self.expr(value)};")

    def place(self, buffer: str, index: Dim, dtype: str, truncates: bool = False) -> str:
        view = VIEWS[dtype]
        self.views.add(view)
        return f"{view}[{self.offset(buffer, index)}{' | 0' if truncates and index != 0 else ''}]"

    def offset(self, buffer: str, index: Dim) -> str:
        name = self.scope.get("buffer", buffer)
        return name if index == 0 else f"{name} + {self.index(index, SUM)}".replace("+ -", "- ")

    def expr_text(self, value: Expr) -> Text:
        if isinstance(value, Const):
            text = js_number(value.value, value.dtype)
            return text, UNARY if text.startswith("-") else ATOM
        if isinstance(value, Local):
            return self.scope.get("local", value.name), ATOM
        if isinstance(value, Index):
            return self.index_text(value.index)
        if isinstance(value, Load):
            text = self.place(value.buffer, value.index, value.dtype, self.truncates)
            return (f"{text} !== 0", 9) if value.dtype == "bool" else (text, ATOM)
        assert isinstance(value, Call), value
        if value.fn == "to_float32" and value.args[0].dtype != "bool":
            return self.expr_text(value.args[0])  # a number is a number
        cell = SCALARS[value.fn].cell("js", value.args[-1].dtype)
        assert cell is not None, value.fn
        needs = cell.needs or (0,) * len(value.args)
        compares = value.fn in COMPARISONS
        operands = [exact_number(a.value) if compares and isinstance(a, Const) and (
            a.dtype == "float32") else self.expr(a, n)
            for a, n in zip(value.args, needs, strict=True)]
        return cell.template.format(*operands).replace("+ -", "- "), cell.precedence

    def index_text(self, value: Dim) -> Text:
        if isinstance(value, int):
            return str(value), ATOM if value >= 0 else UNARY
        ordered = sorted(value.terms, key=lambda t: (not t[0], -len(t[0]), -abs(t[1])))
        return sum_of([self._term(m, c) for m, c in ordered])

    def _term(self, monomial: Sequence[object], coef: int) -> Text:
        if not monomial:
            return str(coef), ATOM
        factors: list[Text] = [self._atom(a) for a in monomial]
        if coef not in (1, -1):
            factors.append((str(abs(coef)), ATOM))
        return product_of(factors, negative=coef < 0)

    def _atom(self, a: object) -> Text:
        if isinstance(a, FloorDiv):
            ratio = f"{self.index(a.value, PRODUCT)} / {self.index(a.divisor, UNARY)}"
            if nonnegative(lower_bound(a.value)):
                return f"{ratio} | 0", BIT_OR
            return f"Math.floor({ratio})", ATOM
        if isinstance(a, Mod):
            by = self.index(a.divisor, UNARY)
            text = f"{self.index(a.value, PRODUCT)} % {by}"
            if nonnegative(lower_bound(a.value)):
                return text, PRODUCT
            return f"({text} + {by}) % {by}", PRODUCT
        if isinstance(a, Opaque):
            return self.expr_text(decomposed(a.expr, "js"))
        kind = "dim" if type(a).__name__ == "Name" else "axis"
        return self.scope.get(kind, str(a)), ATOM


def print_kernel(kernel: Kernel, name: str) -> str:
    """A JS function: heap views, then element offsets of the arguments, then dimensions."""
    return Printer(kernel).text(name)


def schedule(nest: Nest) -> Tile:
    """Register tiles as measured under V8: twelve accumulators at most, then they spill."""
    if is_small(nest):
        return Tile()
    columns = nest.axes[-1:] == tuple(a for a in nest.axes if a.extent != 1 and a.name != "panel")
    return register_tile(nest, ((3, 4), (4, 4), (3, 3), (4, 2), (2, 4), (2, 2)),
                         8 if columns else 4)


def panel(columns: Dim, rows: Dim) -> int:
    """Panels as wide as a tile, so that a tile's weights lie in one run."""
    widths = (8, 4) if rows == 1 else (4,)
    return next((w for w in widths if isinstance(columns, int) and columns % w == 0), 0)


JS = Target("js", "js", schedule, print_kernel, panel=panel,
            passes=(Pass("winograd", winograd, once=True),
                    Pass("recurrent", recurrent, once=True)))

