"""The op table: one record for each operator, with all that the compiler knows of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, Union

import numpy as np

from transpile.errors import ShapeError, UnsupportedError
from transpile.ir.dims import Dim, product
from transpile.ir.graph import NOWHERE, Node, Where
from transpile.ir.types import TensorType
from transpile.lower.expr import Expr

Idx = tuple[Dim, ...]


class Accessor(Protocol):
    """An operand during lowering: its type, its value at an index, and how it lies in memory."""

    @property
    def type(self) -> TensorType: ...

    @property
    def panel(self) -> int:
        """How many of its columns lie together in memory; 0 for all of them."""

    def __call__(self, *index: Dim) -> Expr: ...


@dataclass(frozen=True)
class Pointwise:
    """One output element is a scalar expression: `at(index, *operands, **attrs)`.

    `kind` tells fusion what it may do: "map" reads each operand at the same (broadcast) index;
    "view" only renames indices; "gather" computes indices from data or chooses among operands.
    """

    at: Callable[..., Expr]
    kind: str = "map"


@dataclass(frozen=True)
class Reduction:
    """One output element combines `body(index, red, *operands, **attrs)` over a box of `red`.

    Attributes:
        combine: "sum", "prod", "max", "min", or "argmax"/"argmin" (position of the extreme).
        extents: `extents(*types, **attrs)` gives the box; one size for each `red` variable.
        body: the scalar expression inside the reduction.
        contraction: True where the body is a product of two operands (matmul, convolution).
    """

    combine: str
    extents: Callable[..., Idx]
    body: Callable[..., Expr]
    contraction: bool = False


@dataclass(frozen=True)
class Routine:
    """A hand-written loop nest for what has no closed form at one index (scans, sorts).

    `build(context, *operands, **attrs)` returns statements; see `lower/routine.py`.

    Attributes:
        epilogue: True if every element is stored once and never read back, so that elementwise
            work on the result can be done before the store.
        parallel: True if the iterations of its outermost loops are independent of each other.
    """

    build: Callable[..., Any]
    epilogue: bool = False
    parallel: bool = False


@dataclass(frozen=True)
class Composite:
    """A function of nodes to a node: `expand(*nodes, **attrs)`; all else follows from its parts."""

    expand: Callable[..., Node]


@dataclass(frozen=True)
class Region:
    """A node with graphs inside, or a result of one: see `ops/control.py`."""


Form = Union[Pointwise, Reduction, Routine, Composite, Region]


@dataclass(frozen=True)
class Sample:
    """Operands and attributes to try an op on: types as text, values drawn from `low..high`."""

    types: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    low: float = -2.0
    high: float = 2.0

    def arrays(self, seed: int = 0) -> list[np.ndarray]:
        """Seeded operands: floats uniform in [low, high), integers in [max(low, 0), high)."""
        rng = np.random.default_rng(seed)
        result: list[np.ndarray] = []
        for text in self.types:
            type_ = TensorType.parse(text)
            shape = tuple(int(d) for d in type_.shape)
            if type_.dtype == "float32":
                result.append(rng.uniform(self.low, self.high, shape).astype(np.float32))
            elif type_.dtype == "bool":
                result.append(rng.random(shape) < 0.5)
            else:
                low = 0 if type_.dtype == "uint8" else math.ceil(self.low)
                result.append(rng.integers(low, max(int(self.high), low + 1), shape
                                           ).astype(type_.dtype))
        return result


def sample(*types: str, low: float = -2.0, high: float = 2.0, **attrs: Any) -> Sample:
    """`sample("float32[2,3]", "float32[3]", axis=0)`."""
    return Sample(types, attrs, low, high)


def _second(node: Node) -> Node | None:
    return node.inputs[1]


def _all_rows(node: Node) -> Dim:
    return product(node.shape[:-1])


@dataclass(frozen=True)
class Columns:
    """An operand that is a matrix, or several, whose columns are the result's and are not summed.

    As a weight it may lie in panels of columns.

    Attributes:
        operand: `operand(node)` gives it; None where the node reads it otherwise.
        rows: `rows(node)` gives how many rows of the result are made with one matrix.
    """

    operand: Callable[[Node], Node | None] = _second
    rows: Callable[[Node], Dim] = _all_rows


def _none(_node: Node) -> None:
    return None


NO_COLUMNS = Columns(_none)
"""Of an operator that has no such operand."""


@dataclass(frozen=True)
class Op:
    """Everything about one operator.

    Attributes:
        infer: `infer(*types, **attrs)` gives the result type or raises ShapeError.
        reference: the same on NumPy arrays, written independently of the lowering.
        form: how it is lowered.
        samples: what tests try.
        vjp: `vjp(grad, out, *operands, **attrs)` gives a gradient node (or None) per operand.
        columns: the operand that may lie in panels of columns.
    """

    name: str
    infer: Callable[..., TensorType]
    reference: Callable[..., np.ndarray]
    form: Form
    samples: Sequence[Sample]
    vjp: Callable[..., Sequence[Node | None]] | None = None
    columns: Columns = NO_COLUMNS

    @property
    def summary(self) -> str:
        """The first line of the reference's docstring, for tables."""
        return (self.reference.__doc__ or "").strip().split("\n")[0]


OPS: dict[str, Op] = {}
"""Every op that computes a value."""

CONTROL: dict[str, Op] = {}
"""The ops that decide what is computed, and how often."""


def register(op: Op) -> Op:
    """Add `op` to its table; its name must be new."""
    if op.name in OPS or op.name in CONTROL:
        raise ValueError(f"the op {op.name} is registered twice")
    (CONTROL if isinstance(op.form, Region) else OPS)[op.name] = op
    return op


def get(name: str) -> Op:
    """The op called `name`; UnsupportedError if there is none."""
    import transpile.ops  # noqa: F401  (fills the table)
    found = OPS.get(name) or CONTROL.get(name)
    if found is None:
        raise UnsupportedError(f"there is no op called {name}")
    return found


def freeze(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Attributes as immutable data: lists become tuples, NumPy scalars Python ones."""
    def plain(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return tuple(plain(v) for v in value)
        return value.item() if isinstance(value, np.generic) else value
    return MappingProxyType({k: plain(v) for k, v in attrs.items()})


def make(name: str, *inputs: Node, where: Where = NOWHERE, label: str = "",
         **attrs: Any) -> Node:
    """A node of the op `name`, its type inferred; an error says where it was made."""
    frozen = freeze(attrs)
    try:
        type_ = get(name).infer(*(n.type for n in inputs), **frozen)
    except ShapeError as error:
        if where is NOWHERE or error.where:
            raise
        raise ShapeError(f"{name}: {error.what}", where=f"{where}  {where.text}",
                         why=error.why, fix=error.fix, fitting=error.fitting) from None
    return Node(name, inputs, type_, frozen, label, where)


def names() -> Iterable[str]:
    """The name of every op that computes a value, sorted."""
    import transpile.ops  # noqa: F401
    return sorted(OPS)
