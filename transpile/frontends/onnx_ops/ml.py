"""The operators of ai.onnx.ml for numbers: linear models, scalers, encoders."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op, refuse
from transpile.frontends.onnx_ops.indexing import stored
from transpile.frontends.onnx_ops.ml_scores import class_outputs, post_transform, two_classes
from transpile.frontends.onnx_values import Site
from transpile.frontends.tracer import Tracer, apply, as_tracer, cast
from transpile.ir.types import narrow_array

DOMAIN = "ai.onnx.ml"

refuse("its input is a dictionary", "DictVectorizer", "CastMap", domain=DOMAIN)
refuse("strings are not supported", "CategoryMapper", domain=DOMAIN)


def matrix(n: Site, index: int = 0) -> Any:
    """The operand as float32[rows, features]."""
    x = cast(n[index], "float32")
    return x.reshape((1, x.shape[0])) if x.ndim == 1 else x


def floats(n: Site, name: str) -> np.ndarray:
    return np.array(n.attr(name, ()), np.float32)


def linear(n: Site, rows: int) -> Any:
    """x @ coefficients.T + intercepts."""
    weights = floats(n, "coefficients").reshape(rows, -1)
    bias = floats(n, "intercepts")
    y = matrix(n) @ np.ascontiguousarray(weights.T)
    return y + bias if bias.size else y


@onnx_op("LinearClassifier", domain=DOMAIN)
def linear_classifier(n: Site) -> Any:
    features = matrix(n).shape[1]
    if not isinstance(features, int):
        raise n.refuse("the number of features must be fixed")
    rows = len(n.required("coefficients")) // features
    score, how = linear(n, rows), n.attr("post_transform", "NONE")
    labels = n.attr("classlabels_ints") or n.attr("classlabels_strings", ())
    if rows == 1 and len(labels) == 2:
        return two_classes(n, score, how, 0.0)
    return class_outputs(n, score, how)


@onnx_op("LinearRegressor", domain=DOMAIN)
def linear_regressor(n: Site) -> Any:
    score = linear(n, int(n.attr("targets", 1)))
    return post_transform(score, n.attr("post_transform", "NONE"))


@onnx_op("Scaler", domain=DOMAIN)
def scaler(n: Site) -> Any:
    x, offset, scale = cast(n[0], "float32"), floats(n, "offset"), floats(n, "scale")
    x = x - offset if offset.size else x
    return x * scale if scale.size else x


@onnx_op("Normalizer", domain=DOMAIN)
def normalizer(n: Site) -> Any:
    x, norm = cast(n[0], "float32"), n.attr("norm", "MAX")
    if norm == "MAX":
        size = x.max(axis=-1, keepdims=True)
    elif norm == "L1":
        size = np.abs(x).sum(axis=-1, keepdims=True)
    else:
        size = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    return x / np.where(size == 0, np.float32(1), size)


@onnx_op("Binarizer", domain=DOMAIN)
def binarizer(n: Site) -> Any:
    return cast(n[0] > np.float32(n.attr("threshold", 0.0)), "float32")


@onnx_op("Imputer", domain=DOMAIN)
def imputer(n: Site) -> Any:
    """Missing values, which are NaN or a number, replaced column by column."""
    x = n[0]
    lost: np.number[Any]
    if x.dtype.kind == "f":
        lost, values = np.float32(n.attr("replaced_value_float", 0.0)), floats(
            n, "imputed_value_floats")
    else:
        lost, values = np.int32(n.attr("replaced_value_int64", 0)), np.array(
            n.attr("imputed_value_int64s", ()), np.int32)
    return np.where(np.isnan(x) if np.isnan(lost) else x == lost, values, x)


@onnx_op("OneHotEncoder", domain=DOMAIN)
def one_hot_encoder(n: Site) -> Any:
    """One column for each category; unknown values have zeros."""
    if n.attr("cats_strings"):
        raise n.refuse("its categories are strings")
    x = n[0]
    known = narrow_array(np.array(n.required("cats_int64s"), np.int64), "the categories")
    whole = x if x.dtype.kind == "f" else cast(x, "int32")
    return cast(whole.reshape((*x.shape, 1)) == known.astype(whole.dtype), "float32")


@onnx_op("LabelEncoder", domain=DOMAIN)
def label_encoder(n: Site) -> Any:
    """A table from numbers to numbers."""
    found = {kind: n.attr(kind) for kind in (
        "keys_int64s", "keys_floats", "keys_tensor", "values_int64s", "values_floats",
        "values_tensor") if n.attr(kind) is not None}
    keys, values = ([np.asarray(v) for k, v in found.items() if k.startswith(side)]
                    for side in ("keys", "values"))
    if not keys or not values:
        raise n.refuse("its table holds strings")
    x, known, result = n[0], narrow_array(keys[0]), narrow_array(values[0])
    whole = x.reshape((*x.shape, 1))
    same = whole == known.astype(x.dtype)
    if known.dtype.kind == "f" and np.isnan(known).any():
        same = same | (np.isnan(whole) & np.isnan(known))
    encoded = apply("take", result, same.argmax(axis=-1), axis=0)
    return np.where(same.any(axis=-1), encoded, missing_label(n, result))


def missing_label(n: Site, values: np.ndarray) -> np.ndarray:
    """What numbers that are not in the table become."""
    tensor = n.attr("default_tensor")
    if tensor is not None:
        return np.asarray(tensor, values.dtype).reshape(-1)[:1]
    name, value = ("default_float", -0.0) if values.dtype.kind == "f" else ("default_int64", -1)
    return np.asarray(n.attr(name, value)).astype(values.dtype)


@onnx_op("FeatureVectorizer", domain=DOMAIN)
def feature_vectorizer(n: Site) -> Any:
    """Operands side by side; each is cut or filled to its declared width."""
    widths = n.attr("inputdimensions") or [x.shape[-1] for x in n.all()]
    return np.concatenate([fitted(matrix(n, k), int(w)) for k, w in enumerate(widths)], axis=1)


def fitted(x: Tracer, width: int) -> Any:
    have = x.shape[1]
    if not isinstance(have, int) or have >= width:
        return x[:, :width]
    return np.pad(x, ((0, 0), (0, width - have)))


@onnx_op("ArrayFeatureExtractor", domain=DOMAIN)
def array_feature_extractor(n: Site) -> Any:
    x, index = n[0], stored(n[1])
    picked = apply("take", x, index.reshape((index.size,)), axis=x.ndim - 1)
    return picked.reshape((1, index.size)) if x.ndim == 1 else picked


@onnx_op("ZipMap", domain=DOMAIN)
def zip_map(n: Site) -> Any:
    """Probabilities stay a tensor; dictionaries are the page's work."""
    return as_tracer(n[0])
