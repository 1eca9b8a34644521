"""`spec`, the `model` decorator, and `trace`: how a Python model says what its inputs are."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from transpile.errors import TraceError
from transpile.ir.dims import Dim
from transpile.ir.graph import Graph, Node
from transpile.ir.types import TensorType, narrow_dtype, tensor_type


@dataclass(frozen=True)
class Spec:
    """An input: its type, and what is worth knowing for samples and the page.

    Attributes:
        type: dtype and shape.
        low, high: the range of sensible values, both included; for int32 the range of ids.
        labels: a name for each element, for the page.
    """

    type: TensorType
    low: float | None = None
    high: float | None = None
    labels: tuple[str, ...] = ()


def spec(dtype: object, shape: Iterable[int | str | Dim] | int | str = (), *,
         low: float | None = None, high: float | None = None,
         labels: Sequence[str] | None = None) -> Spec:
    """Describe an input: `spec("float32", ("batch", 784), low=0, high=1)`.

    Args:
        dtype: float32, int32, uint8, bool; float64 and float16 stand for float32, other integers
            for int32.
        shape: sizes; a name such as `"batch"` is a size known at run time, at least 1. The same
            name is the same size everywhere in one model.
        low: the smallest sensible value, for random samples and the page.
        high: the largest one.
        labels: a name for each element, for the page.

    Raises:
        ShapeError: the dtype is not supported, or a size is not a number or a name.
    """
    sizes = (shape,) if isinstance(shape, (int, str)) else tuple(shape)
    return Spec(tensor_type(dtype, sizes), low, high, tuple(labels or ()))


def as_spec(value: object) -> Spec:
    """A `Spec` from one, a type, `"float32[batch,3]"`, `(dtype, shape)`, or an example array."""
    if isinstance(value, Spec):
        return value
    if isinstance(value, TensorType):
        return Spec(value)
    if isinstance(value, str):
        return Spec(TensorType.parse(value))
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], (tuple, list)):
        return spec(value[0], value[1])
    array = np.asarray(value)
    return Spec(tensor_type(narrow_dtype(array.dtype), array.shape))


class Model:
    """A function or object with the types of its inputs; calling it calls the original.

    Attributes:
        fn: the original.
        specs: a `Spec` for each input, by parameter name.
        name: the name of the function or class.
        outputs: names for the outputs, if given.
        labels: for each output, a name for each element of its last axis.
    """

    def __init__(self, fn: Any, specs: Mapping[str, Any], *,
                 outputs: Sequence[str] | None = None,
                 labels: Mapping[str, Sequence[str]] | Sequence[str] | None = None) -> None:
        from transpile.frontends.numpy import model_name
        self.fn = fn
        self.specs = {name: as_spec(value) for name, value in specs.items()}
        self.name = model_name(fn)
        self.outputs = tuple(outputs or ())
        self.labels = labels
        if hasattr(fn, "__name__"):
            functools.update_wrapper(self, fn, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the original; a decorated class gives a `Model` of its new instance."""
        result = self.fn(*args, **kwargs) if callable(self.fn) else self.fn.forward(*args, **kwargs)
        if isinstance(self.fn, type):
            return Model(result, self.specs, outputs=self.outputs, labels=self.labels)
        return result

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "fn":
            raise AttributeError(name)
        return getattr(self.fn, name)

    def __repr__(self) -> str:
        types = ", ".join(f"{n}={s.type}" for n, s in self.specs.items())
        return f"<transpile.model {self.name}({types})>"

    def trace(self, inputs: Mapping[str, Any] | None = None) -> Graph:
        """The graph; `inputs` completes or overrides the specs.

        Raises:
            TraceError: an input has no type, or the function does what cannot be traced.
        """
        from transpile.frontends.numpy import trace_function
        specs = {**self.specs, **{n: as_spec(v) for n, v in (inputs or {}).items()}}
        types = {n: s.type for n, s in specs.items()}
        graph = trace_function(self._instance(), types, self.name)
        return self._rename(graph) if self.outputs else graph

    def build(self, out: Any, **options: Any) -> Any:
        """The same as `transpile.build(self, out, **options)`."""
        from transpile.api import build
        return build(self, out, **options)

    def compile(self, **options: Any) -> Any:
        """The same as `transpile.compile(self, **options)`."""
        from transpile.api import compile as compile_model
        return compile_model(self, **options)

    def _instance(self) -> Any:
        if not isinstance(self.fn, type):
            return self.fn
        try:
            return self.fn()
        except TypeError as error:
            raise TraceError(f"the class {self.name} cannot be made without arguments",
                             why=str(error), fix=f"make one: net = {self.name}(...)") from error

    def _rename(self, graph: Graph) -> Graph:
        if len(self.outputs) != len(graph.outputs):
            raise TraceError(f"{self.name} has {len(graph.outputs)} outputs, and "
                             f"{len(self.outputs)} names are given", fix="correct outputs=")
        nodes: list[Node] = [node for _, node in graph.outputs]
        return replace(graph, outputs=tuple(zip(self.outputs, nodes, strict=True)))


def model(fn: Any = None, /, *, outputs: str | Sequence[str] | None = None,
          labels: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
          **specs: Any) -> Any:
    """Decorate a function, a class with `forward` or `__call__`, or wrap an object.

    Args:
        outputs: names for the outputs; by default those of the `return` statement.
        labels: a name for each element of the output's last axis, or a dict of these by output.
        specs: `x=spec(...)` for each parameter; also a `TensorType`, `"float32[batch,3]"` or an
            example array. A parameter with a default may be left out.

    Returns:
        A `Model`, or a decorator that makes one.

    Raises:
        ShapeError: a spec is not one.
    """
    names = (outputs,) if isinstance(outputs, str) else outputs

    def decorate(target: Any) -> Model:
        return Model(target, specs, outputs=names, labels=labels)

    return decorate if fn is None else decorate(fn)


def trace(model: Any, inputs: Mapping[str, Any] | None = None, name: str | None = None) -> Graph:
    """The graph of a model.

    Args:
        model: a `Model`, or a function or object with a type for each input in `inputs`.
        inputs: `{"x": spec(...)}`; also a `TensorType`, `"float32[batch,3]"`, or an array.
        name: the graph's name; by default the function's or class's.

    Raises:
        TraceError: inputs do not match the parameters, or something cannot be traced.
        ShapeError: operands of some operation do not fit.
    """
    from transpile.frontends.foreign import adopt
    known = adopt(model)
    wrapped = known if isinstance(known, Model) else Model(known, {})
    graph = wrapped.trace(inputs)
    return replace(graph, name=name) if name else graph
