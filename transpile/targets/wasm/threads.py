"""Kernels whose outermost loops are shared out among threads, and where these wait for each other.

Every thread runs the whole sequence of calls: of a kernel with enough work its own share of the
outermost loops' iterations, kernels with little work, branches and loops on the first thread alone,
and a barrier between calls. No iteration is computed differently, so results do not depend on the
number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from transpile.ir.dims import Dim, dim
from transpile.lower.expr import Load
from transpile.lower.memory import align
from transpile.lower.stmt import Argument, Comment, For, Kernel, Let, Stmt
from transpile.lower.vectorize import vectorize
from transpile.lower.walk import evaluated, parts, statements
from transpile.program import Call, Program
from transpile.targets.wasm.encoder import Function, Instruction
from transpile.targets.wasm.printer import Printer
from transpile.targets.wasm.tasks import bounds, iterations, print_tasks, push_sizes

WORTH = 200_000
"""Operations of a call that are shared out: some 5 us of work, against 1 us for a barrier."""

WORTH_WAKING = 20_000_000
"""Operations of a run for which other threads are woken up, which takes 10 to 20 us: those
that take less than half a millisecond would gain little, and lose much on a busy machine."""

MOST_LOOPS = 4
"""Outermost loops of a kernel that is shared out."""

SPINS = 20_000
"""Looks at a barrier before a thread goes to sleep there: some 20 us."""

GENERATION, MAY_WAIT, CONTROL = 64, 68, 128
"""Bytes from the base of a run's shared words: arrivals at 0, the barrier's generation, whether
the first thread may sleep (browsers forbid it to their main thread), and where scratch begins."""


@dataclass(frozen=True)
class Split:
    """A kernel's function with the bounds of its outermost loops as further dimensions.

    Attributes:
        kernel: what is printed; its dimensions end with first and last of each loop.
        shares: those loops as they were.
    """

    kernel: Kernel
    body: tuple[Stmt, ...]
    shares: tuple[For, ...]


@dataclass(frozen=True)
class Team:
    """What of a program is shared out.

    Attributes:
        splits: by kernel name.
        scratch: bytes of scratch memory for each thread.
        work: operations of a run that are shared out.
    """

    splits: Mapping[str, Split]
    scratch: int
    work: Dim


def team_of(program: Program) -> Team | None:
    """What threads share of a run; None if that is not worth waking them up."""
    sized = {c.kernel for c in (*program.prepare, *program.calls) if c.sizes}
    found = {k.name: s for k in program.kernels
             if k.name not in sized and (s := split(k)) is not None}
    kernels = {k.name: k for k in program.kernels}
    shared = [kernels[c.kernel] for c in program.tasks if isinstance(c, Call) and c.kernel in found]
    work: Dim = 0
    for kernel in shared:
        work = work + kernel.flops
    if isinstance(work, int) and work < WORTH_WAKING:
        return None
    scratch = max(sum(map(nbytes, scratches(k))) for k in shared)
    return Team(found, -(-scratch // 64) * 64, work)


def scratches(kernel: Kernel) -> tuple[Argument, ...]:
    """The scratch buffers, which are the arguments after the output."""
    return tuple(a for a in kernel.args if a.written)[1:]


def nbytes(scratch: Argument) -> int:
    """A scratch buffer's bytes, the next one's alignment included."""
    assert isinstance(scratch.size, int) and scratch.dtype == "float32", scratch
    return align(4 * scratch.size)


def split(kernel: Kernel) -> Split | None:
    """The kernel with its outermost loops open; None if it has little work, or other statements."""
    body = vectorize(kernel.body)
    loops = [s for s in body if isinstance(s, For)]
    little = isinstance(kernel.flops, int) and kernel.flops < WORTH
    if little or not kernel.parallel or not 0 < len(loops) <= MOST_LOOPS or not all(
            isinstance(s, (For, Let, Comment)) for s in body):
        return None
    if all(iterations(loop) == 1 for loop in loops) or _in_stages(kernel, loops):
        return None
    names = [(f"first {i}", f"last {i}") for i in range(len(loops))]
    ends = iter(names)

    def opened(stmt: Stmt) -> Stmt:
        if not isinstance(stmt, For):
            return stmt
        first, last = next(ends)
        return replace(stmt, start=dim(first), stop=dim(last))
    dims = (*kernel.dims, *(n for pair in names for n in pair))
    return Split(replace(kernel, dims=dims), tuple(map(opened, body)), tuple(loops))


def _in_stages(kernel: Kernel, loops: Sequence[For]) -> bool:
    """True if a loop may read what an earlier one wrote: they are not parts of one loop."""
    written = {a.name for a in kernel.args if a.written}
    reads = {p.buffer for s in statements(loops) for e in evaluated(s) for p in parts(e)
             if isinstance(p, Load)}
    return len({loop.axis.name for loop in loops}) > 1 and not written.isdisjoint(reads)


def run_function(program: Program, team: Team, numbers: Mapping[str, int], barrier: int
                 ) -> Function:
    """What every thread executes: `run(...dims, base, thread, threads)`.

    Args:
        numbers: of the functions, by kernel name.
        barrier: the number of that function.
    """
    dims = (*program.dims, "base", "thread", "threads")
    printer = Printer(Kernel("run", (), dims, ()))
    alone = None
    for task in program.tasks:
        shared = isinstance(task, Call) and task.kernel in team.splits
        if alone is not None and (shared or not alone):
            printer.code += [("end",)] if alone else []
            _barrier(printer, barrier)
        if not shared and not alone:
            printer.code += [("local.get", printer.numbers["dim", "thread"]), ("i32.eqz",),
                             ("if",)]
        alone = not shared
        if isinstance(task, Call) and shared:
            _call(printer, program, team, task)
            printer.emit("call", numbers[task.kernel])
        else:
            print_tasks(printer, program, [task], numbers, team)
    printer.code += [("end",)] if alone else []
    return Function("run", len(dims), tuple(printer.types), tuple(printer.code))


def _barrier(printer: Printer, number: int) -> None:
    for name in ("base", "thread", "threads"):
        printer.emit("local.get", printer.numbers["dim", name])
    printer.emit("call", number)


def _call(printer: Printer, program: Program, team: Team, call: Call) -> None:
    """Push the arguments of a shared call; scratch memory is the thread's own."""
    kernel = next(k for k in program.kernels if k.name == call.kernel)
    share = team.splits[call.kernel]
    own = scratches(kernel)
    for name in call.args[:len(call.args) - len(own)]:
        printer.index(program.buffer(name).offset)
    at = dim("base") + CONTROL + dim("thread") * team.scratch
    for scratch in own:
        printer.index(at)
        at = at + nbytes(scratch)
    push_sizes(printer, kernel, call)
    for loop in share.shares:
        for bound in bounds(loop, dim("thread"), dim("threads")):
            printer.index(bound)


