"""A function in the making: its locals, its instructions, and the arithmetic of indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from transpile.ir.dims import Axis, Dim, FloorDiv, Mod, Name, Opaque, Poly, nonnegative
from transpile.ir.dims import lower as lower_bound
from transpile.lower.expr import Expr
from transpile.lower.stmt import Kernel
from transpile.targets.wasm.encoder import Instruction

KINDS = {"float32": "f32", "float64": "f64"}
SIZES = {"float32": 4, "int32": 4, "uint8": 1, "bool": 1, "float32x4": 4, "int32x4": 4,
         "uint8x4": 1}
"""Bytes by which an index steps; vectors are indexed by element, too."""


def kind_of(dtype: str) -> str:
    """The WebAssembly type that holds a dtype."""
    return "v128" if dtype.endswith("x4") else KINDS.get(dtype, "i32")


@dataclass
class Body:
    """Numbered locals and instructions.

    Attributes:
        kernel: what is printed; parameters are the byte addresses of its arguments, then its
            dimensions.
        safe: pointers that are never below zero, so that a constant may be added by the access
            itself, which does not wrap.
    """

    kernel: Kernel
    code: list[Instruction] = field(default_factory=list)
    numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    free: dict[str, list[int]] = field(default_factory=dict)
    safe: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for argument in self.kernel.args:
            self.numbers["buffer", argument.name] = len(self.numbers)
            self.safe.add(argument.name)
        for name in self.kernel.dims:
            self.numbers["dim", name] = len(self.numbers)
        self.params = len(self.numbers)

    def emit(self, name: str, *immediates: object) -> None:
        self.code.append((name, *immediates))

    def fresh(self, kind: str) -> int:
        self.types.append(kind)
        return self.params + len(self.types) - 1

    def local(self, space: str, name: str, kind: str = "i32") -> int:
        key = (space, name) if kind == "i32" else (space, name, kind)
        if key not in self.numbers:
            self.numbers[key] = self.fresh(kind)
        return self.numbers[key]

    def temporary(self, kind: str) -> int:
        pool = self.free.setdefault(kind, [])
        return pool.pop() if pool else self.fresh(kind)

    def release(self, kind: str, number: int) -> None:
        self.free[kind].append(number)

    def expr(self, value: Expr) -> None:
        """Push a value; printers of expressions have it."""
        raise NotImplementedError

    def address(self, buffer: str, index: Dim, dtype: str) -> int:
        """Push the address and return the constant that the access adds to it."""
        index = scaled(index, dtype)
        constant = index if isinstance(index, int) else index.const
        rest = index - constant
        if constant < 0 or not (buffer in self.safe and never_negative(rest)):
            constant, rest = 0, index
        self.emit("local.get", self.local("buffer", buffer))
        if rest != 0:
            self.index(rest)
            self.emit("i32.add")
        return constant

    def index(self, value: Dim) -> None:
        """Push an index, the terms added up."""
        if isinstance(value, int):
            self.emit("i32.const", value)
            return
        terms = sorted(value.terms, key=lambda t: (t[1] < 0, -len(t[0])))
        for position, (monomial, coef) in enumerate(terms):
            minus = coef < 0 and position > 0
            self.term(monomial, -coef if minus else coef)
            if position:
                self.emit("i32.sub" if minus else "i32.add")

    def term(self, monomial: Sequence[object], coef: int) -> None:
        for position, a in enumerate(monomial):
            self.atom(a)
            if position:
                self.emit("i32.mul")
        if coef != 1 or not monomial:
            self.emit("i32.const", coef)
            if monomial:
                self.emit("i32.mul")

    def atom(self, a: object) -> None:
        if isinstance(a, (FloorDiv, Mod)):
            self.division(a)
        elif isinstance(a, Opaque):
            self.expr(a.expr)
        else:
            assert isinstance(a, (Axis, Name))
            self.emit("local.get", self.local("dim" if isinstance(a, Name) else "axis", a.name))

    def division(self, a: FloorDiv | Mod) -> None:
        """Rounds down; what may be negative takes a division with a correction."""
        quotient = isinstance(a, FloorDiv)
        self.index(a.value)
        if nonnegative(lower_bound(a.value)):
            self.index(a.divisor)
            self.emit("i32.div_u" if quotient else "i32.rem_u")
            return
        value = self.temporary("i32")
        self.emit("local.tee", value)
        if quotient:
            self.emit("local.get", value)
        self.index(a.divisor)
        self.emit("i32.rem_s")
        self.index(a.divisor)
        self.emit("i32.add")
        self.index(a.divisor)
        self.emit("i32.rem_s")
        if quotient:
            self.emit("i32.sub")
            self.index(a.divisor)
            self.emit("i32.div_s")
        self.release("i32", value)


def scaled(index: Dim, dtype: str) -> Dim:
    """An index in elements as one in bytes."""
    return index * SIZES[dtype]


def never_negative(index: Dim) -> bool:
    """True if no term is negative, so that no partial sum is."""
    if isinstance(index, int):
        return index >= 0
    return all(c > 0 and all(nonnegative(lower_bound(Poly((((a,), 1),)))) for a in m)
               for m, c in index.terms)
