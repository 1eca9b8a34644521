"""What a builder of `onnx_ops` sees of one node: its operands, its attributes, its opset.

During import a value is a `Tracer` (computed at run time), a `Known` (an array: initialisers,
constants, shapes), or a list of these (a sequence). A known array has dtype object where it holds
symbolic sizes, so that NumPy itself does the shape arithmetic on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from transpile.errors import SourceError, UnsupportedError
from transpile.frontends import tracer as tracing
from transpile.frontends.tracer import Tracer, known_value
from transpile.ir import dims
from transpile.ir.dims import Dim, Poly
from transpile.ir.graph import Node, Where, constant, topological

if TYPE_CHECKING:
    from transpile.frontends.onnx_graph import Importer

FOLD_LIMIT = 1 << 16
"""Results of known operands are computed during import up to this many elements."""


class ValueNeededError(UnsupportedError):
    """A shape depends on the values of an input; `inputs` names those of the graph.

    Or it depends on named sizes, by what no size can be written in: `sizes` names them.
    """

    def __init__(self, what: str, inputs: Sequence[str], *, sizes: Sequence[str] = (),
                 where: str = "") -> None:
        self.inputs, self.sizes = tuple(inputs), tuple(sizes)
        why, fix = "it is no constant", "make it an initialiser of the model"
        if inputs:
            why = f"it is computed from {', '.join(repr(i) for i in inputs)}"
            fix = f"fix that input to its value, as in --input {inputs[0]}=1"
        elif sizes:
            names = ", ".join(sizes)
            why = f"it is computed from what is only known by name: {names}"
            fix = f"give inputs sizes that are numbers instead of {names}: --input NAME=DTYPE[DIMS]"
        super().__init__(what, where=where, why=why, fix=fix)


@dataclass(eq=False)
class Known:
    """An array that is known during import, and never changed; `parameter` marks an initialiser."""

    array: np.ndarray
    name: str = ""
    parameter: bool = False
    _node: Node | None = field(default=None, repr=False)

    @property
    def symbolic(self) -> bool:
        return self.array.dtype == object

    def tracer(self) -> Tracer:
        """A constant node, the same one each time; symbolic sizes are computed at run time."""
        if self._node is None:
            self._node = _stacked(self.array) if self.symbolic else constant(
                saturated(self.array), self.name, Where(scope=self.name.rpartition(".")[0]),
                parameter=self.parameter, copy=False)
        return Tracer(self._node)


Value = Union[Tracer, Known, "list[Any]", None]


Tensor = Any
"""A tracer, as builders see it: NumPy's own annotations know arrays only."""


def f32(value: float) -> Any:
    """A float32 number, which takes no part in the promotion of dtypes."""
    return np.float32(value)


def saturated(array: np.ndarray) -> np.ndarray:
    """The extremes of int64, which stand for "no limit", as those of int32."""
    if array.dtype not in (np.int64, np.uint64):
        return array
    info = np.iinfo(array.dtype)
    ends = (array == info.max) | ((array == info.min) & (info.min < 0))
    return np.where(ends, np.clip(array, -2**31, 2**31 - 1), array)


def _stacked(array: np.ndarray) -> Node:
    parts = [tracing.apply("reshape", tracing.as_tracer(d if isinstance(d, Poly) else np.int32(d)),
                           shape=(1,)) for d in array.ravel()]
    flat = parts[0] if len(parts) == 1 else tracing.apply("concat", *parts, axis=0)
    return tracing.apply("reshape", flat, shape=array.shape).node


def simplified(array: np.ndarray) -> np.ndarray:
    """An object array as int64 where no symbolic size is left."""
    if array.dtype == object and all(isinstance(d, (int, np.integer)) for d in array.ravel()):
        return array.astype(np.int64)
    return array


def sizes_array(sizes: Sequence[Dim]) -> np.ndarray:
    """Sizes as an array: int64, or objects where some are symbolic."""
    array = np.empty(len(sizes), object)
    array[:] = sizes
    return simplified(array)


def graph_inputs(node: Node) -> list[str]:
    """The names of the graph's inputs that a node is computed from."""
    return [n.name for n in topological([node]) if n.op == "input"]


