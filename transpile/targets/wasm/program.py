"""A whole program as one binary: its kernels, and functions that call them in order."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.lower.stmt import Kernel
from transpile.program import Call, Program
from transpile.targets.wasm.encoder import Function, Instruction, encode_module
from transpile.targets.wasm.printer import Printer
from transpile.targets.wasm.threads import (
    Team,
    barrier_function,
    bounds,
    push_sizes,
    run_function,
)


def assemble(program: Program, kernels: Sequence[Function], *, steps: bool = False,
             team: Team | None = None) -> bytes:
    """The binary of a program.

    It exports `run`, with the program's dimensions as parameters, and `prepare` if something is
    made from weights at load; with `steps` also `step0`, `step1`, ..., one for each call of a run.
    Addresses are known here, so that a run is one call from JavaScript.

    Args:
        kernels: the program's kernels in order, printed.
        team: what threads share; those kernels have their outermost bounds as parameters.
    """
    numbers = {k.name: i for i, k in enumerate(program.kernels)}
    made = list(kernels)
    exports = {}

    def export(name: str, calls: Sequence[Call], dims: tuple[str, ...]) -> None:
        exports[name] = len(made)
        made.append(_caller(name, program, calls, numbers, dims, team))
    if program.prepare:
        export("prepare", program.prepare, ())
    if team is None:
        export("run", program.calls, program.dims)
    else:
        made.append(barrier_function())
        exports["run"] = len(made)
        made.append(run_function(program, team, numbers, len(made) - 1))
    for i, call in enumerate(program.calls if steps else ()):
        export(f"step{i}", [call], program.dims)
    return encode_module(made, exports, shared=team is not None)


def _caller(name: str, program: Program, calls: Sequence[Call], numbers: dict[str, int],
            dims: tuple[str, ...], team: Team | None) -> Function:
    """A function that makes `calls` with their addresses, whole on one thread."""
    printer = Printer(Kernel(name, (), dims, ()))
    kernels = {k.name: k for k in program.kernels}
    code: list[Instruction] = printer.code
    for call in calls:
        for arg in call.args:
            printer.index(program.buffer(arg).offset)
        push_sizes(printer, kernels[call.kernel], call)
        share = team.splits.get(call.kernel) if team else None
        for loop in share.shares if share else ():
            for bound in bounds(loop, 0, 1):
                printer.index(bound)
        code.append(("call", numbers[call.kernel]))
    return Function(name, len(dims), tuple(printer.types), tuple(code))
