"""What runs on the CPU between draws: kernels of the target js over a memory of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from transpile.fuse import Group
from transpile.ir.dims import Dim, ceildiv, nonnegative
from transpile.ir.graph import Node
from transpile.ir.types import TensorType
from transpile.lower.stmt import Kernel
from transpile.targets.glsl.textures import Placed, layout_of


@dataclass(frozen=True)
class CpuCall:
    """Kernels that run in JS between draws, one after the other, over a memory of their own.

    Attributes:
        kernels: each with the offsets of its arguments, in their order.
        reads: what is read back from textures, and where to, in elements of its own view.
        copies: weights and inputs, which lie in the module's memory, and where to.
        written: what draws and results need of it: its texture, and where it lies.
        results: outputs of the model by name and where they lie, if this comes after all draws.
        words: size of that memory in units of four bytes.
        label: what is computed; `formula` and `where` are the last kernel's.
    """

    kernels: tuple[tuple[Kernel, tuple[Dim, ...]], ...]
    reads: tuple[tuple[Placed, Dim], ...]
    copies: tuple[tuple[Placed, Dim], ...]
    written: tuple[tuple[Placed, Dim], ...]
    results: tuple[tuple[str, TensorType, Dim], ...]
    words: Dim
    label: str
    formula: str = ""
    where: str = ""


class Step(Protocol):
    """A draw, or a kernel for the CPU, before it has a place."""

    output: Node
    reads: tuple[Node, ...]
    formula: str
    kernel: Kernel | None


S = TypeVar("S", bound=Step)


def in_parts(steps: Sequence[S], *, merged: bool) -> list[tuple[S, ...]]:
    """Draws one by one, and kernels on the CPU together, as late as a draw needs one of them.

    Args:
        merged: otherwise kernels on the CPU stay alone, and all in their order.
    """
    parts: list[tuple[S, ...]] = []
    held: list[S] = []
    for one in steps:
        if one.kernel is not None and merged:
            held.append(one)
            continue
        if held and {h.output for h in held}.intersection(one.reads):
            parts.append(tuple(held))
            held = []
        parts.append((one,))
    return [*parts, tuple(held)] if held else parts


def cpu_call(steps: Sequence[Step], places: Mapping[Node, Placed], written: Sequence[Node],
             outputs: Sequence[tuple[str, Node]] = ()) -> CpuCall:
    """The call of some kernels that gives the nodes `written`, and outputs by name."""
    memory = _Memory()
    kernels = []
    for one in steps:
        assert one.kernel is not None
        operands = [memory.place(n) for n in (*one.reads, one.output)]
        scratch = [memory.reserve(a.size) for a in one.kernel.args[len(operands):]]
        kernels.append((one.kernel, (*operands, *scratch)))
    made = {s.output for s in steps}
    outside = [n for n in memory.starts if n not in made]
    stored = [n for n in outside if n.is_constant or n.op == "input"]
    reads = tuple((places[n], memory.place(n)) for n in outside if n not in stored)
    copies = tuple((Placed(n.name, n.type, -1, layout_of(n.type)), memory.place(n))
                   for n in stored)
    last = steps[-1]
    return CpuCall(tuple(kernels), reads, copies,
                   tuple((places[n], memory.place(n)) for n in written),
                   tuple((name, n.type, memory.place(n)) for name, n in outputs), memory.words,
                   " + ".join(s.output.name for s in steps), last.formula,
                   str(replace(last.output.where, part_of="")))


TAIL = 2**14
"""Operations that the CPU has done before a shader for them would have begun."""

FEW = 2**12
"""Elements up to which reading a tensor back takes no longer than reading one."""

MANY = 2**14
"""Elements that draws store from which on a program less is worth it."""


def tail_of(groups: Sequence[Group], on_cpu: Callable[[Group], S]) -> list[S]:
    """The last groups, as far as they are better left to the CPU.

    A model often ends in a few numbers, for which shaders would have to be compiled, and which are
    read back anyway.
    """
    tail: list[S] = []
    work: Dim = 0
    drawn: Dim = sum((g.output.type.size for g in groups), 0)
    for group in reversed(groups):
        one = on_cpu(group)
        assert one.kernel is not None
        work, drawn = work + one.kernel.flops, drawn - group.output.type.size
        read = sum((n.type.size for n in one.reads if not n.is_constant), 0)
        if not (nonnegative(TAIL - work) and nonnegative(FEW - read)
                and nonnegative(drawn - MANY)):
            break
        tail.insert(0, one)
    return tail


class _Memory:
    """Places in the memory of a call, in elements of the view that each is read by."""

    def __init__(self) -> None:
        self.words: Dim = 0
        self.starts: dict[Node, Dim] = {}

    def reserve(self, size: Dim) -> Dim:
        start = self.words
        self.words = start + ceildiv(size, 4) * 4
        return start

    def place(self, node: Node) -> Dim:
        if node not in self.starts:
            self.starts[node] = self.reserve(node.type.size)
        start = self.starts[node]
        return start * 4 if node.dtype in ("uint8", "bool") else start
