"""The ONNX front end: a file or message becomes a graph.

`load` checks a file before anything else is done with it; `OnnxModel` is what `transpile.compile`
and `transpile.build` take.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transpile.errors import ShapeError, SourceError, TranspileError, UnsupportedError
from transpile.frontends.onnx_check import check_model, load_external_data
from transpile.frontends.onnx_graph import Importer, unsupported_operators
from transpile.frontends.onnx_protos import inner_dtype, onnx_package, opset_versions
from transpile.frontends.onnx_values import Known, Value, as_output
from transpile.frontends.tracer import Tracer
from transpile.ir.dims import Dim, Poly, dim, names, substitute
from transpile.ir.graph import Graph, input_node
from transpile.ir.types import TensorType
from transpile.model import Model, as_spec

MAX_BYTES = 2 << 30
"""The largest message that the format allows."""


FIXED = (bool, int, float, list)
"""What fixes an input to a value, where a type or an array would only describe it."""


class OnnxModel(Model):
    """An ONNX model with its weights; calling it runs the original.

    Once a graph has the weights, the message of a file is dropped: whoever runs the original reads
    it again.

    Attributes:
        fitted: types of inputs whose declared sizes were written anew, as no others fit.

    Args:
        proto: the message.
        specs: types that complete or override the declared ones, by input name.
        outputs: names for the outputs instead of the model's own.
        origin: the file's name, for headers and messages.
        path: the file that the message was read from, if it was.

    Raises:
        SourceError: the model breaks the rules of the format.
    """

    def __init__(self, proto: Any, specs: Mapping[str, Any] | None = None, *,
                 outputs: Sequence[str] | None = None, labels: Any = None,
                 origin: str = "", path: Path | None = None) -> None:
        check_model(proto)
        self._proto, self.origin, self.path = proto, origin, path
        self.fixed: dict[str, np.ndarray] = {}
        self.fitted = ""
        super().__init__(self._run, specs or {}, outputs=outputs, labels=labels)
        self.name = model_name(proto, origin)

    @property
    def proto(self) -> Any:
        """The message."""
        if self._proto is None and self.path is not None:
            self._proto = read(self.path)
        return self._proto

    def trace(self, inputs: Mapping[str, Any] | None = None) -> Graph:
        """The graph.

        Args:
            inputs: types or example arrays that complete or override the declared types; a
                number or a list fixes an input to that value.
        """
        given = inputs or {}
        self.fixed = {n: np.asarray(v) for n, v in given.items() if isinstance(v, FIXED)}
        self.specs.update({n: as_spec(v) for n, v in given.items() if n not in self.fixed})
        types = {n: s.type for n, s in self.specs.items()}
        graph = import_model(self.proto, types, self.fixed, name=self.name, origin=self.origin)
        declared = input_types(self.proto, types, set(self.fixed))
        self.fitted = ", ".join(f"{n.name}: {n.type}" for n in graph.inputs
                                if n.type != declared[n.name])
        if self.path is not None:
            self._proto = None
        return self._rename(graph) if self.outputs else graph

    def _run(self, *arrays: np.ndarray) -> dict[str, np.ndarray]:
        from transpile.frontends.onnx_original import run_original
        found = run_original(self.proto, list(arrays), self.fixed)
        return dict(zip(self.outputs or found, found.values(), strict=True))


def load(path: str | os.PathLike[str]) -> OnnxModel:
    """Read and check a model file.

    Raises:
        SourceError: it cannot be read, is no ONNX model, or breaks the format's rules.
        DependencyError: the package onnx is missing.
    """
    place = Path(path)
    return OnnxModel(read(place), origin=place.name, path=place.resolve())


def read(place: Path) -> Any:
    """The message in a file and in those with its external data; errors as for `load`."""
    onnx_package()
    try:
        if place.stat().st_size > MAX_BYTES:
            raise SourceError(f"{place} is larger than {MAX_BYTES} bytes",
                              fix="store the weights as external data")
        data = place.read_bytes()
    except OSError as error:
        raise SourceError(f"{place} cannot be read", why=error.strerror or str(error)) from None
    proto = parse(data, str(place))
    load_external_data(proto, place.resolve().parent)
    return proto


def parse(data: bytes, what: str = "the model") -> Any:
    """The message in `data`; SourceError if there is none."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    proto = onnx_package().ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, RuntimeError, ValueError) as error:
        raise SourceError(f"{what} is no ONNX model", why=str(error) or "it does not parse",
                          fix="check that the file is complete") from None
    if not proto.graph.node and not proto.graph.output:
        raise SourceError(f"{what} is no ONNX model", why="it holds no graph",
                          fix="check that the file is complete")
    return proto


