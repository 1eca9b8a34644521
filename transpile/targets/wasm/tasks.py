"""What a program does in order, as instructions: calls, branches and loops on one thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from transpile.ir.dims import Dim, ceildiv, floordiv
from transpile.lower.stmt import For, Kernel
from transpile.program import Branch, Call, Program, Repeat, Task
from transpile.targets.wasm.printer import Printer

if TYPE_CHECKING:
    from transpile.targets.wasm.threads import Team


def print_tasks(printer: Printer, program: Program, tasks: Sequence[Task],
                numbers: Mapping[str, int], team: Team | None) -> None:
    """Do `tasks` with the addresses of their buffers.

    Args:
        numbers: of the functions, by kernel name.
        team: where it is given, the kernels that threads share have further parameters.
    """
    for task in tasks:
        if isinstance(task, Call):
            _call(printer, program, task, numbers, team)
        elif isinstance(task, Branch):
            _load(printer, program, task.condition, "i32.load8_u")
            printer.emit("if")
            print_tasks(printer, program, task.then, numbers, team)
            printer.emit("else")
            print_tasks(printer, program, task.otherwise, numbers, team)
            printer.emit("end")
        else:
            _repeat(printer, program, task, numbers, team)


def _call(printer: Printer, program: Program, call: Call, numbers: Mapping[str, int],
          team: Team | None) -> None:
    for arg in call.args:
        printer.index(program.buffer(arg).offset)
    push_sizes(printer, next(k for k in program.kernels if k.name == call.kernel), call)
    share = team.splits.get(call.kernel) if team else None
    for loop in share.shares if share else ():
        for bound in bounds(loop, 0, 1):
            printer.index(bound)
    printer.emit("call", numbers[call.kernel])


def _repeat(printer: Printer, program: Program, loop: Repeat, numbers: Mapping[str, int],
            team: Team | None) -> None:
    """A loop that tests before each trip; its number lies in memory, where kernels read it."""
    counter = program.buffer(loop.counter).offset
    printer.index(counter)
    printer.emit("i32.const", 0)
    printer.emit("i32.store", 0)
    printer.emit("block")
    printer.emit("loop")
    if loop.limit is not None:
        _load(printer, program, loop.counter, "i32.load")
        if isinstance(loop.limit, int):
            printer.emit("i32.const", loop.limit)
        else:
            _load(printer, program, loop.limit, "i32.load")
        printer.emit("i32.ge_s")
        printer.emit("br_if", 1)
    if loop.condition is not None:
        _load(printer, program, loop.condition, "i32.load8_u")
        printer.emit("i32.eqz")
        printer.emit("br_if", 1)
    print_tasks(printer, program, loop.body, numbers, team)
    printer.index(counter)
    _load(printer, program, loop.counter, "i32.load")
    printer.emit("i32.const", 1)
    printer.emit("i32.add")
    printer.emit("i32.store", 0)
    printer.emit("br", 0)
    printer.emit("end")
    printer.emit("end")


def _load(printer: Printer, program: Program, buffer: str, instruction: str) -> None:
    printer.index(program.buffer(buffer).offset)
    printer.emit(instruction, 0)


def push_sizes(printer: Printer, kernel: Kernel, call: Call) -> None:
    """Push the kernel's dimensions: the program's, or those of this call."""
    for name in kernel.dims:
        if name in call.sizes:
            printer.emit("i32.const", call.sizes[name])
        else:
            printer.emit("local.get", printer.numbers["dim", name])


def iterations(loop: For) -> Dim:
    return ceildiv(loop.stop - loop.start, loop.step)


def bounds(share: For, thread: Dim, threads: Dim) -> tuple[Dim, Dim]:
    """Where a thread begins and ends, in steps of the loop."""
    count = iterations(share)
    first, last = (floordiv(count * t, threads) for t in (thread, thread + 1))
    return share.start + share.step * first, share.start + share.step * last
