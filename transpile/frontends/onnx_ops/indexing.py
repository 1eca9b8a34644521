"""Gathers, one-hot, sorting and the like."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op, refuse
from transpile.frontends.onnx_ops.shapes import axis_attr
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply, cast
from transpile.ir.graph import topological

refuse("the shape of its result depends on values", "NonZero", "Unique", "NonMaxSuppression")
refuse("it draws random numbers", "RandomUniform", "RandomNormal", "RandomUniformLike",
       "RandomNormalLike", "Multinomial", "Bernoulli")
for _op in ("Adagrad", "Adam", "Momentum", "Gradient"):
    refuse("a step of training; only inference is imported", _op, domain="ai.onnx.preview.training")
refuse("it reinterprets bits, and memory is float32 or int32", "BitCast")
refuse("its windows depend on values", "MaxRoiPool")
refuse("strings are not supported", "StringConcat", "StringSplit", "StringNormalizer",
       "RegexFullMatch", "TfIdfVectorizer")
refuse("decoding pictures is the page's work", "ImageDecoder")


def stored(index: Tensor) -> Any:
    """Indices that come from a gather themselves, in memory: nested ones would grow as trees."""
    if any(node.op == "take" for node in topological([index.node])):
        return apply("copy", index)
    return index


@onnx_op("Gather")
def gather(n: Site) -> Any:
    return apply("take", n[0], stored(n[1]), axis=axis_attr(n, n[0].ndim))


@onnx_op("GatherElements")
def gather_elements(n: Site) -> Any:
    x, index = n[0], n[1]
    axis = axis_attr(n, x.ndim)
    # The indices may cover less than the other axes: those are cut.
    cut = x[tuple(slice(None) if k == axis else slice(0, d) for k, d in enumerate(index.shape))]
    return apply("take_along_axis", cut, index, axis=axis)


@onnx_op("GatherND")
def gather_nd(n: Site) -> Any:
    x, index, batch = n[0], n[1], int(n.attr("batch_dims", 0))
    return apply("gather_nd", x, with_positions(index, batch))


def with_positions(index: Tensor, count: int) -> Tensor:
    """Tuples of indices, each with its own place along the first `count` axes put before it."""
    if not count:
        return index
    shape = (*index.shape[:-1], 1)
    own = [apply("iota", shape=shape, axis=a, dtype="int32") for a in range(count)]
    return np.concatenate([*own, index], axis=-1)


@onnx_op("OneHot")
def one_hot(n: Site) -> Any:
    index, values = n[0], n[2]
    depth = n.sizes(1, "the depth")[0]
    axis = int(n.attr("axis", -1))
    axis = axis + index.ndim + 1 if axis < 0 else axis
    ids: Tensor = cast(index, "int32")
    ids = np.where(ids < 0, ids + depth, ids)
    shape = (*index.shape[:axis], depth, *index.shape[axis:])
    places = apply("iota", shape=shape, axis=axis, dtype="int32")
    return np.where(places == np.expand_dims(ids, axis), values[1], values[0])


@onnx_op("TopK")
def top_k(n: Site) -> Any:
    x = n[0]
    axis = axis_attr(n, x.ndim, -1)
    count = int(n.required("k")) if n.version < 10 else n.ints(1, "k")[0]
    order = apply("argsort", x, axis=axis, descending=bool(n.attr("largest", 1)))
    first = order[tuple(slice(0, count) if k == axis else slice(None) for k in range(x.ndim))]
    return apply("take_along_axis", x, first, axis=axis), first


@onnx_op("Compress")
def compress(n: Site) -> Any:
    """The condition must be known: it decides the shape of the result."""
    x = n[0]
    chosen = np.flatnonzero(n.array(1, "the condition")).astype(np.int32)
    if "axis" not in n.attrs:
        return apply("take", x.ravel(), chosen, axis=0)
    return apply("take", x, chosen, axis=axis_attr(n, x.ndim))


@onnx_op("ReverseSequence")
def reverse_sequence(n: Site) -> Any:
    x, lengths = n[0], n[1]
    time, batch = int(n.attr("time_axis", 0)), int(n.attr("batch_axis", 1))
    shape = tuple(d if k in (time, batch) else 1 for k, d in enumerate(x.shape))
    place = apply("iota", shape=shape, axis=time, dtype="int32")
    length = lengths.reshape([d if k == batch else 1 for k, d in enumerate(shape)])
    source = np.where(place < length, length - 1 - place, place)
    return apply("take_along_axis", x, np.broadcast_to(source, x.shape), axis=time)
