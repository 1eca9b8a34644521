"""NumPy's products: matmul, dot, einsum and their relatives, as builders of nodes."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from transpile.frontends.numpy_reduce import axis_of
from transpile.frontends.numpy_shape import diagonal
from transpile.frontends.tracer import Tracer, apply, as_tracer, cast, fail, promoted, unsupported


def _numbers(*values: Any) -> list[Tracer]:
    """Operands of one dtype that can be summed: bool becomes int32."""
    xs = promoted(*values)
    return [cast(x, "int32") for x in xs] if xs[0].dtype == bool else xs


def matmul(a: Any, b: Any) -> Tracer:
    """NumPy's matrix product: batched over leading axes; vectors have no place for them."""
    xs = _numbers(a, b)
    if any(x.ndim == 0 for x in xs):
        fail("matmul of a scalar is not defined", fix="use *")
    return apply("matmul", *xs)


def contract(equation: str, a: Any, b: Any) -> Tracer:
    """One pairwise contraction, without ellipsis."""
    return apply("contract", *_numbers(a, b), equation=equation)


def _dot(a: Any, b: Any) -> Any:
    ranks = np.ndim(a), np.ndim(b)
    if 0 in ranks:
        return np.multiply(a, b)
    return matmul(a, b) if max(ranks) <= 2 else np.tensordot(a, b, (-1, -2 if ranks[1] > 1 else 0))


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Tracer:
    x, y = _numbers(a, b)
    if isinstance(axes, int):
        pairs = list(zip(range(x.ndim - axes, x.ndim), range(axes), strict=True))
    else:
        listed = [v if isinstance(v, (tuple, list)) else (v,) for v in axes]
        pairs = [(axis_of(x.ndim, i), axis_of(y.ndim, j)) for i, j in zip(*listed, strict=True)]
    left = list(string.ascii_lowercase[:x.ndim])
    right = list(string.ascii_lowercase[x.ndim:x.ndim + y.ndim])
    for i, j in pairs:
        right[j] = left[i]
    result = [k for k in left + right if not (k in left and k in right)]
    return contract(f"{''.join(left)},{''.join(right)}->{''.join(result)}", x, y)


def _inner(a: Any, b: Any) -> Any:
    if 0 in (np.ndim(a), np.ndim(b)):
        return np.multiply(a, b)
    return _tensordot(a, b, (-1, -1))


def _outer(a: Any, b: Any) -> Any:
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


def _vdot(a: Any, b: Any) -> Tracer:
    return contract("i,i->", np.ravel(a), np.ravel(b))


def _vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    return np.sum(np.multiply(a, b), axis=axis)


def _kron(a: Any, b: Any) -> Any:
    x, y = as_tracer(a), as_tracer(b)
    if x.ndim != y.ndim:
        unsupported("np.kron of different ranks is not supported", fix="reshape to one rank")
    left = [d for n in x.shape for d in (n, 1)]
    right = [d for n in y.shape for d in (1, n)]
    sizes = tuple(n * m for n, m in zip(x.shape, y.shape, strict=True))
    return (x.reshape(left) * y.reshape(right)).reshape(sizes)


def _multi_dot(arrays: Sequence[Any]) -> Any:
    result = arrays[0]
    for array in arrays[1:]:
        result = np.dot(result, array)
    return result


def _cross(a: Any, b: Any, axis: int = -1) -> Any:
    x, y = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        unsupported("np.cross is supported for vectors of 3", fix="write out the products")
    turned = [[v[..., (i + k) % 3] for i in range(3)] for v in (x, y) for k in (1, 2)]
    x1, x2, y1, y2 = turned
    parts = [x1[i] * y2[i] - x2[i] * y1[i] for i in range(3)]
    return np.moveaxis(np.stack(parts, axis=-1), -1, axis)


# --- einsum -------------------------------------------------------------------------------
def _einsum(*operands: Any, dtype: Any = None) -> Any:
    """Any number of operands, contracted pairwise from the left.

    Supports `...`, repeated labels (a diagonal), and sizes of 1 that broadcast.
    """
    if not isinstance(operands[0], str):
        unsupported("np.einsum with lists of axes is not supported",
                    fix="give the subscripts as text: np.einsum('ij,jk->ik', a, b)")
    xs = _numbers(*operands[1:]) if dtype is None else [as_tracer(x).astype(dtype)
                                                        for x in operands[1:]]
    labels, output = _parse(operands[0].replace(" ", ""), xs)
    terms = [_without_repeats(x, text) for x, text in zip(xs, labels, strict=True)]
    wide = {k for x, text in terms for k, d in zip(text, x.shape, strict=True) if d != 1}
    terms = [_without_ones(x, text, wide) for x, text in terms]
    while len(terms) > 1:
        (a, left), (b, right), *rest = terms
        needed = set(output).union(*(text for _, text in rest))
        kept = "".join(dict.fromkeys(k for k in left + right if k in needed))
        final = output if not rest and set(output) == set(kept) else kept
        terms = [(contract(f"{left},{right}->{final}", a, b), final), *rest]
    return _single(*terms[0], output)


