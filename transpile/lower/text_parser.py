"""Reads kernels from the text that `lower/text.py` defines and writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from transpile.errors import SourceError
from transpile.ir.dims import Atom, Axis, Dim, FloorDiv, Mod, Monomial, Name, Opaque, Poly
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, Pointer
from transpile.lower.scalar import result_dtype
from transpile.lower.stmt import (
    Argument,
    Assign,
    Comment,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Stmt,
    Store,
)
from transpile.lower.text import ANY_INTEGER, SUFFIX, Scope

T = TypeVar("T")

_TOKEN = re.compile(r"""\s*(?:
    (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<number>\d+(?:\.(?!\.)\d*)?(?:e[-+]?\d+)?[iu]?(?:x4)?)
  | (?P<word>[A-Za-z_@](?:[\w@]|\.(?!\.))*)
  | (?P<sign>\.\.|//|::|[-+*%(){}\[\]<>,:=&$])
)""", re.VERBOSE | re.ASCII)


WORDS = ("-", "inf", "nan", "true", "false")
"""What a constant may begin with besides a digit."""


class UnreadableError(ValueError):
    """Something else stands where the grammar wants this."""


def read_kernel(text: str) -> Kernel:
    """The kernel in `text`; SourceError names the line that does not parse."""
    lines = [(len(line) - len(line.lstrip()), number, line.strip())
             for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    notes = []
    while lines and lines[0][2].startswith("# "):
        notes.append(lines.pop(0)[2][2:])
    if not lines or not lines[0][2].startswith("kernel "):
        raise SourceError("not a kernel: it starts with kernel")
    reader = _Reader(lines)
    try:
        where = notes.pop().removeprefix("at ") if notes and notes[-1].startswith("at ") else ""
        return replace(reader.kernel(), formula="\n".join(notes), where=where)
    except (ValueError, KeyError, IndexError) as error:
        _, number, line = lines[min(reader.position, len(lines) - 1)]
        raise SourceError(f"line {number} of the kernel does not parse: {line}",
                          why=f"{type(error).__name__} {error}") from None


@dataclass
class _Reader:
    """Statements by indentation; `position` is the line to read next."""

    lines: list[tuple[int, int, str]]
    position: int = 0
    scope: Scope = field(default_factory=Scope)

    def kernel(self) -> Kernel:
        line = _Line(self.lines[0][2].removeprefix("kernel "), self.scope)
        name, args = line.name(), tuple(line.listed("(", ")", line.argument))
        self.scope.buffers.update({a.name: a.dtype for a in args})
        dims = []
        while line.accept("$"):
            dims.append(line.name())
        line.end()
        self.position = 1
        body = self.block(self.lines[0][0])
        if self.position < len(self.lines):
            raise UnreadableError("after the end")
        return Kernel(name, args, tuple(dims), body)

    def block(self, above: int) -> tuple[Stmt, ...]:
        """The statements indented by more than `above`."""
        result: list[Stmt] = []
        while self.position < len(self.lines) and self.lines[self.position][0] > above:
            stmt = self.statement()
            self.scope.define(stmt)
            result.append(stmt)
        return tuple(result)

    def statement(self) -> Stmt:
        indent, _, text = self.lines[self.position]
        if text.startswith("# "):
            self.position += 1
            return Comment(json.loads(text[2:]))
        line = _Line(text, self.scope)
        if line.accept("for"):
            return self.loop(line, indent)
        if line.accept("if"):
            return self.branch(line, indent)
        stmt = line.simple()
        line.end()
        self.position += 1
        return stmt

    def loop(self, line: _Line, indent: int) -> For:
        name = line.name()
        extent = line.enclosed("{", "}", line.dim)
        line.expect("in")
        start = line.dim()
        line.expect("..")
        stop = line.dim()
        step = int(line.token()) if line.accept("step") else 1
        line.expect(":")
        line.end()
        head = For(Axis(name, stop if extent is None else extent), (), start, stop, step)
        self.scope.define(head)
        self.position += 1
        return For(head.axis, self.block(indent), start, stop, step)

    def branch(self, line: _Line, indent: int) -> If:
        condition = line.expr()
        line.expect(":")
        line.end()
        self.position += 1
        then = self.block(indent)
        if self.position < len(self.lines) and self.lines[self.position][::2] == (indent, "else:"):
            self.position += 1
            return If(condition, then, self.block(indent))
        return If(condition, then)


class _Line:
    """The tokens of one line, read from left to right."""

    def __init__(self, text: str, scope: Scope) -> None:
        self.scope = scope
        self.tokens: list[tuple[str, str]] = []
        self.position = 0
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise UnreadableError(text[at:])
            self.tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()
        self.tokens.append(("end", ""))

    def token(self) -> str:
        self.position += 1
        return self.tokens[self.position - 1][1]

    def accept(self, text: str) -> bool:
        kind, found = self.tokens[self.position]
        if found != text or kind == "string":
            return False
        self.position += 1
        return True

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise UnreadableError(f"{self.tokens[self.position][1]!r} instead of {text!r}")

    def end(self) -> None:
        if self.tokens[self.position][0] != "end":
            raise UnreadableError(self.tokens[self.position][1])

    def name(self) -> str:
        kind, text = self.tokens[self.position]
        if kind not in ("word", "string"):
            raise UnreadableError(f"{text!r} instead of a name")
        self.position += 1
        return str(json.loads(text)) if kind == "string" else text

    def enclosed(self, opening: str, closing: str, read: Callable[[], Dim]) -> Dim | None:
        if not self.accept(opening):
            return None
        value = read()
        self.expect(closing)
        return value

    def listed(self, opening: str, closing: str, read: Callable[[], T]) -> list[T]:
        self.expect(opening)
        result: list[T] = []
        while not self.accept(closing):
            if result:
                self.expect(",")
            result.append(read())
        return result

    def argument(self) -> Argument:
        name = self.name()
        self.expect(":")
        dtype = self.name()
        size = self.enclosed("[", "]", self.dim)
        if size is None:
            raise UnreadableError(f"{name} has no size")
        return Argument(name, dtype, size, self.accept("written"))

    def simple(self) -> Stmt:
        kind = Let if self.accept("let") else Declare if self.accept("var") else Assign
        name = self.name()
        index = self.enclosed("[", "]", self.dim)
        self.expect("=")
        value = self.expr()
        return kind(name, value) if index is None else Store(name, index, value)

    def expr(self) -> Expr:
        kind, text = self.tokens[self.position]
        if kind == "number" or (text.removesuffix("x4") in WORDS and kind != "string"):
            return self.const()
        if self.accept("["):
            index = Index(self.dim())
            self.expect("]")
            return index
        pointer = self.accept("&")
        name = self.name()
        dtype = self.name() if self.accept("::") else None
        if self.tokens[self.position] == ("sign", "("):
            args = tuple(self.listed("(", ")", self.expr))
            return Call(name, args, dtype or result_dtype(name, *(a.dtype for a in args)))
        if not self.accept("["):
            return Local(name, dtype or self.scope.locals.get(name, "float32"))
        return self.place(name, dtype or self.scope.buffers.get(name, "float32"), pointer)

    def place(self, name: str, dtype: str, pointer: bool) -> Expr:
        index = self.dim()
        self.expect("]")
        return Pointer(name, index, dtype) if pointer else Load(name, index, dtype)

    def const(self) -> Const:
        sign = -1 if self.accept("-") else 1
        token = self.token()
        text = token.removesuffix("x4")
        lanes = token[len(text):]
        if text in ("true", "false"):
            return Const(text == "true", "bool" + lanes)
        for dtype, suffix in SUFFIX.items():
            if text.endswith(suffix):
                return Const(sign * int(text[:-1]), dtype + lanes)
        return Const(sign * float(text), "float32" + lanes)

    def dim(self) -> Dim:
        """A sum; exactly as written, since it was in canonical form."""
        terms = self.terms()
        return terms[0][1] if len(terms) == 1 and not terms[0][0] else Poly(terms)

    def terms(self) -> tuple[tuple[Monomial, int], ...]:
        result = []
        sign = -1 if self.accept("-") else 1
        while True:
            result.append(self.term(sign))
            if self.accept("+"):
                sign = 1
            elif self.accept("-"):
                sign = -1
            else:
                return tuple(result)

    def term(self, sign: int) -> tuple[Monomial, int]:
        factors: list[Atom] = []
        coef = sign
        while True:
            if self.tokens[self.position][0] == "number":
                coef *= int(self.token())
            else:
                factors.append(self.atom())
            if not self.accept("*"):
                return tuple(factors), coef

    def atom(self) -> Atom:
        if self.accept("$"):
            return Name(self.name())
        if self.accept("<"):
            return self.opaque()
        if self.accept("("):
            value = Poly(self.terms())
            kind = FloorDiv if self.accept("//") else Mod
            if kind is Mod:
                self.expect("%")
            divisor = self.dim()
            self.expect(")")
            return kind(value, divisor)
        name = self.name()
        extent = self.enclosed("{", "}", self.dim)
        return self.scope.axes[name] if extent is None else Axis(name, extent)

    def opaque(self) -> Opaque:
        expr = self.expr()
        low: int
        high: Dim
        low, high = ANY_INTEGER
        if self.accept("in"):
            bound = self.dim()
            if not isinstance(bound, int):
                raise UnreadableError(f"the lower bound {bound} is no number")
            self.expect("..")
            low, high = bound, self.dim()
        self.expect(">")
        return Opaque(expr, low, high)
