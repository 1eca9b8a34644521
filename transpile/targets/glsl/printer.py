"""Prints the loop IR of a shader as GLSL ES 3.00; knows no graph operator.

Numbers in indices and bounds become *holes*: shaders that are equal but for them share a program,
and what differs between its draws becomes a uniform (see `programs.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transpile.errors import InternalError
from transpile.ir.dims import (
    Dim,
    FloorDiv,
    Mod,
    Name,
    Opaque,
    Poly,
    atom,
    floordiv,
    mod,
    nonnegative,
)
from transpile.ir.dims import lower as lower_bound
from transpile.ir.dims import upper as upper_bound
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local
from transpile.lower.scalar import ATOM, BIT_AND, PRODUCT, SHIFT, UNARY
from transpile.lower.stmt import Assign, Declare, For, If, Let, Stmt, Store
from transpile.targets.glsl.functions import FUNCTIONS, NATIVE_VECTOR, definition
from transpile.targets.glsl.lanes import aligned, base, is_vector
from transpile.targets.glsl.matrices import MATRIX
from transpile.targets.glsl.scalars import CONDITION, GLSL
from transpile.targets.glsl.shader import ELEMENT, Shader
from transpile.targets.text import Text, TextPrinter, product_of, sum_of

TYPES = {"float32": "float", "int32": "int", "uint8": "int", "bool": "bool",
         "float32x4": "vec4", "int32x4": "ivec4", "uint8x4": "ivec4", "boolx4": "bvec4",
         MATRIX: "mat4"}

SMALL = 4
"""Numbers up to this are part of a shader's form: strides, kernel sizes of up to three, lanes."""

EXACT = 2**20
"""Below this, a division of integers in float32 is exact, three bits lost included."""

OUT = "o"
"""The render target, or the array of them; `runtime_js/webgl_targets.js` knows the name."""

HOLE = re.compile(r"\{(\d+)\}")


@dataclass(frozen=True)
class Source:
    """A shader's text with holes `{0}`, `{1}`, ... and what goes there.

    Attributes:
        functions: definitions that it calls, in order.
    """

    text: str
    holes: tuple[Dim, ...]
    functions: tuple[str, ...]


