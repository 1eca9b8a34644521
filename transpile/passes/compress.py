"""Stores constants in fewer bytes: float32 becomes float16 or int8, expanded when a module loads.

It runs after the pipeline, so that what is rounded is what kernels read (batch norm folded in,
layouts chosen), and no other pass sees the rounding. int8 has one scale per output channel; a
tensor that it would change by more than `INT8_LIMIT` stays in float16, and one that float16 would
change by more than `HALF_LIMIT` in float32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from transpile.ir.graph import Graph, Node, all_graphs, map_graphs
from transpile.naming import with_weight_names
from transpile.ops.compact import expand_half, expand_int8, halves, quantised
from transpile.ops.registry import make
from transpile.passes.tools import new_constant, part_of

Storage = Literal["float32", "float16", "int8"]
STORAGES: tuple[Storage, ...] = ("float32", "float16", "int8")

LEAST = 256
"""Elements below which a tensor is not worth a kernel that expands it."""

INT8_LIMIT = 0.02
"""The largest root mean square of the error over that of the weights; normally distributed
weights have about 0.01."""

HALF_LIMIT = 1e-3
"""The same for float16: normal numbers have at most 2.4e-4, denormal ones more."""


@dataclass(frozen=True)
class Stored:
    """How one tensor is stored.

    Attributes:
        storage: one of `STORAGES`, or the dtype of a tensor that holds no floats.
        nbytes: with its scales.
        error: root mean square of the rounding over that of the values.
        refused: what was asked for, if its error was beyond the limit.
    """

    name: str
    storage: str
    nbytes: int
    error: float = 0.0
    refused: str = ""


@dataclass(frozen=True)
class Compressed:
    """A graph whose constants are stored in fewer bytes.

    Attributes:
        graph: with operators that expand them.
        rounded: the same with constants of what they expand to: what the module computes.
        original: as it was.
        tensors: one record for each constant of the graph, numbers that stand in code left out.
    """

    graph: Graph
    rounded: Graph
    original: Graph
    tensors: tuple[Stored, ...]

    @property
    def changed(self) -> bool:
        """True if anything is rounded."""
        return self.graph is not self.original

    @property
    def bytes_by_storage(self) -> dict[str, int]:
        """Bytes of all tensors of each kind."""
        total: Counter[str] = Counter()
        for tensor in self.tensors:
            total[tensor.storage] += tensor.nbytes
        return {s: total[s] for s in (*STORAGES, *sorted(total.keys() - set(STORAGES)))
                if total[s]}

    @property
    def refused(self) -> tuple[Stored, ...]:
        """Tensors that are stored with more bits than asked for."""
        return tuple(t for t in self.tensors if t.refused)


def compress(graph: Graph, storage: Storage = "float32") -> Compressed:
    """Store the constants of an optimised graph of primitive ops as `storage` where that is fit."""
    graph = with_weight_names(graph)  # before targets change it, each in its own way
    made = {node: _stored(node, storage) for one in all_graphs(graph) for node in one.constants}
    expanded = {node: node if small is None else small.expand() for node, small in made.items()}
    rounded = {node: node if small is None else new_constant(small.value, node)
               for node, small in made.items()}
    tensors = tuple(_record(node, small, storage, packed=_is_packed(graph, node))
                    for node, small in made.items() if node.value.size > 1)
    if all(small is None for small in made.values()):
        return Compressed(graph, graph, graph, tensors)
    return Compressed(_replaced(graph, expanded), _replaced(graph, rounded), graph, tensors)


@dataclass(frozen=True)
class _Small:
    """A constant's operands for the operator that expands it, and what that gives."""

    source: Node
    storage: Storage
    op: str
    parts: tuple[tuple[str, np.ndarray], ...]
    value: np.ndarray

    def expand(self) -> Node:
        source = self.source
        operands = [part_of(source, name, array) for name, array in self.parts]
        return make(self.op, *operands, where=source.where, label=source.name)

    @property
    def error(self) -> float:
        return relative_error(self.value, self.source.value)


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Root mean square of the difference over that of what is wanted; infinite if not finite."""
    with np.errstate(all="ignore"):
        wide = wanted.astype(np.float64)
        error = float(np.linalg.norm(got - wide) / (np.linalg.norm(wide) or 1))
    return error if np.isfinite(error) else np.inf


def _stored(node: Node, storage: Storage) -> _Small | None:
    """The smallest form that is close enough; None to leave the constant alone."""
    if storage == "float32" or node.dtype != "float32" or node.value.size < LEAST or not (
            np.isfinite(node.value).all()):
        return None
    if storage == "int8" and _is_matrix(node):
        best = min((_int8(node, axis) for axis in _axes(node)), key=lambda s: s.error)
        if best.error <= INT8_LIMIT:
            return best
    half = _half(node)
    return half if half.error <= HALF_LIMIT else None


def _is_matrix(node: Node) -> bool:
    """True if there is more than one number for each index of the last axis."""
    return len([size for size in node.value.shape if size > 1]) > 1


def _axes(node: Node) -> Sequence[int]:
    """The last axis holds output channels; a table has rows that differ in scale instead."""
    rows = node.value.shape[0]
    return (-1, 0) if node.type.rank == 2 and rows * 16 <= node.value.size else (-1,)


def _half(node: Node) -> _Small:
    high, low = halves(node.value)
    return _Small(node, "float16", "expand_half", (("high", high), ("low", low)),
                  expand_half(high, low))


def _int8(node: Node, axis: int) -> _Small:
    stored, scale = quantised(node.value, axis)
    return _Small(node, "int8", "expand_int8", (("int8", stored), ("scale", scale)),
                  expand_int8(stored, scale))


def _record(node: Node, small: _Small | None, storage: Storage, *, packed: bool = False) -> Stored:
    wanted = node.dtype == "float32" and node.value.size >= LEAST
    if small is None:
        missed = wanted and storage != "float32"
        kind = "int8" if packed else node.dtype
        return Stored(node.name, kind, node.value.nbytes, refused=storage if missed else "")
    missed = small.storage != storage and _is_matrix(node)
    return Stored(node.name, small.storage, sum(a.nbytes for _, a in small.parts), small.error,
                  storage if missed else "")


def _is_packed(graph: Graph, node: Node) -> bool:
    """True for int8 weights in words of four, which are multiplied as integers."""
    return any(u.op in ("widen_int8", "contract_int8") for u in graph.users.get(node, ()))


def _replaced(graph: Graph, new: Mapping[Node, Node]) -> Graph:
    return map_graphs(graph, lambda one: one.rewrite(new.get))