def named_sizes(value: Value) -> list[str]:
    """The named sizes that a value is computed from."""
    if isinstance(value, Known):
        sizes = [d for d in value.array.ravel() if isinstance(d, Poly)]
    else:
        nodes = topological([value.node]) if isinstance(value, Tracer) else []
        sizes = [d for n in nodes for d in n.shape]
    return sorted(set().union(*map(dims.names, sizes)))


@dataclass
class Site:
    """One node of the file, while it is imported.

    Attributes:
        op: the operator's name.
        version: the opset of its domain that the file declares.
        inputs: its operands; None where one is left out.
        attrs: its attributes as Python values; tensors are arrays, graphs stay protos.
        outputs: the names of its results, "" for those that nobody wants.
        importer: runs subgraphs.
        env: values by name, for subgraphs.
        elems: ONNX element types of the operands (0 where unknown).
    """

    op: str
    version: int
    inputs: list[Value]
    attrs: dict[str, Any]
    outputs: list[str]
    label: str
    importer: Importer
    env: Any
    elems: list[int]

    def __len__(self) -> int:
        return len(self.inputs)

    def has(self, index: int) -> bool:
        """True if the operand is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def wants(self, index: int) -> bool:
        """True if somebody reads that result."""
        return index < len(self.outputs) and bool(self.outputs[index])

    def __getitem__(self, index: int) -> Tensor:
        """A required operand."""
        if not self.has(index):
            raise SourceError(f"{self.op} lacks its operand {index + 1}", where=self.label)
        return as_tracer(self.inputs[index], self)

    def get(self, index: int) -> Tensor | None:
        """An optional operand."""
        return self[index] if self.has(index) else None

    def all(self) -> list[Tensor]:
        return [self[i] for i in range(len(self.inputs))]

    def attr(self, name: str, default: Any = None) -> Any:
        return self.attrs.get(name, default)

    def required(self, name: str) -> Any:
        """An attribute that must be there."""
        if name not in self.attrs:
            raise SourceError(f"{self.op} lacks the attribute {name!r}", where=self.label)
        return self.attrs[name]

    def known(self, index: int) -> np.ndarray | None:
        """The operand's array if it is known now; it may hold symbolic sizes."""
        value = self.inputs[index] if self.has(index) else None
        if isinstance(value, Known):
            return value.array
        if isinstance(value, Tracer):
            found = known_value(value.node)
            return None if found is None else np.asarray(found)
        return None

    def array(self, index: int, what: str) -> np.ndarray:
        """The operand's numbers; ValueNeededError if they are computed at run time."""
        found = self.known(index)
        if found is None or found.dtype == object:
            raise self.needs(index, what)
        return found

    def sizes(self, index: int, what: str) -> tuple[Dim, ...]:
        """The operand as sizes, which may be symbolic."""
        found = self.known(index)
        if found is None:
            raise self.needs(index, what)
        return tuple(d if isinstance(d, Poly) else int(d) for d in found.ravel())

    def ints(self, index: int, what: str) -> tuple[int, ...]:
        """The operand as plain numbers."""
        return tuple(int(v) for v in self.array(index, what).ravel())

    def needs(self, index: int, what: str) -> ValueNeededError:
        value = self.inputs[index]
        names = graph_inputs(value.node) if isinstance(value, Tracer) else []
        return ValueNeededError(f"{self.op} needs to know {what} before it runs", names,
                                sizes=named_sizes(value), where=self.label)

    def refuse(self, what: str, why: str = "") -> UnsupportedError:
        """The error for a form of an operator that cannot be compiled."""
        return UnsupportedError(f"{self.op}: {what}", where=self.label, why=why)


def as_tracer(value: Value, site: Site) -> Tracer:
    if isinstance(value, Known):
        return value.tracer()
    if isinstance(value, Tracer):
        return value
    raise site.refuse("a sequence stands where a tensor is needed")


def as_output(value: Value, name: str) -> Node:
    """The node of a graph's output; UnsupportedError for sequences."""
    if isinstance(value, Known):
        return value.tracer().node
    if isinstance(value, Tracer):
        return value.node
    raise UnsupportedError(f"the output {name!r} is a sequence or an optional",
                           fix="return the tensors in it as outputs of their own")


Builder = Callable[[Site], Any]
