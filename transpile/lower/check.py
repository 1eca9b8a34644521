"""Static checks of kernels: names, dtypes, and indices that stay inside their buffers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from transpile.errors import InternalError
from transpile.ir.dims import (
    Axis,
    Dim,
    Mod,
    Name,
    Opaque,
    atom,
    atoms,
    axis,
    lower,
    mod,
    nonnegative,
    substitute_axes,
    upper,
)
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, Pointer
from transpile.lower.scalar import SCALARS, result_dtype
from transpile.lower.stmt import Assign, Comment, Declare, For, If, Kernel, Let, Stmt, Store

MIXED = ("select", "shift_left", "shift_right")
"""Functions whose operands need not be of one dtype."""


@dataclass(frozen=True)
class CheckReport:
    """What was found out about the accesses of a kernel.

    Attributes:
        proved: how many lie inside their buffer for all sizes and all inputs.
        unknown: those that bounds alone cannot decide, as `buffer[index]`; most of them stand
            behind a condition.
    """

    proved: int
    unknown: tuple[str, ...]


def check_kernel(kernel: Kernel) -> CheckReport:
    """Check what must hold in every kernel.

    Every local, loop variable and buffer is defined before it is used, in a scope around the use,
    and no scope defines a name again; dtypes fit; only what is declared changes; only arguments
    that say so are written; no access certainly lies outside its buffer.

    Raises:
        InternalError: something does not hold; says what, in which kernel.
    """
    sizes = {a.name: a.size for a in kernel.args}
    scope = _Scope(buffers={a.name: _Buffer(a.dtype, a.size, 0, a.written) for a in kernel.args})
    checker = _Checker(kernel)
    checker.require(len(sizes) == len(kernel.args), "two arguments have one name")
    checker.block(kernel.body, scope)
    return CheckReport(checker.proved, tuple(dict.fromkeys(checker.unknown)))


@dataclass(frozen=True)
class _Buffer:
    """A buffer, and the element from which its pointer counts."""

    dtype: str
    size: Dim
    base: Dim
    written: bool


@dataclass
class _Scope:
    """What is known at some place.

    Attributes:
        locals: whether each may change, by name and dtype.
        ranges: loop variables with the bounds that their loops really keep.
    """

    buffers: dict[str, _Buffer] = field(default_factory=dict)
    locals: dict[tuple[str, str], bool] = field(default_factory=dict)
    axes: dict[str, Axis] = field(default_factory=dict)
    ranges: dict[str, Dim] = field(default_factory=dict)

    def inner(self) -> _Scope:
        return _Scope(dict(self.buffers), dict(self.locals), dict(self.axes), dict(self.ranges))


@dataclass
class _Checker:
    kernel: Kernel
    proved: int = 0
    unknown: list[str] = field(default_factory=list)

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            raise InternalError(f"kernel {self.kernel.name}: {what}", where=self.kernel.where)

    def block(self, body: Sequence[Stmt], scope: _Scope) -> None:
        for stmt in body:
            self.statement(stmt, scope)

    def statement(self, stmt: Stmt, scope: _Scope) -> None:
        if isinstance(stmt, For):
            self.loop(stmt, scope)
        elif isinstance(stmt, If):
            self.expr(stmt.condition, scope)
            self.require(stmt.condition.dtype == "bool", f"a branch on {stmt.condition.dtype}")
            self.block(stmt.then, scope.inner())
            self.block(stmt.otherwise, scope.inner())
        elif isinstance(stmt, Store):
            self.store(stmt, scope)
        elif isinstance(stmt, Assign):
            self.expr(stmt.value, scope)
            self.require(scope.locals.get((stmt.name, stmt.value.dtype), False),
                         f"{stmt.name} is not declared as {stmt.value.dtype}, and assigned to")
        elif isinstance(stmt, (Let, Declare)):
            self.define(stmt, scope)
        else:
            assert isinstance(stmt, Comment)

    def define(self, stmt: Let | Declare, scope: _Scope) -> None:
        value = stmt.value
        if isinstance(value, Pointer):
            self.require(stmt.name not in scope.buffers, f"{stmt.name} is defined twice")
            self.index(value.index, scope)
            base = self.buffer(value.buffer, scope)
            scope.buffers[stmt.name] = _Buffer(base.dtype, base.size, base.base + value.index,
                                               base.written)
            return
        self.expr(value, scope)
        self.require((stmt.name, value.dtype) not in scope.locals, f"{stmt.name} is defined twice")
        scope.locals[stmt.name, value.dtype] = isinstance(stmt, Declare)

    def loop(self, stmt: For, scope: _Scope) -> None:
        self.index(stmt.start, scope)
        self.index(stmt.stop, scope)
        self.index(stmt.axis.extent, scope)
        self.require(stmt.axis.name not in scope.axes, f"a loop in a loop over {stmt.axis.name}")
        self.require(stmt.step > 0, f"the loop over {stmt.axis.name} does not advance")
        inner = scope.inner()
        inner.axes[stmt.axis.name] = stmt.axis
        count = last_value(stmt) - stmt.start + 1
        inner.ranges[stmt.axis.name] = stmt.start + axis(stmt.axis.name, count)
        self.block(stmt.body, inner)

    def store(self, stmt: Store, scope: _Scope) -> None:
        self.expr(stmt.value, scope)
        buffer = self.buffer(stmt.buffer, scope)
        dtype, lanes = _scalar(stmt.value.dtype)
        self.require(buffer.written, f"{stmt.buffer} is stored to, and not marked as written")
        self.require(dtype == buffer.dtype,
                     f"{stmt.value.dtype} is stored in {stmt.buffer}, which is {buffer.dtype}")
        self.access(stmt.buffer, stmt.index, lanes, scope)

    def buffer(self, name: str, scope: _Scope) -> _Buffer:
        self.require(name in scope.buffers, f"there is no buffer {name}")
        return scope.buffers[name]

    def access(self, name: str, index: Dim, lanes: int, scope: _Scope) -> None:
        """Decide whether `lanes` elements from `index` on lie inside the buffer."""
        self.index(index, scope)
        buffer = self.buffer(name, scope)
        at = substitute_axes(buffer.base + index, scope.ranges)
        low, high = lower(at), upper(at)
        room = None if high is None else buffer.size - lanes - high
        if nonnegative(low) and nonnegative(room):
            self.proved += 1
            return
        outside = ((high is not None and nonnegative(-1 - high))
                   or (low is not None and nonnegative(low - buffer.size)))
        self.require(not outside, f"{name}[{index}] lies outside {name}[{buffer.size}]")
        self.unknown.append(f"{name}[{index}]")

    def index(self, index: Dim, scope: _Scope) -> None:
        """Every loop variable, name and local in an index is known."""
        for a in atoms(index):
            if isinstance(a, Axis):
                self.require(a.name in scope.axes, f"{a.name} stands outside its loop")
            elif isinstance(a, Name):
                self.require(a.name in self.kernel.dims, f"the kernel is not given {a.name}")
            elif isinstance(a, Opaque):
                self.expr(a.expr, scope)
                self.require(a.expr.dtype == "int32", f"an index of dtype {a.expr.dtype}")

    def expr(self, expr: Expr, scope: _Scope) -> None:
        if isinstance(expr, Local):
            self.require((expr.name, expr.dtype) in scope.locals,
                         f"{expr.name}, {expr.dtype}, is used before it is defined")
        elif isinstance(expr, Index):
            self.index(expr.index, scope)
        elif isinstance(expr, Load):
            dtype, lanes = _scalar(expr.dtype)
            known = self.buffer(expr.buffer, scope).dtype
            self.require(dtype == known, f"{expr.buffer} is {known}, and loaded as {expr.dtype}")
            self.access(expr.buffer, expr.index, lanes, scope)
        elif isinstance(expr, Call):
            self.call(expr, scope)
        else:
            self.require(isinstance(expr, Const), f"{expr} is no value")

    def call(self, expr: Call, scope: _Scope) -> None:
        for arg in expr.args:
            self.expr(arg, scope)
        self.require(expr.fn in SCALARS, f"there is no function {expr.fn}")
        dtypes = [a.dtype for a in expr.args]
        self.require(expr.dtype == result_dtype(expr.fn, *dtypes) or expr.fn.startswith("splat")
                     or expr.fn.startswith("lane"),
                     f"{expr.fn}({', '.join(dtypes)}) is not {expr.dtype}")
        same = dtypes[1:] if expr.fn == "select" else dtypes
        self.require(expr.fn in MIXED[1:] or _one(same),
                     f"{expr.fn} of {' and '.join(dtypes)}")


def last_value(loop: For) -> Dim:
    """An upper bound of a loop variable, the exact one where steps divide the way."""
    way = loop.stop - loop.start
    if isinstance(way, int):
        return loop.start + (way - 1) // loop.step * loop.step
    whole: Dim = way
    for a in set(atoms(way)):
        if isinstance(a, Mod) and a.divisor == loop.step:
            whole = whole + atom(a)
    divides = mod(way, loop.step) == 0 or way == whole - mod(whole, loop.step)
    return loop.stop - (loop.step if divides else 1)


def _scalar(dtype: str) -> tuple[str, int]:
    """A dtype's scalar kind, and how many of it there are."""
    return dtype.removesuffix("x4"), 4 if dtype.endswith("x4") else 1


def _one(items: Iterable[str]) -> bool:
    return len(set(items)) <= 1
