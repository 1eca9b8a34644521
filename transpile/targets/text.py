"""What the printers of text share: lines and blocks, loops, brackets by precedence, sums."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from transpile.ir.dims import Dim
from transpile.lower.expr import Expr
from transpile.lower.scalar import PRODUCT, SUM, UNARY
from transpile.lower.stmt import For, If, Stmt

Text = tuple[str, float]
"""What an expression prints as, and its precedence."""


class TextPrinter(ABC):
    """Prints statements of a language with C's blocks; a subclass knows its expressions."""

    counter = "int"
    """The word that declares a loop variable."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.indent = 1

    @abstractmethod
    def statement(self, stmt: Stmt) -> None:
        """Print one statement."""

    @abstractmethod
    def axis_name(self, name: str) -> str:
        """A loop variable's name in the text."""

    @abstractmethod
    def expr_text(self, value: Expr) -> Text:
        """A scalar expression."""

    @abstractmethod
    def index_text(self, value: Dim) -> Text:
        """An index."""

    def line(self, text: str) -> None:
        self.lines.append("  " * self.indent + text)

    def block(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            self.statement(stmt)

    def nested(self, head: str, body: Sequence[Stmt]) -> None:
        self.line(head)
        self.indent += 1
        self.block(body)
        self.indent -= 1

    def branch(self, stmt: If) -> None:
        self.nested(f"if ({self.expr(stmt.condition)}) {{", stmt.then)
        if stmt.otherwise:
            self.nested("} else {", stmt.otherwise)
        self.line("}")

    def loop(self, stmt: For) -> None:
        name = self.axis_name(stmt.axis.name)
        step = f"{name}++" if stmt.step == 1 else f"{name} += {stmt.step}"
        self.nested(f"for ({self.counter} {name} = {self.index(stmt.start)}; "
                    f"{name} < {self.bound(stmt.stop)}; {step}) {{", stmt.body)
        self.line("}")

    def bound(self, stop: Dim) -> str:
        """The end of a loop."""
        return self.index(stop, SUM)

    def expr(self, value: Expr, needed: float = 0) -> str:
        """An expression, in brackets where its precedence is below what is needed."""
        return _bracketed(self.expr_text(value), needed)

    def index(self, value: Dim, needed: float = 0) -> str:
        """An index, in brackets where its precedence is below what is needed."""
        return _bracketed(self.index_text(value), needed)


def _bracketed(text: Text, needed: float) -> str:
    return f"({text[0]})" if text[1] < needed else text[0]


def product_of(factors: Sequence[Text], *, negative: bool) -> Text:
    """Factors multiplied, with a sign in front."""
    sign = "-" if negative else ""
    if len(factors) == 1:
        text, precedence = factors[0]
        return (sign + _bracketed(factors[0], UNARY), UNARY) if sign else (text, precedence)
    return sign + " * ".join(_bracketed(f, UNARY) for f in factors), PRODUCT


def sum_of(terms: Sequence[Text]) -> Text:
    """Terms added up; a sum reads better when it starts with something positive: `4 - row`."""
    if len(terms) == 1:
        return terms[0]
    if terms[0][0].startswith("-"):
        terms = sorted(terms, key=lambda t: t[0].startswith("-"))
    text = " + ".join(_bracketed(t, SUM) for t in terms)
    return text.replace("+ -", "- "), SUM
