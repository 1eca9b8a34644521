"""Inputs to verify with: seeded random ones at several sizes, and those that the user gives."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from transpile.errors import ShapeError, SourceError
from transpile.ir.dims import Dim, evaluate
from transpile.ir.graph import Graph, Node
from transpile.ir.limits import size_limits

Inputs = dict[str, np.ndarray]
Ranges = Mapping[str, tuple[float | None, float | None]]

SIZES = (3, 1, 6)
"""Sizes tried for named dimensions: odd, the broadcasting trap, and one past a tile of four."""

WORK = 4e10
"""Operations of all runs on random inputs together: beyond them, fewer sizes are tried."""

RAISES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
"""What is added to a size until every tensor has an element."""

_VIEWS = {"cast", "reshape", "transpose", "broadcast_to", "slice", "take", "where"}
_INDEXED = {"take": 0, "embedding": 1, "take_along_axis": 0, "gather_nd": 0}


def random_inputs(graph: Graph, ranges: Ranges | None = None, seed: int = 0, work: Dim = 0
                  ) -> Iterator[Inputs]:
    """One set of inputs per entry of `SIZES`, or a single set if no dimension is named.

    Where a run is `work` operations, and all of them would be too many, the smaller ones. Several
    named dimensions get different sizes, so that a mix-up shows. Floats are normal where
    no range is given; integers that index a table stay inside of it.
    """
    for turn, sizes in enumerate(sample_sizes(graph, work)):
        rng = np.random.default_rng([seed, turn])
        yield {node.name: _draw(rng, node, sizes, (ranges or {}).get(node.name, (None, None)),
                                _table_size(graph, node, sizes)) for node in graph.inputs}


def sample_sizes(graph: Graph, work: Dim = 0) -> list[dict[str, int]]:
    """Sizes for the named dimensions: one dict per turn, each with no tensor empty.

    Of a run of `work` operations as many as `WORK` allows, at least the cheapest. A size that a
    window or slice does not fit into is raised until it does.
    """
    names = graph.dim_names
    if not names:
        return [{}]
    result: list[dict[str, int]] = []
    for turn in range(len(SIZES)):
        tries = ({name: _size(turn, place) + extra for place, name in enumerate(names)}
                 for extra in RAISES)
        sizes = next((s for s in tries if _fits(graph, s)), None)
        if sizes and sizes not in result:
            result.append(sizes)
    if not result:
        raise ShapeError(f"no sizes of {', '.join(names)} were found to verify with",
                         why="some tensor is empty with all that were tried",
                         fix="give a sample, or fixed sizes as inputs")
    return _affordable(result, work)


def _affordable(choices: list[dict[str, int]], work: Dim) -> list[dict[str, int]]:
    costs = [evaluate(work, sizes) for sizes in choices]
    order = sorted(range(len(choices)), key=costs.__getitem__)
    totals = accumulate(costs[i] for i in order)
    kept = {i for i, total in zip(order, totals, strict=True) if total <= WORK or i == order[0]}
    return [sizes for i, sizes in enumerate(choices) if i in kept]


def _fits(graph: Graph, sizes: Mapping[str, int]) -> bool:
    return all(evaluate(d, sizes) > 0 for node in graph.nodes for d in node.shape
               if not isinstance(d, int)) and all(
        evaluate(size, sizes) <= evaluate(most, sizes) for size, most in size_limits(graph))


def _size(turn: int, place: int) -> int:
    """1 for all names in the second turn; else distinct sizes, so that a mix-up shows."""
    return SIZES[turn] if turn == 1 else SIZES[turn] + 2 * place


def _draw(rng: np.random.Generator, node: Node, sizes: Mapping[str, int],
          limits: tuple[float | None, float | None], table: int | None) -> np.ndarray:
    shape = tuple(evaluate(d, sizes) for d in node.shape)
    low, high = limits
    if node.dtype == "bool":
        return rng.random(shape) < 0.5
    if node.dtype == "float32":
        return _draw_floats(rng, shape, low, high)
    top = table or (256 if node.dtype == "uint8" else 10)
    first = int(low) if low is not None else 0
    last = int(high) if high is not None else max(top - 1, first)
    return rng.integers(first, last + 1, shape).astype(node.dtype)


def _draw_floats(rng: np.random.Generator, shape: tuple[int, ...], low: float | None,
                 high: float | None) -> np.ndarray:
    if low is None and high is None:
        return rng.standard_normal(shape).astype(np.float32)
    first = low if low is not None else (high or 0.0) - 1.0
    last = high if high is not None else first + 1.0
    return rng.uniform(first, last, shape).astype(np.float32)


def _table_size(graph: Graph, node: Node, sizes: Mapping[str, int]) -> int | None:
    """The smallest table that the integer input indexes, followed through views."""
    if node.dtype == "float32":
        return None
    found: list[int] = []
    pending, seen = [node], {node}
    while pending:
        current = pending.pop()
        for user in graph.users[current]:
            size = _indexed(user, current)
            if size is not None:
                found.append(evaluate(size, sizes))
            elif user.op in _VIEWS and user not in seen:
                seen.add(user)
                pending.append(user)
    return min(found, default=None)


def _indexed(user: Node, indices: Node) -> Dim | None:
    place = _INDEXED.get(user.op)
    if place is None or user.inputs[place] is indices:
        return None
    table = user.inputs[place]
    axis = user.attrs.get("axis", 0)
    if user.op == "gather_nd":
        return min((d for d in table.shape if isinstance(d, int)), default=1)
    size: Dim = table.shape[axis]
    return size


def given_inputs(graph: Graph, samples: object) -> Iterator[Inputs]:
    """Sets of inputs from a mapping of arrays, a sequence of mappings, or a path of an `.npz`.

    Raises:
        SourceError: the file cannot be read.
        ShapeError: an input is missing, unknown, or has the wrong shape.
    """
    if samples is None:
        return
    many = samples if isinstance(samples, Sequence) and not isinstance(samples, str) else [samples]
    for sample in many:
        arrays = read_npz(sample) if isinstance(sample, (str, os.PathLike)) else sample
        if not isinstance(arrays, Mapping):
            raise ShapeError(f"a sample is a {type(sample).__name__}",
                             fix="give {name: array}, a list of them, or the path of an .npz")
        yield _checked(graph, arrays)


def read_npz(path: str | os.PathLike[str]) -> Inputs:
    """The arrays of an `.npz` by name."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file) if isinstance(file, np.lib.npyio.NpzFile) else {"": file}
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} is not a readable .npz file", why=str(error),
                          fix="save it with numpy.savez(path, input_name=array)") from None


def _checked(graph: Graph, arrays: Mapping[str, Any]) -> Inputs:
    from transpile.ir.interpret import bind_dims
    known = [node.name for node in graph.inputs]
    unknown = sorted(set(arrays) - set(known))
    if unknown:
        raise ShapeError(f"the sample has {', '.join(unknown)}, which is no input",
                         why=f"the inputs are {', '.join(known)}")
    bind_dims(graph, arrays)
    return {name: np.asarray(arrays[name]) for name in known}
