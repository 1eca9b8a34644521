"""Prints the loop IR as WebAssembly instructions; knows no graph operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from transpile.ir.dims import (
    Axis,
    Dim,
    FloorDiv,
    Mod,
    Name,
    Opaque,
    Poly,
    atoms,
    ceildiv,
    nonnegative,
)
from transpile.ir.dims import lower as lower_bound
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, Pointer
from transpile.lower.scalar import SCALARS, cost
from transpile.lower.stmt import Assign, Declare, For, If, Kernel, Let, Stmt, Store
from transpile.lower.walk import indices, parts, statements
from transpile.targets.wasm.encoder import Function, Instruction

KINDS = {"float32": "f32", "float64": "f64"}
SIZES = {"float32": 4, "int32": 4, "uint8": 1, "bool": 1, "float32x4": 4, "int32x4": 4,
         "uint8x4": 1}
"""Bytes by which an index steps; vectors are indexed by element, too."""

DEAR = 8
"""A selection's operand of this cost is skipped by a branch where it is not wanted."""

LOADS = {"float32": "f32.load", "int32": "i32.load", "uint8": "i32.load8_u",
         "bool": "i32.load8_u", "float32x4": "v128.load", "int32x4": "v128.load",
         "uint8x4": "v128.load32_zero"}
WIDEN = {"uint8x4": ("i16x8.extend_low_i8x16_u", "i32x4.extend_low_i16x8_s")}
"""What follows a load whose elements are narrower than the lanes that hold them."""

STORES = {"float32": "f32.store", "int32": "i32.store", "uint8": "i32.store8",
          "bool": "i32.store8", "float32x4": "v128.store", "int32x4": "v128.store"}


def kind_of(dtype: str) -> str:
    """The WebAssembly type that holds a dtype."""
    return "v128" if dtype.endswith("x4") else KINDS.get(dtype, "i32")