def _parse(equation: str, xs: Sequence[Tracer]) -> tuple[list[str], str]:
    """The labels of each operand and of the result, ellipses spelled out."""
    left, arrow, output = equation.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(xs):
        fail(f"np.einsum: {equation!r} names {len(inputs)} operands, and {len(xs)} are given")
    free = [c for c in string.ascii_letters if c not in equation]
    ranks = [x.ndim - len(t.replace("...", "")) for x, t in zip(xs, inputs, strict=True)]
    many = max([r for r, t in zip(ranks, inputs, strict=True) if "..." in t], default=0)
    dots = "".join(free[:many])
    labels = []
    for rank, text, x in zip(ranks, inputs, xs, strict=True):
        if rank < 0 or (rank > 0 and "..." not in text):
            fail(f"np.einsum: {text!r} does not fit an array of {x.ndim} dimensions")
        labels.append(text.replace("...", dots[many - rank:]))
    if not arrow:
        every = "".join(t.replace("...", "") for t in inputs)
        output = dots + "".join(sorted(k for k in set(every) if every.count(k) == 1))
    result = output.replace("...", dots)
    if not set(result) <= set("".join(labels)) or len(set(result)) != len(result):
        fail(f"np.einsum: the result {output!r} has labels that no operand has, or twice")
    return labels, result


def _without_repeats(x: Tracer, labels: str) -> tuple[Tracer, str]:
    """Take diagonals until every label is there once."""
    for k in dict.fromkeys(labels):
        while labels.count(k) > 1:
            i = labels.index(k)
            j = labels.index(k, i + 1)
            if x.shape[i] != x.shape[j]:
                fail(f"np.einsum: the label {k!r} has the sizes {x.shape[i]} and {x.shape[j]}")
            x = diagonal(x, 0, i, j)
            labels = labels[:i] + labels[i + 1:j] + labels[j + 1:] + k
    return x, labels


def _without_ones(x: Tracer, labels: str, wide: set[str]) -> tuple[Tracer, str]:
    """Drop axes of size 1 whose label is longer in another operand."""
    drop = [i for i, (k, d) in enumerate(zip(labels, x.shape, strict=True))
            if d == 1 and k in wide]
    if not drop:
        return x, labels
    shape = tuple(d for i, d in enumerate(x.shape) if i not in drop)
    return x.reshape(shape), "".join(k for i, k in enumerate(labels) if i not in drop)


def _single(x: Tracer, labels: str, output: str) -> Any:
    """Sum what the result lacks, and put the rest in its order."""
    axes = tuple(i for i, k in enumerate(labels) if k not in output)
    if axes:
        x = apply("sum", x, axes=axes, keepdims=False)
    kept = [k for k in labels if k in output]
    return np.transpose(x, [kept.index(k) for k in output])


def _product(equation: str) -> Callable[..., Any]:
    return lambda a, b: _einsum(equation, a, b)


PRODUCT_UFUNCS: dict[str, Callable[..., Any]] = {
    "matmul": matmul, "vecdot": _vecdot, "matvec": _product("...ij,...j->...i"),
    "vecmat": _product("...i,...ij->...j")}


CONTRACTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.dot: _dot, np.einsum: _einsum, np.tensordot: _tensordot, np.inner: _inner,
    np.outer: _outer, np.vdot: _vdot, np.kron: _kron, np.cross: _cross,
    np.linalg.multi_dot: _multi_dot,
}

_LINALG: dict[str, Callable[..., Any]] = {
    "matmul": matmul, "outer": _outer, "tensordot": _tensordot, "cross": _cross,
    "vecdot": _vecdot, "diagonal": partial(diagonal, axis1=-2, axis2=-1),
    "trace": partial(np.trace, axis1=-2, axis2=-1),
    "matrix_transpose": np.matrix_transpose if hasattr(np, "matrix_transpose") else np.transpose}

for _name, _builder in _LINALG.items():
    if hasattr(np.linalg, _name):  # NumPy 2
        CONTRACTIONS[getattr(np.linalg, _name)] = _builder
