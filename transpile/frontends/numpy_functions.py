"""The one table from NumPy's functions to builders of nodes, and the calls that go through it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from transpile.frontends.numpy_contract import CONTRACTIONS, PRODUCT_UFUNCS
from transpile.frontends.numpy_elementwise import ELEMENTWISE
from transpile.frontends.numpy_reduce import REDUCTIONS
from transpile.frontends.numpy_shape import SHAPES
from transpile.frontends.numpy_ufuncs import ACCUMULATE, ELEMENTWISE_UFUNCS, REDUCE
from transpile.frontends.tracer import Tracer, fail, known_value, unsupported

FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    **ELEMENTWISE, **REDUCTIONS, **SHAPES, **CONTRACTIONS}
"""What `__array_function__` finds."""

UFUNCS = {**ELEMENTWISE_UFUNCS, **PRODUCT_UFUNCS}
"""What `__array_ufunc__` finds, by the ufunc's name."""

WITHOUT_EFFECT = {"casting", "copy", "device", "kind", "optimize", "stable", "subok"}
"""Arguments that do not change the values."""

IN_PLACE = {"copyto", "place", "put", "put_along_axis", "putmask", "fill_diagonal"}

INSTEAD = {
    "unique": "the shape of its result depends on values: compute it before, outside of the model",
    "nonzero": "the shape of its result depends on values: use np.where(condition, a, b)",
    "argwhere": "the shape of its result depends on values: use np.where(condition, a, b)",
    "compress": "the shape of its result depends on values: multiply by the mask instead",
    "extract": "the shape of its result depends on values: multiply by the mask instead",
    "convolve": "use transpile.nn.conv1d",
    "correlate": "use transpile.nn.conv1d",
    "interp": "write it with np.searchsorted and np.take",
    "histogram": "compare with the bin edges and sum",
    "array_equal": "use np.all(a == b)",
    "allclose": "use np.all(np.isclose(a, b))",
    "apply_along_axis": "write the function for whole arrays with axis=",
    "linalg.inv": "invert the matrix before, outside of the model, if it is constant",
    "linalg.solve": "invert the matrix before, outside of the model, if it is constant",
}


def call_ufunc(ufunc: np.ufunc, method: str, args: Sequence[Any],
               kwargs: Mapping[str, Any]) -> Any:
    """What a ufunc does on tracers: `__call__`, `reduce`, `accumulate` or `outer`."""
    name = ufunc.__name__
    options = _given(kwargs)
    if options.get("out") is not None:
        fail(f"np.{name} writes its result into an array (out= or an operator such as +=)",
             why="the array holds values, and the result is traced",
             fix="bind the result to a name instead: total = total + x")
    if method == "__call__" and name in UFUNCS:
        return _call_elementwise(name, args, options)
    table = {"reduce": REDUCE, "accumulate": ACCUMULATE}.get(method, {})
    if name in table:
        axis = {"axis": 0} if len(args) < 2 and "axis" not in options else {}
        return table[name](*args, **axis, **options)
    if method == "outer" and name in UFUNCS:
        return _outer(ufunc, *args)
    dotted = name if method == "__call__" else f"{name}.{method}"
    return _on_values(getattr(ufunc, method), dotted, args, options)


def _call_elementwise(name: str, args: Sequence[Any], options: dict[str, Any]) -> Any:
    dtype = options.pop("dtype", None)
    options = {k: v for k, v in options.items() if k not in WITHOUT_EFFECT}
    if options:
        unsupported(f"np.{name}: the argument {next(iter(options))}= is not supported",
                    fix="use np.where(condition, a, b)")
    if dtype is not None:
        args = [np.asarray(a).astype(dtype) if not isinstance(a, Tracer) else a.astype(dtype)
                for a in args]
    return UFUNCS[name](*args)


def _outer(ufunc: np.ufunc, a: Any, b: Any) -> Any:
    return ufunc(np.reshape(a, (*np.shape(a), *(1,) * np.ndim(b))), b)


def call_function(function: Callable[..., Any], args: Sequence[Any],
                  kwargs: Mapping[str, Any]) -> Any:
    """What a NumPy function does on tracers."""
    name = dotted_name(function)
    options = _given(kwargs)
    if name in IN_PLACE:
        fail(f"np.{name} writes into an array", why="arrays of a traced function are immutable",
             fix="make a new array with np.where(mask, new, old)")
    if options.pop("out", None) is not None:
        fail(f"np.{name}: out= writes into an array", fix="bind the result to a name instead")
    builder = FUNCTIONS.get(function)
    if builder is None:
        return _on_values(function, name, args, options)
    try:
        options = {k: v for k, v in options.items() if k not in WITHOUT_EFFECT}
        inspect.signature(builder).bind(*args, **options)
    except TypeError as error:
        unsupported(f"np.{name}: {error}", why="this argument is not supported in a traced "
                    "function", fix="write it with simpler functions")
    return builder(*args, **options)


def dotted_name(function: Callable[..., Any]) -> str:
    """`linalg.norm` for `np.linalg.norm`."""
    module = (getattr(function, "__module__", None) or "numpy").removeprefix("numpy")
    public = module.lstrip(".").split(".")[0]
    return ".".join(filter(None, (public if public in ("linalg", "fft") else "",
                                  function.__name__)))


def _given(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments without those that only say "the default"."""
    missing = getattr(np, "_NoValue", None)
    plain = {"where": True, "order": "K"}
    return {k: v for k, v in kwargs.items()
            if v is not missing and not (k in plain and v is plain[k])}


def _on_values(function: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    """An unsupported function of constants is computed now; of traced values it is an error."""
    unknown: list[Tracer] = []

    def value(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(value(v) for v in x)
        if not isinstance(x, Tracer):
            return x
        array = known_value(x.node)
        if array is None:
            unknown.append(x)
        return array

    plain = [value(a) for a in args]
    options = {k: value(v) for k, v in kwargs.items()}
    if unknown:
        unsupported(f"np.{name} is not supported in a traced function", fix=INSTEAD.get(
            name, "write it with functions that are (`transpile ops` lists them), or apply it "
            "before or after the model"))
    return function(*plain, **options)


