"""The memory of a program: what is made of weights, the weights, and an arena for each run."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from transpile.ir.dims import Dim
from transpile.ir.graph import Graph, Node
from transpile.ir.types import TensorType
from transpile.lower.memory import Lifetime, align, plan
from transpile.lower.storage import Storage
from transpile.program import Branch, Buffer, BufferKind, Call, Repeat

ITEM_BYTES = {"float32": 4, "int32": 4, "uint8": 1, "bool": 1}

Living = tuple[Lifetime, TensorType, BufferKind]


@dataclass(frozen=True)
class Step:
    """A call, the nodes in whose memory it stores, and those whose memory it reads.

    Attributes:
        call: what is done; a `Mark` where a branch or loop begins or ends.
        at_load: True where it depends on weights alone, and so runs once.
        scratches: names and types of buffers that live during this call only.
    """

    call: Call | Mark
    outputs: tuple[Node, ...]
    reads: tuple[Node, ...]
    at_load: bool
    scratches: tuple[tuple[str, TensorType], ...] = ()


@dataclass(frozen=True)
class Mark:
    """A place between calls: a branch or loop begins, its other side begins, or it ends."""

    task: Branch | Repeat | None = None
    ends: bool = False


@dataclass(frozen=True)
class Arrangement:
    """Where every buffer lies; see `Program` for the numbers.

    Attributes:
        constants: the weights in the order in which they lie.
    """

    buffers: tuple[Buffer, ...]
    constants: tuple[Node, ...]
    weight_offset: int
    weight_bytes: int
    passing_bytes: int
    load_bytes: int
    memory: Dim


def arrange(graph: Graph, steps: Sequence[Step], storage: Storage, *, reuse: bool,
            lasting: Container[str] = ()) -> Arrangement:
    """Plan all memory.

    From offset 0 on lies what is made of weights, then the weights, last those that only the
    making reads. With `reuse` the arena of a run begins before these and overwrites them, and what
    is made on the way lies behind them. Nothing overwrites the inputs named in `lasting`.
    """
    prepared = [s for s in steps if s.at_load]
    run = [s for s in steps if not s.at_load]
    read_later = {n for s in run for n in s.reads} | {storage.root(n) for _, n in graph.outputs}
    read = dict.fromkeys([*(n for s in steps for n in s.reads),
                          *(storage.root(n) for _, n in graph.outputs)])
    passing = [n for n in read if n.is_constant and reuse and n not in read_later]
    kept = [n for n in read if n.is_constant and n not in passing]
    made = [n for s in prepared for n in s.outputs if n in read_later or not reuse]
    results, start = _in_a_row(made, "prepared", 0)
    weights, arena = _in_a_row(kept, "weight", start)
    passed, end = _in_a_row(passing, "weight", arena)
    living = _lifetimes(graph, run, storage, lasting) + _scratches(enumerate(run))
    at_load = _scratches((p if reuse else -2, s) for p, s in enumerate(prepared))
    if reuse:
        made_on_the_way, loaded = _placed(at_load + _between(prepared, made), end)
    else:
        living, made_on_the_way, loaded = living + at_load, [], end
    temporaries, memory = _placed(living, arena, lasting)
    if isinstance(memory, int) and isinstance(loaded, int):
        memory = max(memory, loaded)
    assert isinstance(loaded, int), "what depends on weights alone has a fixed size"
    return Arrangement((*results, *weights, *passed, *made_on_the_way, *temporaries),
                       (*kept, *passing), start, end - start, end - arena, loaded, memory)


def nbytes(type_: TensorType) -> Dim:
    """The size of a tensor in memory, in bytes."""
    return type_.size * ITEM_BYTES[type_.dtype]


def _in_a_row(nodes: Sequence[Node], kind: BufferKind, start: int) -> tuple[list[Buffer], int]:
    buffers, position = [], start
    for node in nodes:
        size = nbytes(node.type)
        assert isinstance(size, int), f"{node.name} depends on weights alone: its size is fixed"
        buffers.append(Buffer(node.name, node.type, kind, position))
        position += align(size)
    return buffers, position


def _placed(living: Sequence[Living], start: int, lasting: Container[str] = ()
            ) -> tuple[list[Buffer], Dim]:
    offsets, end = plan([lifetime for lifetime, _, _ in living], start, lasting)
    return [Buffer(lf.name, type_, kind, offsets[lf.name]) for lf, type_, kind in living], end


def _lifetimes(graph: Graph, run: Sequence[Step], storage: Storage, lasting: Container[str]
               ) -> list[Living]:
    last: dict[Node, int] = {}
    for position, step in enumerate(run):
        last.update(dict.fromkeys(step.reads, position))
    outputs = {storage.root(n) for _, n in graph.outputs}
    last.update(dict.fromkeys(outputs, len(run)))
    last.update({n: len(run) for n in graph.inputs if n.name in lasting})
    result: list[Living] = [
        (Lifetime(n.name, nbytes(n.type), -1, last.get(n, -1)), n.type, "input")
        for n in graph.inputs]
    first: dict[Node, int] = {}
    for position, step in enumerate(run):
        for node in step.outputs:
            first.setdefault(node, position)
            last[node] = max(last.get(node, 0), position)
    for node, position in first.items():
        result.append((Lifetime(node.name, nbytes(node.type), position, last[node]), node.type,
                       "output" if node in outputs else "temp"))
    return result


def _between(prepared: Sequence[Step], made: Sequence[Node]) -> list[Living]:
    """What is made at load for other preparations alone."""
    last = {n: position for position, step in enumerate(prepared) for n in step.reads}
    return [(Lifetime(n.name, nbytes(n.type), position, last.get(n, position)), n.type, "prepared")
            for position, s in enumerate(prepared) for n in s.outputs if n not in made]


def _scratches(steps: Iterable[tuple[int, Step]]) -> list[Living]:
    """Scratch buffers live during their call; those used at load may lie anywhere (-2)."""
    return [(Lifetime(name, nbytes(type_), position, position), type_, "temp")
            for position, step in steps for name, type_ in step.scratches]