@dataclass
class Printer:
    """One function: numbered locals and its instructions.

    Attributes:
        kernel: what is printed; parameters are the byte addresses of its arguments, then its
            dimensions.
        safe: pointers that are never below zero, so that a constant may be added by the access
            itself, which does not wrap.
        falling: pointers that some statement moves down.
    """

    kernel: Kernel
    code: list[Instruction] = field(default_factory=list)
    numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    free: dict[str, list[int]] = field(default_factory=dict)
    safe: set[str] = field(default_factory=set)
    falling: set[str] = field(default_factory=set)
    shared: dict[int, int] = field(default_factory=dict)
    wanted: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for argument in self.kernel.args:
            self.numbers["buffer", argument.name] = len(self.numbers)
            self.safe.add(argument.name)
        for name in self.kernel.dims:
            self.numbers["dim", name] = len(self.numbers)
        self.params = len(self.numbers)

    def function(self, name: str, body: Sequence[Stmt]) -> Function:
        self.falling = {s.name for s in statements(body) if isinstance(s, Assign)
                        and isinstance(s.value, Pointer) and not _never_negative(s.value.index)}
        self.block(body)
        return Function(name, self.params, tuple(self.types), tuple(self.code))

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

    # ---- statements

    def block(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        if isinstance(stmt, For):
            self.loop(stmt)
        elif isinstance(stmt, If):
            self.condition(stmt)
        elif isinstance(stmt, Store):
            offset = self.address(stmt.buffer, stmt.index, stmt.value.dtype)
            self.expr(stmt.value)
            self.emit(STORES[stmt.value.dtype], offset)
        elif isinstance(stmt, (Let, Declare, Assign)):
            self.assign(stmt)

    def assign(self, stmt: Let | Declare | Assign) -> None:
        if isinstance(stmt.value, Pointer):
            self.pointer(stmt.name, stmt.value)
        else:
            self.expr(stmt.value)
            number = self.local("local", stmt.name, kind_of(stmt.value.dtype))
            self.emit("local.set", number)

    def pointer(self, name: str, value: Pointer) -> None:
        index = scaled(value.index, value.dtype)
        self.emit("local.get", self.local("buffer", value.buffer))
        if index != 0:
            self.index(index)
            self.emit("i32.add")
        self.emit("local.set", self.local("buffer", name))
        if value.buffer in self.safe and _never_negative(index) and name not in self.falling:
            self.safe.add(name)
        else:
            self.safe.discard(name)

    def condition(self, stmt: If) -> None:
        self.expr(stmt.condition)
        self.emit("if")
        self.block(stmt.then)
        if stmt.otherwise:
            self.emit("else")
            self.block(stmt.otherwise)
        self.emit("end")

    def loop(self, loop: For) -> None:
        """A loop that tests at its end; a test before it only where it may be empty."""
        runs = nonnegative(lower_bound(loop.stop - loop.start - 1))
        if not runs:
            self.index(loop.start)
            self.index(loop.stop)
            self.emit("i32.lt_s")
            self.emit("if")
        if ceildiv(loop.stop - loop.start, loop.step) == 1:
            self.index(loop.start)
            self.emit("local.set", self.local("axis", loop.axis.name))
            self.block(loop.body)
        elif any(a == loop.axis for i in indices(loop.body) for a in atoms(i)):
            self.counting(loop)
        else:
            self.repeated(loop)
        if not runs:
            self.emit("end")

    def counting(self, loop: For) -> None:
        """A loop whose body reads its variable."""
        name = self.local("axis", loop.axis.name)
        self.index(loop.start)
        self.emit("local.set", name)
        self.emit("loop")
        self.block(loop.body)
        self.emit("local.get", name)
        self.emit("i32.const", loop.step)
        self.emit("i32.add")
        self.emit("local.tee", name)
        self.index(loop.stop)
        self.emit("i32.lt_s")
        self.emit("br_if", 0)
        self.emit("end")

    def repeated(self, loop: For) -> None:
        """A loop whose pointers do all the counting: down to 0 takes no comparison."""
        left = self.local("axis", loop.axis.name)
        self.index(ceildiv(loop.stop - loop.start, loop.step))
        self.emit("local.set", left)
        self.emit("loop")
        self.block(loop.body)
        self.emit("local.get", left)
        self.emit("i32.const", 1)
        self.emit("i32.sub")
        self.emit("local.tee", left)
        self.emit("br_if", 0)
        self.emit("end")

    # ---- addresses and indices

    def address(self, buffer: str, index: Dim, dtype: str) -> int:
        """Push the address and return the constant that the access adds to it."""
        index = scaled(index, dtype)
        constant = index if isinstance(index, int) else index.const
        rest = index - constant
        if constant < 0 or not (buffer in self.safe and _never_negative(rest)):
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

    # ---- expressions

    def expr(self, value: Expr) -> None:
        if isinstance(value, Const):
            self.constant(value)
        elif isinstance(value, Local):
            number = self.local("local", value.name, kind_of(value.dtype))
            self.emit("local.get", number)
        elif isinstance(value, Index):
            self.index(value.index)
        elif isinstance(value, Load):
            offset = self.address(value.buffer, value.index, value.dtype)
            self.emit(LOADS[value.dtype], offset)
            for name in WIDEN.get(value.dtype, ()):
                self.emit(name)
        else:
            assert isinstance(value, Call), value
            self.once(value)

    def constant(self, value: Const) -> None:
        if value.dtype.startswith("int32x4"):
            self.emit("v128.const", int(value.value).to_bytes(4, "little", signed=True) * 4)
        elif value.dtype.endswith("x4"):
            self.emit("v128.const", (float(value.value),) * 4)
        else:
            number = value.value if "float" in value.dtype else int(value.value)
            self.emit(f"{kind_of(value.dtype)}.const", number)

    def once(self, value: Call) -> None:
        """A call whose result a decomposition uses again is kept in a local."""
        key = id(value)
        if key in self.shared:
            self.emit("local.get", self.shared[key])
            return
        self.call(value)
        if self.wanted[key] > 1:
            self.shared[key] = self.temporary(kind_of(value.dtype))
            self.emit("local.tee", self.shared[key])

    def call(self, value: Call) -> None:
        if value.fn in ("select", "logical_and", "logical_or") and self.lazy(value):
            self.branch(value)
            return
        if value.fn == "splat" and isinstance(value.args[0], Load) and SIZES[
                value.args[0].dtype] == 4:
            place = value.args[0]
            offset = self.address(place.buffer, place.index, place.dtype)
            self.emit("v128.load32_splat", offset)
            return
        row = SCALARS[value.fn]
        cell = row.cell("wasm", value.args[0].dtype)
        if cell is None:
            assert row.decompose is not None, (value.fn, value.args[0].dtype)
            self.decomposition(value)
            return
        # WebAssembly takes the condition of a selection last.
        self.instructions(cell, value.args if value.fn != "select" else (
            *value.args[1:], value.args[0]))

    def instructions(self, cell: str, args: Sequence[Expr]) -> None:
        words = cell.split()
        if not any(w.startswith("{") for w in words):
            for arg in args:
                self.expr(arg)
        for word in words:
            if word.startswith("{"):
                self.expr(args[int(word[1:-1])])
            else:
                name, _, immediate = word.partition(":")
                self.emit(name, *([int(immediate)] if immediate else []))

    def lazy(self, value: Call) -> bool:
        """True if an operand after the first may not, or should not, always be evaluated."""
        if value.args[0].dtype.endswith("x4") or id(value) in self.wanted:
            return False
        return any(isinstance(p, Load) for a in value.args[1:] for p in parts(a)) or any(
            cost(a) > DEAR for a in value.args[1:])

    def branch(self, value: Call) -> None:
        """The operands of a selection, or the second one of `and` and `or`, in an if-else."""
        yes, no = value.args[1:] if value.fn == "select" else (
            (value.args[1], Const(False, "bool")) if value.fn == "logical_and"
            else (Const(True, "bool"), value.args[1]))
        self.expr(value.args[0])
        self.emit("if", kind_of(value.dtype))
        known = dict(self.shared)
        self.expr(yes)
        self.shared = dict(known)
        self.emit("else")
        self.expr(no)
        self.shared = known
        self.emit("end")

    def decomposition(self, value: Call) -> None:
        """The operands into locals, then the parts, each of them computed once."""
        row = SCALARS[value.fn]
        assert row.decompose is not None
        saved = self.shared, self.wanted
        temporaries: list[tuple[str, int]] = []
        expanded = row.decompose(*[self.operand(arg, temporaries) for arg in value.args])
        self.shared, self.wanted = {}, _uses(expanded)
        self.expr(expanded)
        kinds = {id(p): kind_of(p.dtype) for p in parts(expanded)}
        temporaries += [(kinds[key], number) for key, number in self.shared.items()]
        self.shared, self.wanted = saved
        for kind, number in temporaries:
            self.release(kind, number)

    def operand(self, arg: Expr, temporaries: list[tuple[str, int]]) -> Expr:
        if isinstance(arg, (Const, Local)):
            return arg
        kind = kind_of(arg.dtype)
        self.expr(arg)
        number = self.temporary(kind)
        self.emit("local.set", number)
        temporaries.append((kind, number))
        name = f"#{number}"
        self.numbers[("local", name) if kind == "i32" else ("local", name, kind)] = number
        return Local(name, arg.dtype)


def scaled(index: Dim, dtype: str) -> Dim:
    """An index in elements as one in bytes."""
    return index * SIZES[dtype]


def _never_negative(index: Dim) -> bool:
    """True if no term is negative, so that no partial sum is."""
    if isinstance(index, int):
        return index >= 0
    return all(c > 0 and all(nonnegative(lower_bound(Poly((((a,), 1),)))) for a in m)
               for m, c in index.terms)


def _uses(expr: Expr) -> Counter[int]:
    """How often each call in a decomposition is used, by identity."""
    seen: Counter[int] = Counter()

    def visit(e: Expr) -> None:
        if isinstance(e, Call):
            seen[id(e)] += 1
            if seen[id(e)] == 1:
                for arg in e.args:
                    visit(arg)
    visit(expr)
    return seen