def model_name(proto: Any, origin: str) -> str:
    """The file's name without its suffix, else the graph's."""
    text = Path(origin).stem if origin else proto.graph.name
    return re.sub(r"\W+", "_", text).strip("_") or "model"


def import_model(proto: Any, inputs: Mapping[str, TensorType] | None = None,
                 values: Mapping[str, np.ndarray] | None = None, *, name: str = "",
                 origin: str = "") -> Graph:
    """The graph of an ONNX model.

    Names of sizes that the model declares are written so that it fits, such as 80 where only that
    works, or `time+1` where one frame is too short; those that the caller gave are kept.

    Args:
        inputs: types by input name that complete or override those that the model declares.
        values: inputs that become constants.

    Raises:
        UnsupportedError: operators that cannot be compiled; all that are unknown at once.
        ValueNeededError: a shape depends on the values of an input.
        SourceError: the model is broken.
    """
    values = typed_values(proto, values or {})
    refuse_unsupported(proto, opset_versions(proto), _functions(proto))
    types = input_types(proto, inputs or {}, set(values))
    given = {n for t in (inputs or {}).values() for d in t.shape for n in names(d)}

    def imported(types: Mapping[str, TensorType]) -> Graph:
        return _imported(proto, types, values, name or model_name(proto, origin), origin)
    return _fitted(imported, types, given, MOST_TRIES)


MOST_TRIES = 16
"""Times that the sizes of one model are written anew."""


def _fitted(imported: Callable[[Mapping[str, TensorType]], Graph],
            types: Mapping[str, TensorType], given: set[str], tries: int) -> Graph:
    """What is imported for sizes that fit; the first error if none do."""
    try:
        return imported(types)
    except TranspileError as error:
        if not error.fitting or given & set(error.fitting) or not tries:
            raise
        first = error
    written = {n: t.with_shape(tuple(substitute(d, first.fitting) for d in t.shape))
               for n, t in types.items()}
    try:
        return _fitted(imported, written, given, tries - 1)
    except UnsupportedError:
        raise
    except TranspileError:
        raise first from None


def _functions(proto: Any) -> dict[tuple[str, str], Any]:
    return {(f.domain, f.name): f for f in proto.functions}


def _imported(proto: Any, types: Mapping[str, TensorType], values: Mapping[str, np.ndarray],
              name: str, origin: str) -> Graph:
    """The graph for inputs of these types."""
    graph = proto.graph
    importer = Importer(opset_versions(proto), _functions(proto), proto.producer_name)
    env: dict[str, Value] = {n: Tracer(input_node(n, t)) for n, t in types.items()}
    env.update({n: Known(v, n) for n, v in values.items()})
    for info in graph.input:
        importer.note(env.get(info.name), info.type.tensor_type.elem_type)
    results = importer.run_graph(graph, env)
    outputs = tuple((info.name, as_output(value, info.name))
                    for info, value in zip(graph.output, results, strict=True))
    if not outputs:
        raise SourceError("the model has no outputs")
    nodes = tuple(env[n].node for n in types)  # type: ignore[union-attr]
    return Graph(name, nodes, outputs, origin or graph.name)


