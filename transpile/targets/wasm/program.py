"""A whole program as one binary: its kernels, and functions that call them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transpile.lower.stmt import Kernel
from transpile.program import Program, Task
from transpile.targets.wasm.content import sums_function
from transpile.targets.wasm.encoder import Function, encode_module
from transpile.targets.wasm.printer import Printer
from transpile.targets.wasm.tasks import print_tasks
from transpile.targets.wasm.threads import Team, barrier_function, run_function


def assemble(program: Program, kernels: Sequence[Function], *, steps: bool = False,
             team: Team | None = None, apart: bool = False) -> bytes:
    """The binary of a program.

    It exports `run`, with the program's dimensions as parameters, and `prepare` if something is
    made from weights at load; with `steps` also `step0`, `step1`, ..., one for each task of a run;
    with `apart` also `sums`. Addresses are known here, so that a run is one call from JavaScript.

    Args:
        kernels: the program's kernels in order, printed.
        team: what threads share; those kernels have their outermost bounds as parameters.
        apart: the weights lie in a file of their own, which is checked.
    """
    numbers = {k.name: i for i, k in enumerate(program.kernels)}
    made = list(kernels)
    exports = {}

    def export(name: str, tasks: Sequence[Task], dims: tuple[str, ...]) -> None:
        exports[name] = len(made)
        made.append(_caller(name, program, tasks, numbers, dims, team))
    if program.prepare:
        export("prepare", program.prepare, ())
    if team is None:
        export("run", program.tasks, program.dims)
    else:
        made.append(barrier_function())
        exports["run"] = len(made)
        made.append(run_function(program, team, numbers, len(made) - 1))
    for i, task in enumerate(program.tasks if steps else ()):
        export(f"step{i}", [task], program.dims)
    if apart:
        exports["sums"] = len(made)
        made.append(sums_function())
    return encode_module(made, exports, shared=team is not None)


def _caller(name: str, program: Program, tasks: Sequence[Task], numbers: Mapping[str, int],
            dims: tuple[str, ...], team: Team | None) -> Function:
    """A function that does `tasks`, whole on one thread."""
    printer = Printer(Kernel(name, (), dims, ()))
    print_tasks(printer, program, tasks, numbers, team)
    return Function(name, len(dims), tuple(printer.types), tuple(printer.code))
