"""Reads the messages of the ONNX format: attributes, tensors, names, function bodies.

The package `onnx` is imported on first use; DependencyError says how to install it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from transpile.errors import DependencyError, SourceError, UnsupportedError
from transpile.frontends.tracer import Tracer
from transpile.ir.dims import Dim

if TYPE_CHECKING:
    from transpile.frontends.onnx_values import Site, Value

FLOAT, UINT8, INT8, UINT16, INT16, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE, UINT32, UINT64 = (
    range(1, 14))
BFLOAT16 = 16

INNER = {FLOAT: "float32", FLOAT16: "float32", BFLOAT16: "float32", DOUBLE: "float32",
         INT8: "int32", INT16: "int32", INT32: "int32", INT64: "int32", UINT8: "uint8",
         UINT16: "int32", UINT32: "int32", UINT64: "int32", BOOL: "bool"}
"""What an ONNX element type is inside."""


def onnx_package() -> Any:
    """The package `onnx`."""
    try:
        import onnx
        return onnx
    except ImportError as error:
        raise DependencyError("the package onnx is missing", why=str(error),
                              fix="pip install onnx") from None


def elem_name(elem: int) -> str:
    """`float16` for 10."""
    names = onnx_package().TensorProto.DataType
    return str(names.Name(elem)).lower() if elem in names.values() else f"type {elem}"


def inner_dtype(elem: int, what: str) -> str:
    """The dtype that an ONNX element type has inside; UnsupportedError if it has none."""
    if elem not in INNER:
        raise UnsupportedError(f"{what} has the element type {elem_name(elem)}",
                               fix="use float32, float16, an integer type or bool")
    return INNER[elem]


def tensor_array(tensor: Any) -> np.ndarray:
    """The array of a tensor proto; half precision and double become float32.

    Raises:
        SourceError: its data does not fit its shape.
        UnsupportedError: strings, complex numbers, 4 and 8 bit floats.
    """
    from onnx import numpy_helper
    what = f"the tensor {tensor.name!r}"
    if tensor.data_type == STRING:
        raise UnsupportedError(f"{what} holds strings")
    dtype = inner_dtype(tensor.data_type, what)
    try:
        array = np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:
        raise SourceError(f"{what} cannot be read", why=str(error)) from None
    return array.astype(np.float32, copy=False) if dtype == "float32" else array


def attribute_values(node: Any) -> dict[str, Any]:
    """Attributes as Python values: numbers, text, tuples, arrays; graphs stay messages."""
    return {a.name: attribute_value(a) for a in node.attribute}


def attribute_value(attribute: Any) -> Any:
    """One attribute's value."""
    from onnx import AttributeProto as A
    kind = attribute.type
    if kind == A.STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == A.STRINGS:
        return tuple(s.decode("utf-8", "replace") for s in attribute.strings)
    if kind == A.TENSOR:
        return tensor_array(attribute.t)
    if kind == A.TENSORS:
        return tuple(map(tensor_array, attribute.tensors))
    simple = {A.FLOAT: "f", A.INT: "i", A.GRAPH: "g", A.FLOATS: "floats", A.INTS: "ints",
              A.GRAPHS: "graphs"}
    if kind not in simple:
        raise UnsupportedError(f"the attribute {attribute.name!r} has an unsupported type")
    value = getattr(attribute, simple[kind])
    return tuple(value) if kind in (A.FLOATS, A.INTS, A.GRAPHS) else value


def make_attribute(name: str, value: Any, kind: int) -> Any:
    """An attribute message with a value as `attribute_value` gives it."""
    from onnx import helper, numpy_helper
    plain = numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
    return helper.make_attribute(name, plain, attr_type=kind or None)


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs among a node's attributes."""
    for a in node.attribute:
        if a.HasField("g"):
            yield a.g
        yield from a.graphs


def node_label(node: Any) -> str:
    """`Conv "layer1.conv"` for messages; the first output's name where there is none."""
    name = node.name or next(filter(None, node.output), "")
    return f'{node.op_type} "{name}"' if name else str(node.op_type)


def scope_of(node: Any) -> str:
    """The layer's path: `/layer1/conv/Conv` is `layer1.conv`."""
    parts = [p for p in re.split(r"[/:]+", node.name) if p]
    if len(parts) > 1 and re.sub(r"_\d+$", "", parts[-1]) == node.op_type:
        parts = parts[:-1]
    return ".".join(parts)


def variable_name(name: str) -> str:
    """A value's name as the name of a node: `/conv1/Conv_output_0` is `conv1.Conv`."""
    short = re.sub(r"_output_\d+$", "", name)
    return ".".join(p for p in re.split(r"[^A-Za-z0-9_.]+", short) if p).strip(".")


@lru_cache(maxsize=1024)
def _schema(domain: str, op: str, version: int) -> Any:
    from onnx import defs
    try:
        return defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return None


def has_function_body(domain: str, op: str, version: int) -> bool:
    """True if the standard defines the operator by other operators."""
    schema = _schema(domain, op, version)
    return bool(schema and (schema.function_opset_versions
                            or schema.context_dependent_function_opset_versions))


def function_body(node: Any, site: Site) -> Any:
    """The function that the standard defines a node's operator by; None if it has none."""
    from onnx import FunctionProto
    domain = "" if node.domain == "ai.onnx" else node.domain
    schema = _schema(domain, node.op_type, site.version)
    if schema is None:
        return None
    text = b""
    if schema.function_opset_versions:
        version = _at_most(schema.function_opset_versions, site.version)
        text = schema.get_function_with_opset_version(version)
    elif schema.context_dependent_function_opset_versions:
        version = _at_most(schema.context_dependent_function_opset_versions, site.version)
        types = [_type_proto(v, e).SerializeToString()
                 for v, e in zip(site.inputs, site.elems, strict=True)]
        text = schema.get_context_dependent_function_with_opset_version(
            version, node.SerializeToString(), types)
    if not text:
        return None
    body = FunctionProto()
    body.ParseFromString(text)
    return body


def schema_defaults(domain: str, op: str, version: int) -> dict[str, Any]:
    """The values that attributes of a standard operator have where they are not given."""
    schema = _schema(domain, op, version)
    return {name: attribute_value(a.default_value) for name, a in schema.attributes.items()
            if a.default_value.type}


def _at_most(versions: list[int], limit: int) -> int:
    return max([v for v in versions if v <= limit], default=min(versions))


def _type_proto(value: Value, elem: int) -> Any:
    from onnx import TypeProto, helper
    if value is None or isinstance(value, list):
        return TypeProto()
    shape = value.shape if isinstance(value, Tracer) else value.array.shape
    return helper.make_tensor_type_proto(elem or FLOAT, [_plain_dim(d) for d in shape])


def _plain_dim(d: Dim) -> int | str:
    return d if isinstance(d, int) else str(d)


def opset_versions(model: Any) -> Mapping[str, int]:
    """The opset of each domain that a model or function imports; the default domain is ""."""
    return {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