def glsl_number(value: float | int | bool, dtype: str) -> str:
    """A literal of one dtype; infinities and NaN by their bits."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype != "float32":
        return str(int(value)) if value != -2**31 else "(-2147483647 - 1)"
    if math.isnan(value):
        return "intBitsToFloat(0x7fc00000)"
    if math.isinf(value):
        return f"intBitsToFloat({'0x7f800000' if value > 0 else '-8388608'})"
    single = np.float32(value)
    text = str(single)
    return text if any(c in text for c in ".e") else f"{text}.0"


class Printer(TextPrinter):
    """Prints one shader."""

    def __init__(self, shader: Shader) -> None:
        super().__init__()
        self.shader = shader
        self.holes: list[Dim] = []
        self.functions: dict[str, None] = {}
        self.names = {ELEMENT: ELEMENT} if shader.one_by_one else {}
        self.stores = 0

    def source(self) -> Source:
        body = self.shader.body
        if self.shader.one_by_one:
            self.block(body)
            kind = TYPES[self.shader.out.dtype]
            main = [f"{kind} element(int e) {{", *self.lines, "}", "", *self.call_each()]
        else:
            self.block(body)
            column, row = self.local("q"), self.local("r")
            find = f"  int {column} = int(gl_FragCoord.x), {row} = int(gl_FragCoord.y);"
            main = ["void main() {", find, *self.lines, "}"]
        text = "\n".join([*self.declarations(), "", *main, ""])
        return Source(text, tuple(self.holes), tuple(self.functions))

    def declarations(self) -> list[str]:
        inputs = [f"uniform {self.sampler(a.dtype)} {a.name};" for a in self.shader.args]
        out = "vec4" if self.shader.out.dtype == "float32" else "ivec4"
        layers = self.shader.layouts[self.shader.out.name].layers
        return [*inputs, f"out {out} {OUT}{f'[{layers}]' if layers > 1 else ''};"]

    def sampler(self, dtype: str) -> str:
        return "sampler2DArray" if dtype == "float32" else "isampler2DArray"

    def call_each(self) -> list[str]:
        layout = self.shader.layouts[self.shader.out.name]
        out = "vec4" if self.shader.out.dtype == "float32" else "ivec4"
        calls = [f"element(e + {n})" for n in range(4)]
        each = ", ".join(f"int({c})" if self.shader.out.dtype == "bool" else c for c in calls)
        row = f"int(gl_FragCoord.y) * {self.hole(layout.width)}"
        return ["void main() {", f"  int e = ({row} + int(gl_FragCoord.x)) * 4;",
                f"  {OUT} = {out}({each});", "}"]

    def bound(self, stop: Dim) -> str:
        """Four steps may be lanes, and any other number in a shader of the same form."""
        return self.hole(stop, SMALL - 1) if isinstance(stop, int) else super().bound(stop)

    def hole(self, value: Dim, small: int = SMALL) -> str:
        """A number up to `small`, or a place for it."""
        if isinstance(value, int) and abs(value) <= small:
            return str(value)
        self.holes.append(value)
        return f"{{{len(self.holes) - 1}}}"

    def local(self, name: str) -> str:
        """A legal name; no two alike."""
        if name not in self.names:
            text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "v"
            text = f"v{text}" if text[0].isdigit() or text.startswith("gl_") else text
            if (re.fullmatch(r"[at]\d+", text) and text != name) or text in WORDS:
                text += "_"
            taken = set(self.names.values())
            count, unique = 1, text
            while unique in taken:
                count += 1
                unique = f"{text.rstrip('_')}_{count}"
            self.names[name] = unique
        return self.names[name]

    def axis_name(self, name: str) -> str:
        return self.local(name)

    def statement(self, stmt: Stmt) -> None:
        if isinstance(stmt, For):
            self.loop(stmt)
        elif isinstance(stmt, If):
            self.branch(stmt)
        elif isinstance(stmt, Store):
            self.store(stmt)
        elif isinstance(stmt, (Let, Declare)):
            self.line(f"{TYPES[stmt.value.dtype]} {self.local(stmt.name)} = "
                      f"{self.expr(stmt.value)};")
        elif isinstance(stmt, Assign):
            self.assign(stmt)

    def assign(self, stmt: Assign) -> None:
        name, value = self.local(stmt.name), stmt.value
        if (isinstance(value, Call) and value.fn == "add" and isinstance(value.args[0], Local)
                and value.args[0].name == stmt.name):
            self.line(f"{name} += {self.expr(value.args[1])};")
        else:
            self.line(f"{name} = {self.expr(value)};")

    def store(self, stmt: Store) -> None:
        text = self.expr(stmt.value)
        if self.shader.one_by_one:
            self.line(f"return ({text}) & 255;" if self.shader.out.dtype == "uint8"
                      else f"return {text};")
            return
        if base(stmt.value.dtype) == "bool":
            text = f"ivec4({text})"
        elif self.shader.out.dtype == "uint8":
            text = f"({text}) & 255"
        target = f"[{self.stores}]" if self.shader.layouts[stmt.buffer].layers > 1 else ""
        self.line(f"{OUT}{target} = {text};")
        self.stores += 1

    def expr_text(self, value: Expr) -> Text:
        if isinstance(value, Const):
            text = glsl_number(value.value, value.dtype)
            return text, UNARY if text.startswith("-") else ATOM
        if isinstance(value, Local):
            return self.local(value.name), ATOM
        if isinstance(value, Index):
            return self.index_text(value.index)
        if isinstance(value, Load):
            return self.load(value)
        assert isinstance(value, Call), value
        return self.call(value)

    def call(self, value: Call) -> Text:
        if value.fn == "splat":
            return f"{TYPES[value.dtype]}({self.expr(value.args[0])})", ATOM
        if value.fn in ("lanes", "matrix"):
            return f"{TYPES[value.dtype]}({', '.join(map(self.expr, value.args))})", ATOM
        if value.fn == "product":
            return " * ".join(self.expr(a, UNARY) for a in value.args), PRODUCT
        if value.fn == "lane":
            return self.lane(value), ATOM
        if value.fn == "select":
            return self.select(value)
        cells = GLSL[value.fn]
        dtype = value.args[-1].dtype
        cell = cells.get(dtype, cells.get(""))
        if cell is None:
            raise InternalError(f"GLSL has no {value.fn} of {dtype}")
        self.use(cell.template, is_vector(dtype))
        needs = cell.needs or (0,) * len(value.args)
        operands = [self.operand(a, n, value) for a, n in zip(value.args, needs, strict=True)]
        text = cell.template
        return re.sub(r"\{(\d)\}", lambda m: operands[int(m[1])], text), cell.precedence

    def operand(self, value: Expr, needed: float, outer: Call) -> str:
        """An operand; arithmetic takes a scalar beside a vector as it is."""
        if (outer.fn in ("add", "sub", "mul", "div") and isinstance(value, Call)
                and value.fn == "splat" and not all(
                    isinstance(a, Call) and a.fn == "splat" for a in outer.args)):
            return self.expr(value.args[0], max(needed, UNARY))
        text = self.expr(value, needed)
        return f"({text})" if text.startswith("-") and needed else text

    def lane(self, value: Call) -> str:
        vector, number = value.args
        assert isinstance(number, Const)
        component = "xyzw"[int(number.value)]
        if isinstance(vector, Load):
            text = f"{self.texel(vector)}.{component}"
            return f"({text} != 0)" if value.dtype == "bool" else text
        return f"{self.expr(vector, ATOM)}.{component}"

    def select(self, value: Call) -> Text:
        condition, a, b = value.args
        if not is_vector(condition.dtype):
            if isinstance(a, Load) and value.dtype == "float32x4":
                # A read costs less than a branch, and one outside the texture does no harm.
                test = f"bvec4({self.expr(condition)})"
                return f"mix({self.expr(b)}, {self.expr(a)}, {test})", ATOM
            test, yes = (self.expr(e, CONDITION + 1) for e in (condition, a))
            return f"{test} ? {yes} : {self.expr(b, CONDITION)}", CONDITION
        if base(value.dtype) == "float32":
            return f"mix({self.expr(b)}, {self.expr(a)}, {self.expr(condition)})", ATOM
        name = "pickB" if base(value.dtype) == "bool" else "pickI"
        self.functions[definition(name, True)] = None
        return f"{name}({self.expr(condition)}, {self.expr(a)}, {self.expr(b)})", ATOM

    def use(self, template: str, vector: bool = False) -> None:
        """Note the functions that a template calls, what they call first."""
        for name in re.findall(r"[A-Za-z_0-9]+(?=\()", template):
            if name in FUNCTIONS:
                self.use(FUNCTIONS[name].split("{", 1)[1])
                if not vector or name not in NATIVE_VECTOR:
                    self.functions[definition(name, False)] = None
                if vector:
                    self.functions[definition(name, True)] = None

    def load(self, value: Load) -> Text:
        if is_vector(value.dtype):
            text = self.texel(value)
            return f"notEqual({text}, ivec4(0))" if base(value.dtype) == "bool" else text, ATOM
        texel = self.texel(Load(value.buffer, value.index, f"{value.dtype}x4"))
        text = f"{texel}[{self.expr_mod4(value.index)}]"
        return f"({text} != 0)" if value.dtype == "bool" else text, ATOM

    def expr_mod4(self, index: Dim) -> str:
        return self.index(mod(index, 4))

    def texel(self, load: Load) -> str:
        """The texel that holds element `load.index`."""
        layout = self.shader.layouts[load.buffer]
        texel = floordiv(load.index, 4)
        x, row = column_and_row(texel, layout.width)
        if isinstance(layout.rows, int) and layout.rows == 1:
            x, row = texel, 0
        y, z = floordiv(row, layout.layers), mod(row, layout.layers)
        if not isinstance(z, int):  # one form for all widths: the row is written undivided
            name = "dealt" if base(load.dtype) == "float32" else "dealtI"
            self.use(f"{name}(")
            bits = layout.layers.bit_length() - 1
            return f"{name}({load.buffer}, {self.index(x)}, {self.shifted(row)}, {bits})"
        return (f"texelFetch({load.buffer}, ivec3({self.index(x)}, {self.index(y)}, "
                f"{self.index(z)}), 0)")

    def shifted(self, row: Dim) -> str:
        """A row in which its constant part has one form, whatever its sign and its size."""
        if isinstance(row, int):
            return self.index(row)
        return f"{self.index(row - row.const)} + {self.hole(row.const, -1)}"

    def index_text(self, value: Dim) -> Text:
        if isinstance(value, int):
            return (self.hole(value), ATOM) if value >= 0 else (f"-{self.hole(-value)}", UNARY)
        named = [(m, c) for m, c in value.terms if m and all(isinstance(a, Name) for a in m)]
        others = [(m, c) for m, c in value.terms if (m, c) not in named]
        if named:  # a size is a number at run time
            others = [(m, c) for m, c in others if m]
            size = Poly(tuple(named)) + value.const
            terms = [(self.hole(size), float(ATOM))]
            if not others:
                return terms[0]
            return sum_of([*self.terms(others), *terms])
        return sum_of(self.terms(others))

    def terms(self, terms: Sequence[tuple[Sequence[object], int]]) -> list[Text]:
        ordered = sorted(terms, key=lambda t: (not t[0], -len(t[0]), t[1] < 0))
        return [self._term(m, c) for m, c in ordered]

    def _term(self, monomial: Sequence[object], coef: int) -> Text:
        if not monomial:
            return ("-" if coef < 0 else "") + self.hole(abs(coef)), ATOM if coef >= 0 else UNARY
        sizes = [a for a in monomial if isinstance(a, Name)]
        factors = [self._atom(a) for a in monomial if not isinstance(a, Name)]
        scale: Dim = abs(coef)
        for a in sizes:
            scale = scale * atom(a)
        if scale != 1:
            factors.append((self.hole(scale), ATOM))
        return product_of(factors, negative=coef < 0)

    def _atom(self, a: object) -> Text:
        if isinstance(a, (FloorDiv, Mod)):
            return self.division(a)
        if isinstance(a, Opaque):
            return self.expr_text(a.expr)
        return self.local(str(a)), ATOM

    def division(self, a: FloorDiv | Mod) -> Text:
        if isinstance(a.divisor, int) and a.divisor & (a.divisor - 1) == 0:
            if isinstance(a, FloorDiv):
                power = self.hole(a.divisor.bit_length() - 1)
                return f"{self.index(a.value, SHIFT + 1)} >> {power}", SHIFT
            return f"{self.index(a.value, BIT_AND + 1)} & {self.hole(a.divisor - 1)}", BIT_AND
        if nonnegative(lower_bound(a.value)) and is_below(a.value, EXACT):
            name = "quotient" if isinstance(a, FloorDiv) else "remainder"
            self.use(f"{name}(")
            return f"{name}({self.index(a.value)}, {self.index(a.divisor)})", ATOM
        if nonnegative(lower_bound(a.value)):
            sign = "/" if isinstance(a, FloorDiv) else "%"
            return (f"{self.index(a.value, PRODUCT)} {sign} {self.index(a.divisor, UNARY)}",
                    PRODUCT)
        name = "floorDiv" if isinstance(a, FloorDiv) else "floorMod"
        self.functions[definition(name, False)] = None
        return f"{name}({self.index(a.value)}, {self.index(a.divisor)})", ATOM


def column_and_row(texel: Dim, width: int) -> tuple[Dim, Dim]:
    """Where a texel stands; neighbours in a run of four differ by a number in their column."""
    lane = (texel if isinstance(texel, int) else texel.const) % 4
    if width % 4 == 0 and aligned(texel - lane):
        run = floordiv(texel - lane, 4)
        return mod(run, width // 4) * 4 + lane, floordiv(run, width // 4)
    return mod(texel, width), floordiv(texel, width)


def is_below(value: Dim, limit: int) -> bool:
    """True if an index is known to stay below a number."""
    top = upper_bound(value)
    return isinstance(top, int) and top < limit


WORDS = frozenset("""element main input output sample common partition active filter resource flat
buffer shared texture mix step floor max min in out inout float int bool vec4 mat4 const highp half
e o part u lowp discard return if else for while do switch case default struct uniform
layout""".split())


def print_shader(shader: Shader) -> Source:
    """The GLSL of a shader, without its version line and precisions."""
    return Printer(shader).source()
