"""Prints the loop IR as WebAssembly instructions; knows no graph operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from transpile.ir.dims import atoms, ceildiv, nonnegative
from transpile.ir.dims import lower as lower_bound
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, Pointer
from transpile.lower.fma import fused
from transpile.lower.scalar import SCALARS, cost
from transpile.lower.stmt import Assign, Declare, For, If, Let, Stmt, Store
from transpile.lower.walk import indices, parts, statements, uses
from transpile.targets.wasm.body import SIZES, Body, kind_of, never_negative, scaled
from transpile.targets.wasm.encoder import Function

DEAR = 8
"""A selection's operand of this cost is skipped by a branch where it is not wanted."""

LOADS = {"float32": "f32.load", "int32": "i32.load", "uint8": "i32.load8_u",
         "bool": "i32.load8_u", "float32x4": "v128.load", "int32x4": "v128.load",
         "uint8x4": "v128.load32_zero"}
WIDEN = {"uint8x4": ("i16x8.extend_low_i8x16_u", "i32x4.extend_low_i16x8_s")}
"""What follows a load whose elements are narrower than the lanes that hold them."""

STORES = {"float32": "f32.store", "int32": "i32.store", "uint8": "i32.store8",
          "bool": "i32.store8", "float32x4": "v128.store", "int32x4": "v128.store"}


@dataclass
class Printer(Body):
    """Statements and expressions.

    Attributes:
        falling: pointers that some statement moves down.
        shared: locals that hold parts of the decomposition being printed, by identity.
        wanted: how often each of its parts is used.
        column: of the scalar table: "wasm", or "relaxed".
    """

    falling: set[str] = field(default_factory=set)
    shared: dict[int, int] = field(default_factory=dict)
    wanted: Counter[int] = field(default_factory=Counter)
    column: str = "wasm"

    def function(self, name: str, body: Sequence[Stmt]) -> Function:
        self.falling = {s.name for s in statements(body) if isinstance(s, Assign)
                        and isinstance(s.value, Pointer) and not never_negative(s.value.index)}
        self.block(body)
        return Function(name, self.params, tuple(self.types), tuple(self.code))

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
        if value.buffer in self.safe and never_negative(index) and name not in self.falling:
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
        """A number; a vector of it takes a splat, which is half as long as a vector constant."""
        lanes = value.dtype.endswith("x4")
        dtype = value.dtype.removesuffix("x4")
        whole = "float" not in dtype
        number = -int(value.value) if lanes and dtype == "bool" else value.value
        self.emit(f"{kind_of(dtype)}.const", int(number) if whole else number)
        if lanes:
            self.emit("i32x4.splat" if whole else "f32x4.splat")

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
        cell = row.cell(self.column, value.args[0].dtype)
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
                self.emit(name, *map(int, immediate.split(",") if immediate else ()))

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
        if self.column == "relaxed":
            expanded = fused(expanded)
        self.shared, self.wanted = {}, uses(expanded)
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
