"""Checks an ONNX message before it is imported: sizes, names, versions, and external data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transpile.errors import SourceError, UnsupportedError
from transpile.frontends.onnx_graph import walk
from transpile.frontends.onnx_protos import onnx_package, opset_versions

MAX_ELEMENTS = 1 << 31
"""The largest tensor that a 32-bit index reaches."""


def check_model(proto: Any) -> None:
    """SourceError or UnsupportedError, with the reason, for a message that cannot be compiled."""
    _check_texts(proto)
    _check_opsets(proto)
    graphs = [proto.graph, *(g for n in walk(proto.graph.node) for g in _graphs(n))]
    for graph in graphs:
        for tensor in graph.initializer:
            check_tensor(tensor)
    for info in proto.graph.input:
        _check_sizes(info)
    _check_single_assignment(proto.graph)
    for function in proto.functions:
        _check_recursion(function, {(f.domain, f.name): f for f in proto.functions}, ())


def _check_texts(proto: Any) -> None:
    """Names that are no UTF-8 come as bytes."""
    nodes = [*walk(proto.graph.node), *(n for f in proto.functions for n in walk(f.node))]
    graphs = [proto.graph, *(g for n in nodes for g in _graphs(n))]
    texts = [t for n in nodes for t in (n.name, n.op_type, n.domain, *n.input, *n.output,
                                        *(a.name for a in n.attribute),
                                        *(a.ref_attr_name for a in n.attribute))]
    texts += [v.name for g in graphs for v in (*g.input, *g.output, *g.initializer)]
    texts += [d.dim_param for v in proto.graph.input for d in v.type.tensor_type.shape.dim]
    texts += [proto.graph.name, *(o.domain for o in proto.opset_import)]
    texts += [t for f in proto.functions for t in (f.name, f.domain, *f.input, *f.output)]
    wrong = next((t for t in texts if not isinstance(t, str)), None)
    if wrong is not None:
        raise SourceError(f"a name in the model is no text: {wrong!r}",
                          fix="check that the file is complete")


def _graphs(node: Any) -> list[Any]:
    return [a.g for a in node.attribute if a.HasField("g")]


def _check_opsets(proto: Any) -> None:
    newest = onnx_package().defs.onnx_opset_version()
    version = opset_versions(proto).get("")
    if version is None:
        if any(n.domain in ("", "ai.onnx") for n in walk(proto.graph.node)):
            raise SourceError("the model does not say which opset its operators are from",
                              fix="check that the file is complete")
    elif not 1 <= version <= newest:
        raise UnsupportedError(f"the model uses opset {version}",
                               why=f"the installed onnx knows up to {newest}",
                               fix="pip install --upgrade onnx")


def check_tensor(tensor: Any) -> None:
    """SourceError for sizes that are negative or whose product no memory holds."""
    total = 1
    for size in tensor.dims:
        if size < 0:
            raise SourceError(f"the tensor {tensor.name!r} has the size {size}")
        total *= size
    if total > MAX_ELEMENTS:
        raise SourceError(f"the tensor {tensor.name!r} has {total} elements",
                          why=f"at most {MAX_ELEMENTS} can be indexed")
    if tensor.data_location == 1 and tensor.external_data:
        return
    stored = _stored_bytes(tensor)
    if total > 8 * stored:
        raise SourceError(f"the tensor {tensor.name!r} has {total} elements, and its data only "
                          f"{stored} bytes", fix="check that the file is complete")


def _stored_bytes(tensor: Any) -> int:
    typed = sum(len(getattr(tensor, f"{kind}_data")) for kind in
                ("float", "int32", "int64", "double", "uint64", "string"))
    return len(tensor.raw_data) + 8 * typed


def _check_sizes(info: Any) -> None:
    total = 1
    for size in info.type.tensor_type.shape.dim:
        if size.dim_value < 0 and not size.dim_param and size.dim_value != -1:
            raise SourceError(f"the input {info.name!r} has the size {size.dim_value}")
        total *= max(size.dim_value, 1)
    if total > MAX_ELEMENTS:
        raise SourceError(f"the input {info.name!r} has {total} elements",
                          why=f"at most {MAX_ELEMENTS} can be indexed")


def _check_single_assignment(graph: Any) -> None:
    seen: set[str] = set()
    for node in graph.node:
        for name in filter(None, node.output):
            if name in seen:
                raise SourceError(f"two nodes compute {name!r}")
            seen.add(name)


def _check_recursion(function: Any, functions: dict[tuple[str, str], Any],
                     callers: tuple[tuple[str, str], ...]) -> None:
    key = (function.domain, function.name)
    if key in callers:
        raise SourceError(f"the function {function.name!r} calls itself")
    for node in walk(function.node):
        inner = functions.get((node.domain, node.op_type))
        if inner is not None:
            _check_recursion(inner, functions, (*callers, key))


def load_external_data(proto: Any, folder: Path) -> None:
    """Read weights that lie in files beside the model.

    Raises:
        SourceError: a file is missing, too short, or lies outside of the model's folder.
    """
    graphs = [proto.graph, *(g for n in walk(proto.graph.node) for g in _graphs(n))]
    tensors = [t for g in graphs for t in g.initializer]
    tensors += [a.t for n in walk(proto.graph.node) for a in n.attribute if a.HasField("t")]
    for tensor in tensors:
        if tensor.data_location == 1:
            check_tensor(tensor)
            _load_tensor(tensor, folder)


def _load_tensor(tensor: Any, folder: Path) -> None:
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    path = (folder / location).resolve()
    if not location or not path.is_relative_to(folder) or path == folder:
        raise SourceError(f"the data of the tensor {tensor.name!r} lies outside of the model's "
                          "folder", why=f"its location is {location!r}",
                          fix="put the file beside the model")
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
    except (OSError, ValueError) as error:
        raise SourceError(f"the data of the tensor {tensor.name!r} cannot be read",
                          where=location, why=str(error)) from None
    if length > len(data):
        raise SourceError(f"the data of the tensor {tensor.name!r} is cut off", where=location,
                          why=f"{length} bytes are asked for, and {len(data)} are there")
    tensor.raw_data = data
    del tensor.external_data[:]
    tensor.data_location = 0
