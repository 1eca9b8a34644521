"""Runs kernels and programs over NumPy memory, one scalar at a time, checking every access.

This is a rung of the verification ladder between the NumPy references and the targets: it shares
the kernels with the targets, and nothing of their printers. It is slow, and meant for small sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transpile.errors import InternalError
from transpile.ir.dims import Atom, Axis, Dim, FloorDiv, Mod, Name, Opaque, evaluate
from transpile.ir.interpret import bind_dims
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, Pointer, lanes_of
from transpile.lower.scalar import SCALARS
from transpile.lower.stmt import Assign, Comment, Declare, For, If, Kernel, Let, Stmt, Store
from transpile.program import Branch, Program, Repeat, Task
from transpile.program import Call as CallTask

Scalar = Any
Evaluate = Callable[[], Scalar]
Run = Callable[[], None]

WIDE: Mapping[str, type[np.generic]] = {
    "float32": np.float64, "int32": np.int32, "uint8": np.uint8, "bool": np.bool_,
    "float64": np.float64}
"""What values are held in between loads and stores: float64 as in JavaScript."""

FRESH = 0xFF
"""What every byte of memory holds at first: floats are NaN, integers -1."""


@dataclass(frozen=True)
class Place:
    """A buffer's elements, and the element from which a pointer counts."""

    array: np.ndarray
    base: int
    name: str


def run_program(program: Program, inputs: Mapping[str, Any], *,
                single: bool = False) -> dict[str, np.ndarray]:
    """The outputs of a program by name, computed in the memory that it plans.

    Args:
        inputs: an array for each input by its name.
        single: round every intermediate value to float32; else only what is stored.

    Raises:
        ShapeError: an input is missing, or its shape does not fit.
        InternalError: a kernel reads or writes outside a buffer.
    """
    sizes = bind_dims(program.graph, inputs)
    heap = np.full(evaluate(program.memory, sizes), FRESH, np.uint8)
    places = {b.name: _view(heap, evaluate(b.offset, sizes), b.type.dtype,
                            evaluate(b.type.size, sizes)) for b in program.buffers}
    for name, array in program.weights.items():
        places[name][...] = np.asarray(array).reshape(-1)
    for port in program.inputs:
        places[port.buffer][...] = np.asarray(inputs[port.name]).reshape(-1)
    kernels = {k.name: k for k in program.kernels}

    def run_call(call: CallTask) -> None:
        kernel = kernels[call.kernel]
        run_kernel(kernel, [places[a] for a in call.args], {**sizes, **call.sizes}, single=single)
    run_tasks((*program.prepare, *program.tasks), places, run_call)
    return {port.name: places[port.buffer].reshape(
        [evaluate(d, sizes) for d in port.type.shape]).copy() for port in program.outputs}


def run_tasks(tasks: Iterable[Task], places: Mapping[str, np.ndarray],
              run_call: Callable[[CallTask], None]) -> None:
    """Run calls in order, and branches and loops as the buffers in `places` say."""
    for task in tasks:
        if isinstance(task, CallTask):
            run_call(task)
        elif isinstance(task, Branch):
            run_tasks(task.then if places[task.condition][0] else task.otherwise, places, run_call)
        else:
            counter = places[task.counter]
            counter[0] = 0
            while goes_on(task, places):
                run_tasks(task.body, places, run_call)
                counter[0] += 1


def goes_on(loop: Repeat, places: Mapping[str, np.ndarray]) -> bool:
    """True if there is another trip."""
    limit = places[loop.limit][0] if isinstance(loop.limit, str) else loop.limit
    within = limit is None or places[loop.counter][0] < limit
    return bool(within and (loop.condition is None or places[loop.condition][0]))


def _view(heap: np.ndarray, offset: int, dtype: str, size: int) -> np.ndarray:
    nbytes = size * np.dtype(dtype).itemsize
    if offset < 0 or offset + nbytes > heap.size:
        raise InternalError(f"a buffer at {offset} of {nbytes} bytes lies outside the memory",
                            why=f"the memory has {heap.size} bytes")
    return heap[offset:offset + nbytes].view(dtype)


