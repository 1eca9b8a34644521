"""Shape arithmetic: what operators do on known arrays, int64 exactly, symbolic sizes included."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends import onnx_protos as protos
from transpile.frontends.onnx_ops import fold
from transpile.frontends.onnx_values import Site
from transpile.ir.dims import Poly


def arrays(n: Site) -> list[np.ndarray]:
    """The operands; TypeError where symbolic sizes meet floats."""
    found = [n.known(i) for i in range(len(n))]
    return [a for a in found if a is not None]


def _integers(*values: np.ndarray) -> None:
    """TypeError unless this is arithmetic of integers and sizes."""
    if any(v.dtype.kind not in "iOu" for v in values):
        raise TypeError("no shape arithmetic")


@fold("Add")
def add(n: Site) -> Any:
    a, b = arrays(n)
    _integers(a, b)
    return a + b


@fold("Sub")
def sub(n: Site) -> Any:
    a, b = arrays(n)
    _integers(a, b)
    return a - b


@fold("Mul")
def mul(n: Site) -> Any:
    a, b = arrays(n)
    _integers(a, b)
    return a * b


@fold("Div")
def div(n: Site) -> Any:
    """Towards zero; sizes are positive, so that the floor is the same for them."""
    a, b = arrays(n)
    _integers(a, b)
    if a.dtype == object or b.dtype == object:
        return a // b
    kind = np.result_type(a, b)
    least = np.where(b == 0, 1, b).astype(np.int64)
    whole = np.abs(a.astype(np.int64)) // np.abs(least) * np.sign(a) * np.sign(least)
    return np.where(b == 0, 0, whole).astype(kind)


def _is_symbolic(a: np.ndarray) -> bool:
    return a.dtype == object


@fold("Cast")
def cast(n: Site) -> Any:
    (a,) = arrays(n)
    to = n.attr("to", 1)
    if _is_symbolic(a) and to in (protos.INT64, protos.INT32):
        return a
    if a.dtype.kind not in "iub" or to not in (protos.INT64, protos.INT32):
        raise TypeError("no shape arithmetic")
    return a.astype(np.int64)


@fold("Gather")
def gather(n: Site) -> Any:
    a, index = arrays(n)
    _integers(a)
    return np.take(a, index.astype(np.int64), axis=int(n.attr("axis", 0)))


@fold("Concat")
def concat(n: Site) -> Any:
    parts = arrays(n)
    _integers(*parts)
    return np.concatenate(parts, axis=int(n.attr("axis", 0)))


@fold("Squeeze")
def squeeze(n: Site) -> Any:
    from transpile.frontends.onnx_ops.shapes import axes_of
    a = arrays(n)[0]
    _integers(a)
    return np.squeeze(a, axes_of(n, 1))


@fold("Unsqueeze")
def unsqueeze(n: Site) -> Any:
    from transpile.frontends.onnx_ops.shapes import axes_of
    a = arrays(n)[0]
    _integers(a)
    return np.expand_dims(a, axes_of(n, 1) or ())


@fold("Reshape")
def reshape(n: Site) -> Any:
    a = arrays(n)[0]
    _integers(a)
    if n.version < 5:
        return a.reshape(n.required("shape"))
    sizes = n.ints(1, "the new shape")
    return a.reshape([a.shape[k] if d == 0 and not n.attr("allowzero", 0) else d
                      for k, d in enumerate(sizes)])


@fold("Slice")
def slice_(n: Site) -> Any:
    from transpile.frontends.onnx_ops.shapes import cut
    a = arrays(n)[0]
    _integers(a)
    if n.version < 10:
        raise TypeError("attributes")
    starts, ends = n.sizes(1, "the starts"), n.sizes(2, "the ends")
    if not all(isinstance(d, int) for d in (*starts, *ends)):
        raise TypeError("depends on a size")
    axes = n.ints(3, "the axes") if n.has(3) else range(len(starts))
    steps = n.ints(4, "the steps") if n.has(4) else (1,) * len(starts)
    key: list[Any] = [slice(None)] * a.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        key[axis] = cut(start, end, step, a.shape[axis])
    return a[tuple(key)]


@fold("Equal")
def equal(n: Site) -> Any:
    """A symbolic size is no number: it differs from each, as far as an importer can know."""
    a, b = arrays(n)
    _integers(a, b)
    if not (_is_symbolic(a) or _is_symbolic(b)):
        return np.equal(a, b)
    pairs = np.broadcast(a, b)
    same = [_same(x, y) for x, y in pairs]
    return np.asarray(same, bool).reshape(pairs.shape)


def _same(x: Any, y: Any) -> bool:
    """Equality of sizes; TypeError where it depends on the size (a size may be 1, never -1)."""
    if x == y:
        return True
    if isinstance(x, Poly) or isinstance(y, Poly):
        number = y if isinstance(x, Poly) else x
        if isinstance(number, Poly) or number > 0:
            raise TypeError("depends on a size")
    return False


@fold("Where")
def where(n: Site) -> Any:
    condition, a, b = arrays(n)
    _integers(a, b)
    return np.where(condition, a, b)


@fold("ReduceProd")
def reduce_prod(n: Site) -> Any:
    a = arrays(n)[0]
    _integers(a)
    if a.ndim != 1:
        raise TypeError("no shape arithmetic")
    total = np.multiply.reduce(a, dtype=a.dtype) if a.size else 1
    result = np.empty(1, a.dtype)
    result[0] = total
    return result if n.attr("keepdims", 1) else result.reshape(())


@fold("Neg")
def neg(n: Site) -> Any:
    (a,) = arrays(n)
    _integers(a)
    return a * -1
