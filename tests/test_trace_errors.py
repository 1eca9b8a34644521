"""What cannot be traced is told with the function, the line, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from transpile.errors import ShapeError, TraceError, TranspileError, UnsupportedError
from transpile.model import trace


def branch(x: Any) -> Any:
    return x if x.sum() > 0 else -x


def loop(x: Any) -> Any:
    while np.max(x) > 1:
        x = x / 2
    return x


def write(x: Any) -> Any:
    x[0] = 1
    return x


def in_place(x: Any) -> Any:
    total = np.zeros(4)
    total += x[0]
    return total


def out(x: Any) -> Any:
    return np.exp(x, out=np.zeros((3, 4)))


def copyto(x: Any) -> Any:
    np.copyto(np.zeros((3, 4)), x)
    return x


def convert(x: Any) -> Any:
    return np.asarray(x) + 1


def number(x: Any) -> Any:
    return float(x[0, 0])


def mask(x: Any) -> Any:
    return x[x > 0]


def local_table(x: Any) -> Any:
    return np.arange(10)[x[0].astype(int)]


def count(x: Any) -> Any:
    return sum(i for i in range(x[0, 0]))


def float_index(x: Any) -> Any:
    return x[x[0]]


def outside(x: Any) -> Any:
    return x[3]


def too_many(x: Any) -> Any:
    return x[0, 0, 0]


TRACE_ERRORS: list[tuple[Callable[..., Any], str]] = [
    (branch, "np.where"), (loop, "np.where"), (write, "np.where"), (in_place, "total + x"),
    (out, "bind the result"), (copyto, "np.where"), (convert, "np.stack"), (number, "traced"),
    (mask, "np.where"), (local_table, "np.take"), (count, "fixed"), (float_index, "astype"),
    (outside, "out of bounds"), (too_many, "too many"),
]

UNSUPPORTED: list[tuple[Callable[..., Any], str]] = [
    (lambda x: np.unique(x), "np.unique"), (lambda x: np.linalg.svd(x), "np.linalg.svd"),
    (lambda x: np.linalg.inv(x[:3, :3]), "np.linalg.inv"), (lambda x: np.fft.fft(x), "np.fft.fft"),
    (lambda x: np.where(x > 0), "np.where"), (lambda x: np.nonzero(x), "np.nonzero"),
    (lambda x: np.spacing(x), "np.spacing"), (lambda x: x.partition(2), "ndarray.partition"),
    (lambda x: np.subtract.reduce(x), "np.subtract.reduce"),
    (lambda x: np.sum(x, initial=3), "np.sum"), (lambda x: np.pad(x, 1, mode="mean"), "np.pad"),
    (lambda x: np.exp(x, where=x > 0), "np.exp"), (lambda x: ~x, "bitwise_not"),
    (lambda x: np.einsum(x, [0, 1], [1, 0]), "np.einsum"),
    (lambda x: np.linalg.norm(x, 2), "np.linalg.norm"), (lambda x: (x > 0) - (x > 1), "sub"),
]


@pytest.mark.parametrize(("fn", "fix"), TRACE_ERRORS, ids=lambda v: getattr(v, "__name__", ""))
def test_trace_error(fn: Callable[..., Any], fix: str) -> None:
    with pytest.raises(TraceError) as caught:
        trace(fn, {"x": "float32[3,4]"})
    assert "test_trace_errors.py:" in caught.value.where
    assert fix in str(caught.value)


@pytest.mark.parametrize(("fn", "name"), UNSUPPORTED, ids=[n for _, n in UNSUPPORTED])
def test_unsupported(fn: Callable[..., Any], name: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        trace(fn, {"x": "float32[3,4]"})
    assert name in caught.value.what
    assert "test_trace_errors.py:" in caught.value.where
    assert caught.value.fix


def test_where_holds_the_source_line() -> None:
    with pytest.raises(TraceError) as caught:
        trace(branch, {"x": "float32[3,4]"})
    assert caught.value.where.endswith("return x if x.sum() > 0 else -x")


SYMBOLIC: list[Callable[..., Any]] = [
    lambda x: x + np.zeros((x.shape[0], 4)), lambda x: [x[i] for i in range(x.shape[0])],
    lambda x: list(x), lambda x: x if x.shape[0] > 2 else -x, lambda x: x[:5], lambda x: x[2],
    lambda x: x[-2:], lambda x: np.roll(x, 1, axis=0), lambda x: np.split(x, 2),
    lambda x: np.median(x, axis=0), lambda x: np.diagonal(x), lambda x: np.tril(x),
]


@pytest.mark.parametrize("fn", SYMBOLIC, ids=range(len(SYMBOLIC)))
def test_symbolic_size_where_a_number_is_needed(fn: Callable[..., Any]) -> None:
    with pytest.raises(TraceError) as caught:
        trace(fn, {"x": "float32[batch,4]"})
    assert "test_trace_errors.py:" in caught.value.where


def test_shape_errors_name_the_line() -> None:
    def bad(x: Any) -> Any:
        return x @ np.ones((5, 2)) + 1
    with pytest.raises(ShapeError) as caught:
        trace(bad, {"x": "float32[3,4]"})
    assert "return x @ np.ones((5, 2)) + 1" in caught.value.where


@pytest.mark.parametrize("fn", [
    lambda x: x + 1j, lambda x: np.maximum(x, "a"), lambda x: np.concatenate([x, ["a"]])])
def test_foreign_dtypes_name_the_line(fn: Callable[..., Any]) -> None:
    with pytest.raises(ShapeError, match="is not supported") as caught:
        trace(fn, {"x": "float32[3]"})
    assert "test_trace_errors.py:" in caught.value.where


def test_formatting_needs_values() -> None:
    with pytest.raises(TraceError, match="values are needed") as caught:
        trace(lambda x: x if f"{x:.2f}" else -x, {"x": "float32[3]"})
    assert "test_trace_errors.py:" in caught.value.where


def test_constants_that_do_not_fit() -> None:
    for fn in (lambda x: x + 300, lambda x: x + np.array([2**40])):
        with pytest.raises(ShapeError) as caught:
            trace(fn, {"x": "uint8[3]"})
        assert "test_trace_errors.py:" in caught.value.where


@pytest.mark.parametrize("fn", [
    lambda x: x.node and None, lambda x: (x, None), lambda x: {"a": [x]}, lambda x: (x,)[1:]])
def test_results_that_are_not_arrays(fn: Callable[..., Any]) -> None:
    with pytest.raises(TranspileError):
        trace(fn, {"x": "float32[3]"})


def test_missing_attribute_is_missing() -> None:
    def fn(x: Any) -> Any:
        assert not hasattr(x, "detach")
        return x
    trace(fn, {"x": "float32[3]"})


def test_things_that_are_not_models() -> None:
    class Net:
        def __call__(self, x: Any) -> Any:
            return x

    with pytest.raises(TraceError, match="not a model"):
        trace(3, {})

    class Needs:
        def __init__(self, size: int) -> None:
            self.size = size

        def __call__(self, x: Any) -> Any:
            return x
    with pytest.raises(TraceError, match="without arguments"):
        trace(Needs, {"x": "float32[3]"})
    assert trace(Net, {"x": "float32[3]"}).name == "Net"