def barrier_function() -> Function:
    """`barrier(base, thread, threads)`: the last one to arrive lets all others go on.

    Looks a while before it sleeps; the first thread sleeps only where it may.
    """
    base, thread, threads, generation, left = range(5)
    arrive: list[Instruction] = [
        ("local.get", threads), ("i32.const", 1), ("i32.eq",), ("if",), ("return",), ("end",),
        ("local.get", base), ("i32.atomic.load", GENERATION), ("local.set", generation),
        ("local.get", base), ("i32.const", 1), ("i32.atomic.rmw.add", 0),
        ("local.get", threads), ("i32.const", 1), ("i32.sub",), ("i32.eq",), ("if",),
        ("local.get", base), ("i32.const", 0), ("i32.atomic.store", 0),
        ("local.get", base), ("i32.const", 1), ("i32.atomic.rmw.add", GENERATION), ("drop",),
        ("local.get", base), ("i32.const", -1), ("memory.atomic.notify", GENERATION), ("drop",),
        ("return",), ("end",)]
    wait: list[Instruction] = [
        ("i32.const", SPINS), ("local.set", left), ("loop",),
        ("local.get", base), ("i32.atomic.load", GENERATION), ("local.get", generation),
        ("i32.ne",), ("if",), ("return",), ("end",),
        ("local.get", left), ("if",), ("local.get", left), ("i32.const", 1), ("i32.sub",),
        ("local.set", left), ("br", 1), ("end",),
        ("local.get", thread), ("local.get", base), ("i32.load", MAY_WAIT), ("i32.or",), ("if",),
        ("local.get", base), ("local.get", generation), ("i64.const", -1),
        ("memory.atomic.wait32", GENERATION), ("drop",), ("end",), ("br", 0), ("end",)]
    return Function("barrier", 3, ("i32", "i32"), (*arrive, *wait))