def run_kernel(kernel: Kernel, arrays: Sequence[np.ndarray], sizes: Mapping[str, int] | None = None,
               *, single: bool = False) -> None:
    """Run one kernel on flat arrays, one for each argument; written ones are changed.

    Args:
        sizes: a number for each named dimension.
        single: round every intermediate value to float32.

    Raises:
        InternalError: an array has not the size that the kernel states, an access lies outside
            its buffer, or an index that is gathered breaks its bounds.
    """
    sizes = sizes or {}
    machine = Machine(kernel, dict(sizes), {**WIDE, "float32": np.float32} if single else WIDE)
    for arg, array in zip(kernel.args, arrays, strict=True):
        if array.shape != (evaluate(arg.size, sizes),) or array.dtype != arg.dtype:
            raise InternalError(
                f"kernel {kernel.name}: the argument {arg.name} is {arg.dtype}[{arg.size}]",
                why=f"it was given {array.dtype}{list(array.shape)}")
        machine.places[arg.name] = Place(array, 0, arg.name)
    with np.errstate(all="ignore"):
        machine.block(kernel.body)()


@dataclass
class Machine:
    """Turns statements into closures over the current values of names, and so runs them.

    Attributes:
        sizes: named dimensions.
        types: the NumPy type that holds values of each dtype.
        axes, places: current values of loop variables and buffers.
        locals: current values by name and dtype: one name may be a number and a vector of it.
    """

    kernel: Kernel
    sizes: Mapping[str, int]
    types: Mapping[str, type[np.generic]]
    axes: dict[str, int] = field(default_factory=dict)
    locals: dict[tuple[str, str], Scalar] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def block(self, body: Sequence[Stmt]) -> Run:
        steps = [self.statement(s) for s in body if not isinstance(s, Comment)]

        def run() -> None:
            for step in steps:
                step()
        return run

    def statement(self, stmt: Stmt) -> Run:
        if isinstance(stmt, For):
            return self.loop(stmt)
        if isinstance(stmt, If):
            return self.branch(stmt)
        if isinstance(stmt, Store):
            return self.store(stmt)
        assert isinstance(stmt, (Let, Declare, Assign))
        if isinstance(stmt.value, Pointer):
            return self.point(stmt.name, stmt.value)
        value, table, key = self.expr(stmt.value), self.locals, (stmt.name, stmt.value.dtype)

        def assign() -> None:
            table[key] = value()
        return assign

    def loop(self, stmt: For) -> Run:
        start, stop, body = self.dim(stmt.start), self.dim(stmt.stop), self.block(stmt.body)
        name, step, axes = stmt.axis.name, stmt.step, self.axes
        extent = self.dim(stmt.axis.extent)

        def run() -> None:
            limit = extent()
            for value in range(start(), stop(), step):
                if not 0 <= value < limit:
                    raise self.error(f"{name} is {value}, and {limit} should bound it")
                axes[name] = value
                body()
            axes.pop(name, None)
        return run

    def branch(self, stmt: If) -> Run:
        condition = self.expr(stmt.condition)
        then, otherwise = self.block(stmt.then), self.block(stmt.otherwise)

        def run() -> None:
            (then if condition() else otherwise)()
        return run

    def store(self, stmt: Store) -> Run:
        index, value, places = self.dim(stmt.index), self.expr(stmt.value), self.places
        name, lanes = stmt.buffer, lanes_of(stmt.value.dtype)

        def run() -> None:
            place = places[name]
            place.array[self.checked(place, index(), lanes)] = value()
        return run

    def point(self, name: str, pointer: Pointer) -> Run:
        index, places, buffer = self.dim(pointer.index), self.places, pointer.buffer

        def run() -> None:
            place = places[buffer]
            places[name] = Place(place.array, place.base + index(), place.name)
        return run

    def checked(self, place: Place, index: int, lanes: int = 1) -> int | slice:
        """Where an access goes; InternalError if a part of it lies outside the buffer."""
        at = place.base + index
        if not 0 <= at <= len(place.array) - lanes:
            raise self.error(f"index {at} lies outside {place.name}[{len(place.array)}]")
        return at if lanes == 1 else slice(at, at + lanes)

    def error(self, text: str) -> InternalError:
        values = ", ".join(f"{k}={v}" for k, v in {**self.sizes, **self.axes}.items())
        return InternalError(f"kernel {self.kernel.name}: {text}", where=self.kernel.where,
                             why=f"at {values}" if values else "")

    def expr(self, expr: Expr) -> Evaluate:
        if isinstance(expr, Const):
            number = self.kind(expr.dtype)(expr.value)
            return lambda: number
        if isinstance(expr, Local):
            table, key = self.locals, (expr.name, expr.dtype)
            return lambda: table[key]
        if isinstance(expr, Index):
            index = self.dim(expr.index)
            return lambda: np.int32(index())
        if isinstance(expr, Load):
            return self.load(expr)
        assert isinstance(expr, Call), expr
        return self.call(expr)

    def kind(self, dtype: str) -> Callable[[Scalar], Scalar]:
        """What makes a value of a dtype; four lanes are an array."""
        base = self.types[dtype.removesuffix("x4")]
        if lanes_of(dtype) == 1:
            return base
        return lambda value: np.broadcast_to(np.asarray(value).astype(base), 4)

    def load(self, expr: Load) -> Evaluate:
        index, kind = self.dim(expr.index), self.kind(expr.dtype)
        places, name, lanes = self.places, expr.buffer, lanes_of(expr.dtype)

        def value() -> Scalar:
            place = places[name]
            return kind(place.array[self.checked(place, index(), lanes)])
        return value

    def call(self, expr: Call) -> Evaluate:
        args, kind = [self.expr(a) for a in expr.args], self.kind(expr.dtype)
        if expr.fn == "select" and expr.args[0].dtype == "bool":
            condition, then, otherwise = args  # lazy: what is not chosen may not exist
            return lambda: then() if condition() else otherwise()
        if expr.fn in ("logical_and", "logical_or") and expr.dtype == "bool":
            left, right = args
            stops = expr.fn == "logical_or"

            def lazy() -> Scalar:
                first = left()
                return first if bool(first) == stops else right()
            return lazy
        if expr.fn == "to_float32":
            return lambda: kind(args[0]())
        function = SCALARS[expr.fn].evaluate
        return lambda: kind(function(*[a() for a in args]))

    def dim(self, value: Dim) -> Callable[[], int]:
        if isinstance(value, int):
            return lambda: value
        terms = [(coef, [self.atom(a) for a in monomial]) for monomial, coef in value.terms]

        def total() -> int:
            result = 0
            for coef, factors in terms:
                for factor in factors:
                    coef *= factor()
                result += coef
            return result
        return total

    def atom(self, a: Atom) -> Callable[[], int]:
        if isinstance(a, Name):
            size = self.sizes[a.name]
            return lambda: size
        if isinstance(a, Axis):
            axes, name = self.axes, a.name
            return lambda: axes[name]
        if isinstance(a, Opaque):
            return self.gathered(a)
        assert isinstance(a, (FloorDiv, Mod))
        number, by = self.dim(a.value), self.dim(a.divisor)
        if isinstance(a, FloorDiv):
            return lambda: number() // by()
        return lambda: number() % by()

    def gathered(self, a: Opaque) -> Callable[[], int]:
        value, low, high = self.expr(a.expr), a.low, self.dim(a.high)

        def index() -> int:
            found = int(value())
            if not low <= found <= high():
                raise self.error(f"the index {found} breaks its bounds {low}..{a.high}")
            return found
        return index