def typed_values(proto: Any, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Values of inputs in the kind of dtype that the model declares, integers as int64."""
    kinds = {"float32": np.float32, "bool": np.bool_, "uint8": np.uint8}
    elems = {i.name: i.type.tensor_type.elem_type for i in proto.graph.input}
    unknown = [n for n in values if n not in elems]
    if unknown:
        raise SourceError(f"the model has no input called {unknown[0]!r}",
                          fix=f"its inputs are {', '.join(elems) or 'none'}")
    return {n: np.asarray(v).astype(kinds.get(inner_dtype(elems[n], f"the input {n!r}"), np.int64))
            for n, v in values.items()}


def refuse_unsupported(proto: Any, opsets: Mapping[str, int], functions: Mapping[Any, Any]) -> None:
    """UnsupportedError that lists every operator that cannot be compiled, with counts."""
    from transpile.frontends.onnx_ops import REFUSED
    nodes = [*proto.graph.node, *(n for f in proto.functions for n in f.node)]
    counts, places = unsupported_operators(nodes, opsets, functions)
    if not counts:
        return
    lines = []
    for op, count in counts.most_common():
        domain, _, short = op.rpartition(".")
        reason = REFUSED.get((domain, short), "")
        shown = ", ".join(places[op][:3]) + (", ..." if count > 3 else "")
        lines.append(f"{op} ({count}: {shown})" + (f": {reason}" if reason else ""))
    raise UnsupportedError(f"{len(counts)} operators of the model are not supported"
                           if len(counts) > 1 else f"the operator {next(iter(counts))} is not "
                           "supported", why="; ".join(lines),
                           fix="transpile ops --frontend onnx lists those that are")


def input_types(proto: Any, given: Mapping[str, TensorType], fixed: set[str]
                ) -> dict[str, TensorType]:
    """The type of each run-time input: what the caller says, else what the model declares."""
    initial = {t.name for t in proto.graph.initializer}
    wanted = [i for i in proto.graph.input if i.name not in initial and i.name not in fixed]
    unknown = [n for n in given if n not in {i.name for i in wanted}]
    if unknown:
        raise SourceError(f"the model has no input called {unknown[0]!r}",
                          fix=f"its inputs are {', '.join(i.name for i in wanted) or 'none'}")
    types = {i.name: _input_type(i, given.get(i.name)) for i in wanted}
    sizes = _given_sizes([i for i in wanted if i.name in given], types)
    return {n: t if n in given else t.with_shape(tuple(substitute(d, sizes) for d in t.shape))
            for n, t in types.items()}


def _given_sizes(infos: Iterable[Any], types: Mapping[str, TensorType]) -> dict[str, Dim]:
    """What callers put in the place of declared names: one name is one size in all inputs."""
    sizes: dict[str, Dim] = {}
    for info in infos:
        if info.type.tensor_type.HasField("shape"):
            for declared, size in zip(declared_shape(info), types[info.name].shape, strict=True):
                if isinstance(declared, Poly) and str(declared) != str(size):
                    sizes.setdefault(str(declared), size)
    return sizes


def _input_type(info: Any, given: TensorType | None) -> TensorType:
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        raise UnsupportedError(f"the input {info.name!r} is no tensor but a "
                               f"{(kind or 'value without a type').replace('_type', '')}")
    tensor = info.type.tensor_type
    dtype = inner_dtype(tensor.elem_type, f"the input {info.name!r}")
    if given is not None:
        return _completed(info, given, dtype)
    if not tensor.HasField("shape"):
        raise ShapeError(f"the rank of the input {info.name!r} is not known",
                         fix=f"give its type: --input '{info.name}={dtype}[batch,3]'")
    return TensorType(dtype, declared_shape(info))


def _completed(info: Any, given: TensorType, dtype: str) -> TensorType:
    tensor = info.type.tensor_type
    if tensor.HasField("shape") and len(tensor.shape.dim) != given.rank:
        raise ShapeError(f"the input {info.name!r} has {len(tensor.shape.dim)} dimensions, and "
                         f"{given} is given")
    if given.dtype != dtype:
        raise ShapeError(f"the input {info.name!r} is {dtype}, and {given} is given")
    return given


def declared_shape(info: Any) -> tuple[Dim, ...]:
    """The sizes that a model declares; a size without a value or a name gets one."""
    return tuple(_dim(d, f"{info.name}_{k}") for k, d in
                 enumerate(info.type.tensor_type.shape.dim))


def _dim(size: Any, default: str) -> Dim:
    if size.HasField("dim_value") and size.dim_value > 0:
        return int(size.dim_value)
    if size.HasField("dim_value") and size.dim_value == 0:
        return 0
    return dim(dim_identifier(size.dim_param) or dim_identifier(default))


def dim_identifier(text: str) -> str:
    """A dimension's name as an identifier: `batch size` is `batch_size`; "" for `?`."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return f"n_{name}" if name[:1].isdigit() else name


def static_types(proto: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, TensorType]:
    """The types of arrays that are given to the model's inputs."""
    elems = {i.name: i.type.tensor_type.elem_type for i in proto.graph.input}
    return {n: TensorType(inner_dtype(elems[n], f"the input {n!r}"), a.shape)
            for n, a in arrays.items() if n in elems}
