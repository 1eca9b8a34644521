"""A whole program as one binary: its kernels, and functions that call them in order."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.lower.stmt import Kernel
from transpile.program import Call, Program
from transpile.targets.wasm.encoder import Function, Instruction, encode_module
from transpile.targets.wasm.printer import Printer


def assemble(program: Program, kernels: Sequence[Function], *, steps: bool = False) -> bytes:
    """The binary of a program.

    It exports `run`, with the program's dimensions as parameters, and `prepare` if something is
    made from weights at load; with `steps` also `step0`, `step1`, ..., one for each call of a run.
    Addresses are known here, so that a run is one call from JavaScript.

    Args:
        kernels: the program's kernels in order, printed.
    """
    numbers = {k.name: i for i, k in enumerate(program.kernels)}
    made = list(kernels)
    exports = {}
    if program.prepare:
        exports["prepare"] = len(made)
        made.append(_caller("prepare", program, program.prepare, numbers, ()))
    exports["run"] = len(made)
    made.append(_caller("run", program, program.calls, numbers, program.dims))
    for i, call in enumerate(program.calls if steps else ()):
        exports[f"step{i}"] = len(made)
        made.append(_caller(f"step{i}", program, [call], numbers, program.dims))
    return encode_module(made, exports)


def _caller(name: str, program: Program, calls: Sequence[Call], numbers: dict[str, int],
            dims: tuple[str, ...]) -> Function:
    """A function that makes `calls` with their addresses."""
    printer = Printer(Kernel(name, (), dims, ()))
    kernels = {k.name: k for k in program.kernels}
    code: list[Instruction] = printer.code
    for call in calls:
        for arg in call.args:
            printer.index(program.buffer(arg).offset)
        code += [("i32.const", call.sizes[d]) if d in call.sizes
                 else ("local.get", printer.numbers["dim", d])
                 for d in kernels[call.kernel].dims]
        code.append(("call", numbers[call.kernel]))
    return Function(name, len(dims), tuple(printer.types), tuple(code))
