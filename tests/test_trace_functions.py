"""Every supported NumPy function, traced and interpreted, against NumPy itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transpile.frontends.numpy import trace_function
from transpile.frontends.numpy_functions import FUNCTIONS, UFUNCS
from transpile.ir.interpret import interpret
from transpile.ir.types import TensorType, narrow_array

RNG = np.random.default_rng(7)
F = RNG.uniform(-2, 2, (3, 4)).astype(np.float32)
G = RNG.uniform(-2, 2, (3, 4)).astype(np.float32)
P = RNG.uniform(0.1, 0.9, (3, 4)).astype(np.float32)
M = RNG.uniform(-1, 1, (4, 5)).astype(np.float32)
S = RNG.uniform(-1, 1, (4, 4)).astype(np.float32)
B3 = RNG.uniform(-1, 1, (2, 3, 4)).astype(np.float32)
C3 = RNG.uniform(-1, 1, (2, 4, 5)).astype(np.float32)
V = RNG.uniform(-1, 1, 4).astype(np.float32)
ONE = RNG.uniform(-1, 1, (1, 3, 1, 4)).astype(np.float32)
I = RNG.integers(-5, 6, (3, 4)).astype(np.int32)  # noqa: E741
J = RNG.integers(1, 4, (3, 4)).astype(np.int32)
U = RNG.integers(0, 100, (3, 4)).astype(np.uint8)
Q = RNG.random((3, 4)) < 0.5
R = RNG.random((3, 4)) < 0.5
IDS = np.array([2, 0, -1, 1], np.int32)
IDS2 = np.array([[0, 1], [2, 0]], np.int32)
NAN = np.array([1.0, np.nan, -np.inf, 3.0, np.inf], np.float32)

Case = tuple[Callable[..., Any], tuple[np.ndarray, ...]]


def check(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    """Trace `function` on the types of `arrays`, interpret, and compare with NumPy."""
    names = [f"x{k}" for k in range(len(arrays))]

    def model(**inputs: Any) -> Any:
        return function(*(inputs[n] for n in names))

    specs = {n: TensorType(a.dtype.name, a.shape) for n, a in zip(names, arrays, strict=True)}
    graph = trace_function(model, specs, "case")
    results = list(interpret(graph, dict(zip(names, arrays, strict=True))).values())
    with np.errstate(all="ignore"):
        expected = function(*arrays)
    wanted = list(expected) if isinstance(expected, (tuple, list)) else [expected]
    assert len(results) == len(wanted)
    for (_, node), result, want in zip(graph.outputs, results, wanted, strict=True):
        assert node.dtype == narrow_array(want).dtype, (node.dtype, np.asarray(want).dtype)
        np.testing.assert_allclose(result, narrow_array(want), rtol=2e-5, atol=2e-6)
        assert node.shape == np.shape(want)


UFUNC_CASES: dict[str, list[Case]] = {
    **{n: [(getattr(np, n), (F,)), (getattr(np, n), (I,))] for n in (
        "exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "arcsinh",
        "negative", "positive", "sign", "absolute", "fabs", "floor", "ceil", "trunc", "rint",
        "square", "cbrt", "exp2", "deg2rad", "rad2deg", "radians", "degrees", "isnan", "isinf",
        "isfinite", "logical_not", "conjugate")},
    **{n: [(getattr(np, n), (P,))] for n in (
        "log", "log1p", "log2", "log10", "sqrt", "arcsin", "arccos", "arctanh", "reciprocal")},
    "arccosh": [(np.arccosh, (P + 1,))],
    **{n: [(getattr(np, n), (F, G)), (getattr(np, n), (I, J)), (getattr(np, n), (F, J)),
           (lambda x, n=n: getattr(np, n)(x, 2), (F,)), (lambda x, n=n: getattr(np, n)(x, 2), (I,)),
           (lambda x, n=n: getattr(np, n)(2.5, x), (J,))] for n in (
        "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "fmod", "maximum",
        "minimum", "fmax", "fmin", "equal", "not_equal", "less", "less_equal", "greater",
        "greater_equal", "logical_and", "logical_or", "logical_xor", "arctan2", "hypot",
        "logaddexp", "logaddexp2", "divmod", "heaviside")},
    "power": [(np.power, (P, G)), (np.power, (I, J)), (lambda x: x ** 3, (F,)),
              (lambda x: x ** -1, (P,)), (lambda x: x ** 0.5, (P,)), (lambda x: 2.0 ** x, (I,)),
              (lambda x: x ** -0.5, (P,)), (lambda x: x ** 2.5, (P,)), (lambda x: x ** 1, (I,))],
    "float_power": [(np.float_power, (P, G)), (np.float_power, (J, J))],
    "modf": [(np.modf, (F,))],
    **{n: [(getattr(np, n), (I, J)), (getattr(np, n), (Q, R)), (getattr(np, n), (U, U))]
       for n in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    "invert": [(np.invert, (I,)), (np.invert, (Q,))],
    "left_shift": [(np.left_shift, (I, J)), (lambda x: x << 2, (I,))],
    "right_shift": [(np.right_shift, (I, J)), (lambda x: 64 >> x, (J,))],
    "matmul": [(np.matmul, (F, M)), (np.matmul, (B3, C3)), (np.matmul, (V, M)),
               (np.matmul, (F, V)), (np.matmul, (V, V)), (np.matmul, (F, C3)),
               (np.matmul, (I, J.T.copy()))],
    **{n: c for n, c in {
        "vecdot": [(lambda a, b: np.vecdot(a, b), (F, G))],
        "matvec": [(lambda a, b: np.matvec(a, b), (B3, V))],
        "vecmat": [(lambda a, b: np.vecmat(a, b), (V, C3))]}.items() if hasattr(np, n)},
}

BOOL_CASES: list[Case] = [
    (np.add, (Q, R)), (np.multiply, (Q, R)), (np.maximum, (Q, R)), (np.logical_xor, (Q, R)),
    (np.equal, (Q, R)), (np.less, (Q, R)), (lambda q: q + 1, (Q,)), (lambda q: q * 0.5, (Q,)),
    (lambda q, x: q * x, (Q, F)), (lambda u: u + 1, (U,)), (lambda u: u / 255, (U,)),
    (lambda u: u < 300, (U,)), (lambda u: u * 0.5, (U,)), (lambda u, i: u + i, (U, I)),
    (lambda x: np.add.reduce(x), (F,)), (lambda x: np.maximum.reduce(x, axis=1), (F,)),
    (lambda x: np.add.accumulate(x, axis=1), (F,)), (lambda x, y: np.add.outer(x, y), (V, V)),
    (lambda x: np.add(x, 1, dtype=np.float32), (I,)), (lambda x: np.float64(2) * x, (F,)),
    (lambda x: x % 3, (I,)), (lambda x: x // 2, (F,)), (lambda x: -x + abs(x), (F,)),
    (lambda x: 1 - x, (I,)), (lambda x: 1 / x, (J,)), (lambda x: [1, 2, 3, 4] * x, (F,)),
]

FUNCTION_CASES: dict[Any, list[Case]] = {
    **{f: [(f, (F,)), (lambda x, f=f: f(x, axis=1), (F,)),
           (lambda x, f=f: f(x, axis=0, keepdims=True), (F,)),
           (lambda x, f=f: f(x, axis=(0, -1), keepdims=True), (B3,)),
           (lambda x, f=f: f(x, axis=0), (J,))]
       for f in (np.sum, np.prod, np.max, np.min, np.amax, np.amin, np.any, np.all, np.mean,
                 np.var, np.std, np.ptp, np.count_nonzero)},
    np.argmax: [(np.argmax, (F,)), (lambda x: x.argmax(-1), (F,)),
                (lambda x: np.argmax(x, axis=1, keepdims=True), (I,))],
    np.argmin: [(np.argmin, (F,)), (lambda x: x.argmin(axis=0), (F,))],
    np.average: [(np.average, (F,)), (lambda x, w: np.average(x, axis=1, weights=w), (F, P)),
                 (lambda x, w: np.average(x, axis=1, weights=w), (F, np.abs(V) + 1))],
    np.median: [(np.median, (F,)), (lambda x: np.median(x, axis=0), (F,)),
                (lambda x: np.median(x, axis=1, keepdims=True), (F,))],
    np.linalg.norm: [(np.linalg.norm, (V,)), (np.linalg.norm, (F,)),
                     (lambda x: np.linalg.norm(x, axis=1), (F,)),
                     (lambda x: np.linalg.norm(x, 1, axis=1), (F,)),
                     (lambda x: np.linalg.norm(x, np.inf, axis=0, keepdims=True), (F,)),
                     (lambda x: np.linalg.norm(x, 3, axis=0), (F,)),
                     (lambda x: np.linalg.norm(x, 0, axis=0), (F,))],
    np.cumsum: [(np.cumsum, (F,)), (lambda x: x.cumsum(axis=1), (F,)), (np.cumsum, (Q,))],
    np.cumprod: [(lambda x: np.cumprod(x, axis=0), (F,))],
    np.sort: [(np.sort, (F,)), (lambda x: np.sort(x, axis=0), (I,)),
              (lambda x: np.sort(x, axis=None), (F,))],
    np.argsort: [(np.argsort, (F,)), (lambda x: np.argsort(x, axis=0), (F,))],
    np.diff: [(np.diff, (F,)), (lambda x: np.diff(x, n=2, axis=0), (I,)), (np.diff, (Q,))],
    **{f: [(f, (NAN,))] for f in (np.nansum, np.nanprod, np.nanmax, np.nanmin)},
    np.nanmean: [(np.nanmean, (NAN[:2],))],
    np.where: [(np.where, (Q, F, G)), (lambda q, x: np.where(q, x, 0), (Q, F)),
               (lambda x: np.where(x > 0, x, 0.5), (I,)), (lambda x: np.where(x > 0, 1, 0), (F,)),
               (np.where, (I, I, F))],
    np.select: [(lambda x: np.select([x < -1, x > 1], [x, x * x], 0.5), (F,))],
    np.clip: [(lambda x: np.clip(x, -1, 1), (F,)), (lambda x: x.clip(0, None), (I,)),
              (lambda x: np.clip(x, None, 0.5), (F,))],
    np.round: [(np.round, (F,)), (lambda x: np.round(x, 2), (F,)), (np.round, (I,))],
    np.around: [(np.around, (F,))], np.fix: [(np.fix, (F,))],
    np.nan_to_num: [(np.nan_to_num, (NAN,)), (lambda x: np.nan_to_num(x, nan=9, posinf=1), (NAN,))],
    np.isclose: [(np.isclose, (F, G)), (lambda x: np.isclose(x, x, equal_nan=True), (NAN,))],
    np.zeros_like: [(np.zeros_like, (F,)), (lambda x: np.zeros_like(x, dtype=np.int32), (F,))],
    np.ones_like: [(np.ones_like, (I,))],
    np.empty_like: [(lambda x: np.empty_like(x) * 0, (F,))],
    np.full_like: [(lambda x: np.full_like(x, 2.5), (F,)),
                   (lambda x: np.full_like(x, 3, shape=(2, 2)), (F,))],
    np.copy: [(np.copy, (F,))], np.real: [(np.real, (F,))],
    np.triu: [(np.triu, (S,)), (lambda x: np.triu(x, 1), (B3,))],
    np.tril: [(np.tril, (S,)), (lambda x: np.tril(x, -1), (I,))],
    np.polyval: [(lambda x: np.polyval([1.0, -2.0, 0.5], x), (F,))],
    np.searchsorted: [(lambda x: np.searchsorted(np.array([-1, 0, 1.0], np.float32), x), (F,)),
                      (lambda x: np.searchsorted(np.array([1, 2, 3]), x, side="right"), (J,))],
    np.digitize: [(lambda x: np.digitize(x, np.array([1, 2, 3])), (J,)),
                  (lambda x: np.digitize(x, np.array([1, 2, 3]), right=True), (J,))],
    np.sinc: [(np.sinc, (F,)), (np.sinc, (np.array([0, 1, 0.5], np.float32),))],
    np.result_type: [(lambda x: np.zeros(2, np.result_type(x, np.int32)), (I,))],
    np.shape: [(lambda x: np.zeros(np.shape(x)), (F,))],
    np.ndim: [(lambda x: np.zeros(np.ndim(x)), (F,))],
    np.size: [(lambda x: x * np.size(x) + np.size(x, 1), (F,))],
    np.iscomplexobj: [(lambda x: np.zeros(2) + np.iscomplexobj(x), (F,))],
    np.reshape: [(lambda x: np.reshape(x, (2, -1)), (F,)), (lambda x: x.reshape(4, 3), (F,)),
                 (lambda x: x.reshape(-1), (F,)), (lambda x: x.reshape([12, 1]), (F,))],
    np.ravel: [(np.ravel, (F,)), (lambda x: x.flatten(), (B3,))],
    np.transpose: [(np.transpose, (B3,)), (lambda x: x.transpose(2, 0, 1), (B3,)),
                   (lambda x: x.T, (F,)), (lambda x: np.transpose(x, (-1, 0, 1)), (B3,)),
                   (lambda x: x.transpose(), (B3,))],
    np.swapaxes: [(lambda x: np.swapaxes(x, 0, -1), (B3,)), (lambda x: x.mT, (B3,))],
    np.moveaxis: [(lambda x: np.moveaxis(x, 0, -1), (B3,)),
                  (lambda x: np.moveaxis(x, (0, 1), (-1, 0)), (B3,)),
                  (lambda x: np.moveaxis(x, [0, 3], [2, 1]), (ONE,))],
    np.rollaxis: [(lambda x: np.rollaxis(x, 2), (B3,)), (lambda x: np.rollaxis(x, 0, 3), (B3,)),
                  (lambda x: np.rollaxis(x, 1, -1), (ONE,))],
    np.squeeze: [(np.squeeze, (ONE,)), (lambda x: x.squeeze(0), (ONE,)),
                 (lambda x: np.squeeze(x, axis=(0, 2)), (ONE,))],
    np.expand_dims: [(lambda x: np.expand_dims(x, 0), (F,)),
                     (lambda x: np.expand_dims(x, (0, -1)), (F,))],
    np.broadcast_to: [(lambda x: np.broadcast_to(x, (3, 4)), (V,))],
    np.broadcast_arrays: [(lambda x, y: np.broadcast_arrays(x, y), (V, F))],
    **{f: [(f, (V,)), (f, (F,)), (lambda x, f=f: f(x[0]), (V,))]
       for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d)},
    np.concatenate: [(lambda x, y: np.concatenate([x, y]), (F, G)),
                     (lambda x, y: np.concatenate((x, y), axis=-1), (F, I)),
                     (lambda x, y: np.concatenate([x, y], axis=None), (F, V)),
                     (lambda x: np.concatenate([x, np.zeros((1, 4))]), (F,))],
    np.stack: [(lambda x, y: np.stack([x, y]), (F, G)),
               (lambda x, y: np.stack([x, y], axis=-1), (F, G))],
    np.hstack: [(lambda x, y: np.hstack([x, y]), (F, G)), (lambda x: np.hstack([x, x]), (V,))],
    np.vstack: [(lambda x, y: np.vstack([x, y]), (F, V))],
    np.dstack: [(lambda x, y: np.dstack([x, y]), (F, G)), (lambda x: np.dstack([x, x]), (V,))],
    np.column_stack: [(lambda x, y: np.column_stack([x, y]), (V, V)),
                      (lambda x, y: np.column_stack([x, y]), (F, G))],
    np.append: [(lambda x, y: np.append(x, y), (F, V)),
                (lambda x, y: np.append(x, y, axis=0), (F, G))],
    np.split: [(lambda x: np.split(x, 2, axis=1), (F,)), (lambda x: np.split(x, [1, 3], 1), (F,))],
    np.array_split: [(lambda x: np.array_split(x, 3, axis=1), (F,))],
    np.hsplit: [(lambda x: np.hsplit(x, 2), (F,)), (lambda x: np.hsplit(x, 2), (V,))],
    np.vsplit: [(lambda x: np.vsplit(x, 3), (F,))],
    np.dsplit: [(lambda x: np.dsplit(x, 2), (B3,))],
    np.tile: [(lambda x: np.tile(x, 2), (F,)), (lambda x: np.tile(x, (2, 1, 3)), (F,)),
              (lambda x: np.tile(x, (2,)), (B3,))],
    np.repeat: [(lambda x: np.repeat(x, 2), (F,)), (lambda x: np.repeat(x, 3, axis=0), (F,)),
                (lambda x: np.repeat(x, [1, 0, 2], axis=0), (F,))],
    np.pad: [(lambda x: np.pad(x, 1), (F,)), (lambda x: np.pad(x, (0, 2)), (F,)),
             (lambda x: np.pad(x, ((1, 0), (2, 3)), constant_values=-1), (F,)),
             (lambda x: np.pad(x, ((0, 0), (2, 1)), mode="reflect"), (F,)),
             (lambda x: np.pad(x, 2, mode="edge"), (F,)), (lambda x: np.pad(x, 2, "wrap"), (I,))],
    np.flip: [(np.flip, (F,)), (lambda x: np.flip(x, axis=1), (F,))],
    np.flipud: [(np.flipud, (F,))], np.fliplr: [(np.fliplr, (F,))],
    np.rot90: [(lambda x, k=k: np.rot90(x, k), (F,)) for k in range(4)],
    np.roll: [(lambda x: np.roll(x, 1), (F,)), (lambda x: np.roll(x, -1, axis=1), (F,)),
              (lambda x: np.roll(x, (1, 2), axis=(0, 1)), (F,))],
    np.take: [(lambda x, i: np.take(x, i), (F, IDS)), (lambda x, i: np.take(x, i, axis=1),
                                                       (F, IDS2)),
              (lambda x: x.take([0, 2], axis=0), (F,)), (lambda x: np.take(x, 1, axis=0), (F,)),
              (lambda x, i: np.take(x, i, axis=0, mode="wrap"), (F, IDS2 * 3)),
              (lambda x, i: np.take(x, i, axis=0, mode="clip"), (F, IDS2 * 3))],
    np.take_along_axis: [(lambda x, i: np.take_along_axis(x, i, axis=1), (F, J % 4)),
                         (lambda x: np.take_along_axis(x, np.argsort(x, axis=0), axis=0), (F,))],
    np.diagonal: [(np.diagonal, (F,)), (lambda x: np.diagonal(x, 1), (F,)),
                  (lambda x: np.diagonal(x, -1), (F,)),
                  (lambda x: np.diagonal(x, 0, 1, 2), (B3,))],
    np.trace: [(np.trace, (S,))],
    np.dot: [(np.dot, (F, M)), (np.dot, (V, V)), (np.dot, (F, V)), (np.dot, (B3, M)),
             (np.dot, (B3, C3)), (lambda x: np.dot(x, 2.0), (F,)), (np.dot, (V, C3))],
    np.einsum: [(lambda *xs, e=e: np.einsum(e, *xs), xs) for e, xs in (
        ("ij,jk->ik", (F, M)), ("ij,jk", (F, M)), ("bij,bjk->bik", (B3, C3)), ("ij->ji", (F,)),
        ("ij->", (F,)), ("ij->j", (F,)), ("ij,ij->", (F, G)), ("i,j->ij", (V, V)),
        ("ii->i", (S,)), ("ii", (S,)), ("bij,jk,k->bi", (B3, M, M[0])), ("...ij,jk->...ik",
                                                                        (B3, M)),
        ("ij,kj,lj->ikl", (F, G, F)), ("i...,i...->...", (F, G)), ("ij,ij->ji", (F, G)),
        ("...ij,...jk->...ik", (ONE, M[None])), ("ij,j->ij", (I, J[0])), ("ab,cb->ca", (F, J)),
        ("ji", (F,)))],
    np.tensordot: [(lambda a, b: np.tensordot(a, b, 1), (F, M)),
                   (lambda a, b: np.tensordot(a, b, axes=([1, 2], [1, 0])), (B3, M[:, :3])),
                   (lambda a, b: np.tensordot(a, b, 0), (V, V))],
    np.inner: [(np.inner, (F, G)), (np.inner, (V, V)), (lambda x: np.inner(x, 3.0), (V,))],
    np.outer: [(np.outer, (V, V)), (np.outer, (F, V))],
    np.vdot: [(np.vdot, (F, G))], np.kron: [(np.kron, (F, S))],
    np.cross: [(np.cross, (F[:, :3], G[:, :3])), (lambda a, b: np.cross(a, b, axis=0), (F, G))],
    np.linalg.multi_dot: [(lambda a, b, c: np.linalg.multi_dot([a, b, c]), (F, S, M))],
}

for _name, _cases in {
        "cumulative_sum": [(lambda x: np.cumulative_sum(x, axis=1), (F,))],
        "cumulative_prod": [(lambda x: np.cumulative_prod(x, axis=1), (F,))],
        "matrix_transpose": [(lambda x: np.matrix_transpose(x), (B3,))],
        "unstack": [(lambda x: np.unstack(x, axis=1), (F,))],
        "astype": [(lambda x: np.astype(x, np.int32), (F,)), (lambda x: x.astype(bool), (I,)),
                   (lambda x: x.astype(np.float64), (I,))]}.items():
    if hasattr(np, _name):
        FUNCTION_CASES[getattr(np, _name)] = _cases

for _name, _arrays in {"matmul": (F, M), "outer": (V, V), "tensordot": (S, S), "vecdot": (F, G),
                       "cross": (F[:, :3], G[:, :3]), "diagonal": (B3,), "trace": (S,),
                       "matrix_transpose": (B3,)}.items():
    if hasattr(np.linalg, _name):
        FUNCTION_CASES[getattr(np.linalg, _name)] = [(getattr(np.linalg, _name), _arrays)]

INDEX_KEYS: list[Any] = [
    0, -1, (1, 2, 3), slice(1, None), (slice(None), slice(None, None, -1)), ..., (..., 0),
    (0, ..., 1), None, (slice(None), None, 1), (Ellipsis, slice(1, 3)), (slice(None, -1), 1),
    (slice(0, 0),), (slice(5, 1, -2),), [1, 0, 1], (slice(None), [2, 0]), ([0, 1], [2, 0]),
    (0, slice(None), [1, 2, 0]), ([1, 0], slice(None), [1, 2]), (slice(None), 1, [3, 0]),
    (slice(None), [[0, 1], [2, 0]], None, [1]), (None, [1, 0]), (..., np.array([3, -1])),
    np.array([True, False]), np.int64(1), (slice(None), np.array([True, False, True]), 0),
]


@pytest.mark.parametrize("name", sorted(UFUNC_CASES))
def test_ufunc(name: str) -> None:
    for function, arrays in UFUNC_CASES[name]:
        check(function, arrays)


@pytest.mark.parametrize("function", FUNCTION_CASES, ids=lambda f: f.__name__)
def test_function(function: Any) -> None:
    for case, arrays in FUNCTION_CASES[function]:
        check(case, arrays)


@pytest.mark.parametrize("case", BOOL_CASES)
def test_promotion_and_ufunc_methods(case: Case) -> None:
    check(*case)


@pytest.mark.parametrize("key", INDEX_KEYS, ids=str)
def test_index(key: Any) -> None:
    check(lambda x: x[key], (B3,))


def test_index_with_traced_ids() -> None:
    check(lambda x, i: x[i], (F, IDS2))
    check(lambda x, i: x[:, i], (B3, IDS2))
    check(lambda x, i: x[i, i], (F, IDS2))
    check(lambda x, i: x[0, :, i], (B3, IDS2))
    check(lambda x, i: x[i[0], 1:, i], (B3, np.array([1, 0], np.int32)))
    check(lambda x, i: x[i], (F, np.array(2, np.int32)))


def test_scipy_ufuncs() -> None:
    special = pytest.importorskip("scipy.special")
    for function in (special.expit, special.erf, special.erfc):
        check(lambda x, f=function: f(x), (F,))


def test_every_table_entry_has_a_case() -> None:
    scipy_only = {"expit", "erf", "erfc"}
    ours = {n for n in UFUNCS if hasattr(np, n)} - set(UFUNC_CASES)
    assert not ours
    assert not {n for n in UFUNCS if not hasattr(np, n)} - scipy_only - {
        "vecdot", "matvec", "vecmat"}
    assert not set(FUNCTIONS) - set(FUNCTION_CASES)


BOUND = st.none() | st.integers(-6, 6)
STEP = st.none() | st.integers(-3, 3).filter(bool)
ENTRY = (st.builds(slice, BOUND, BOUND, STEP) | st.integers(-2, 1) | st.none()
         | st.lists(st.integers(-2, 1), min_size=2, max_size=2))


@settings(max_examples=150, deadline=None)
@given(st.lists(ENTRY, max_size=4), st.booleans())
def test_any_index(entries: list[Any], dots: bool) -> None:
    used = [e for e in entries if e is not None]
    key = tuple(entries[:len(entries)] if len(used) <= 3 else used[:3])
    key = (*key, ...) if dots else key
    check(lambda x: x[key], (B3,))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_einsum_of_three(data: Any) -> None:
    sizes = {"a": 2, "b": 3, "c": 4, "d": 1}
    terms = [data.draw(st.text("abcd", min_size=1, max_size=3)) for _ in range(3)]
    labels = sorted(set("".join(terms)))
    output = "".join(data.draw(st.permutations(labels)))[:data.draw(st.integers(0, 3))]
    arrays = tuple(np.random.default_rng(k).uniform(-1, 1, [sizes[c] for c in t]).astype("float32")
                   for k, t in enumerate(terms))
    check(lambda *xs: np.einsum(f"{','.join(terms)}->{output}", *xs), arrays)
