"""A `Program`: one graph lowered for one target, with all memory planned. `emit` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Union

import numpy as np

from transpile.ir.dims import Dim
from transpile.ir.graph import Graph
from transpile.ir.types import TensorType
from transpile.lower.stmt import Kernel

BufferKind = Literal["weight", "prepared", "input", "output", "temp"]


@dataclass(frozen=True)
class Buffer:
    """A place in the module's one memory.

    Attributes:
        name: unique in the program; from the user's names, not yet a JS name.
        type: dtype and shape of what lies there.
        kind: what is prepared from weights alone, once, when the module loads, comes first in
            memory; after it the weights. Both have fixed offsets.
        offset: in bytes, a multiple of 16; may depend on named dimensions.
    """

    name: str
    type: TensorType
    kind: BufferKind
    offset: Dim


@dataclass(frozen=True)
class Port:
    """An input or output as the user sees it: its own name (any string) and its buffer."""

    name: str
    type: TensorType
    buffer: str


@dataclass(frozen=True)
class Call:
    """One kernel call of a run: `kernel` by name, `args` by buffer name in the kernel's order.

    `formula` and `where` are of this call: kernels are shared between layers of one shape. A
    kernel's dimensions are the program's, except those that have a value in `sizes`.
    """

    kernel: str
    args: tuple[str, ...]
    label: str
    formula: str = ""
    where: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Branch:
    """Runs `then` where the bool in the buffer `condition` is true, else `otherwise`.

    `results` are labels and buffers of what comes out.
    """

    condition: str
    results: tuple[tuple[str, str], ...]
    then: tuple[Task, ...] = ()
    otherwise: tuple[Task, ...] = ()


@dataclass(frozen=True)
class Repeat:
    """Runs `body` again and again, its number in the buffer `counter`, from 0 on.

    Attributes:
        limit: the counter's end, or the buffer that holds it; None for no end.
        condition: a buffer whose bool is looked at before each trip.
        results: labels and buffers of what comes out.
    """

    counter: str
    limit: int | str | None
    condition: str | None
    results: tuple[tuple[str, str], ...]
    body: tuple[Task, ...] = ()


Task = Union[Call, Branch, Repeat]


def calls_in(tasks: Iterable[Task]) -> Iterator[Call]:
    """Every call, those inside branches and loops included, once each."""
    for task in tasks:
        if isinstance(task, Call):
            yield task
        elif isinstance(task, Branch):
            yield from calls_in((*task.then, *task.otherwise))
        else:
            yield from calls_in(task.body)


@dataclass(frozen=True)
class Program:
    """What a target's part of the module consists of.

    Attributes:
        target: name of the target that it was lowered for.
        weights: arrays by buffer name, in the layout that kernels read; buffers of kind "weight"
            lie from `weight_offset` on, in this order.
        dims: named dimensions, bound from the input shapes at each run.
        prepare: calls that run once at load and fill the "prepared" buffers.
        tasks: what a run consists of, in order.
        weight_offset: where the weights begin.
        passing_bytes: of the weights at the end that only `prepare` reads: a run may overwrite
            them.
        load_bytes: memory that `prepare` needs.
        panels: how many columns lie together, by buffer, where a matrix is not row-major.
        memory: bytes of all buffers together.
        state: the output whose value the next run finds in an input, by input.
        graph: what was lowered, every node named; a call's label is its node's name.
    """

    name: str
    origin: str
    target: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    dims: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    weights: dict[str, np.ndarray]
    kernels: tuple[Kernel, ...]
    tasks: tuple[Task, ...]
    weight_bytes: int
    memory: Dim
    graph: Graph
    prepare: tuple[Call, ...] = ()
    weight_offset: int = 0
    passing_bytes: int = 0
    load_bytes: int = 0
    panels: Mapping[str, int] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)

    @property
    def persistent_bytes(self) -> int:
        """Bytes from offset 0 on that outlive a run: the weights, and what is made of them."""
        return self.weight_offset + self.weight_bytes - self.passing_bytes

    def buffer(self, name: str) -> Buffer:
        return next(b for b in self.buffers if b.name == name)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call that a run may make, those inside branches and loops included, once each."""
        return tuple(calls_in(self.tasks))

    @property
    def flops(self) -> Dim:
        """Floating-point operations of one run: of a branch both sides, of a loop all trips if
        their number is known, else one."""
        return _work(self.tasks, {k.name: k.flops for k in self.kernels})


def _work(tasks: Iterable[Task], flops: Mapping[str, Dim]) -> Dim:
    total: Dim = 0
    for task in tasks:
        if isinstance(task, Call):
            total = total + flops[task.kernel]
        elif isinstance(task, Branch):
            total = total + _work(task.then, flops) + _work(task.otherwise, flops)
        else:
            trips = task.limit if isinstance(task.limit, int) else 1
            total = total + trips * _work(task.body, flops)
    return total
