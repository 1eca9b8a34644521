"""The tracer: stands for an array while a NumPy function runs, and records what is done to it.

NumPy's protocols `__array_ufunc__` and `__array_function__` lead every call on a tracer to the
table of `numpy_functions`; Python's operators are those of NumPy's ufuncs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np

from transpile.errors import ShapeError, TraceError, UnsupportedError
from transpile.frontends import source
from transpile.ir.dims import Dim, Poly
from transpile.ir.graph import Node, constant, topological
from transpile.ir.interpret import constant_value
from transpile.ir.types import narrow_dtype, promote

BRANCH_FIX = ("use np.where(condition, a, b) instead of a branch on values; loops over a fixed "
              "range() are fine")
VALUE_FIX = "keep the computation in NumPy functions or transpile.nn, which are traced"


class MissingAttributeError(UnsupportedError, AttributeError):
    """An attribute that tracers lack; `hasattr` sees it as missing."""


def _binary(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def operator(self: Tracer, other: Any) -> Any:
        return ufunc(self, other)
    return operator


def _reflected(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def operator(self: Tracer, other: Any) -> Any:
        return ufunc(other, self)
    return operator


def _unary(ufunc: np.ufunc) -> Callable[[Any], Any]:
    def operator(self: Tracer) -> Any:
        return ufunc(self)
    return operator


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method that is a NumPy function of the same arguments."""
    def method(self: Tracer, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)
    method.__doc__ = f"`np.{function.__name__}` of this array."
    return method


class Tracer:
    """An array of known type whose values are computed later.

    Args:
        node: the node of the graph that it stands for.
    """

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    # --- what is known while tracing ------------------------------------------------------
    @property
    def shape(self) -> tuple[Dim, ...]:
        """Sizes; named dimensions are symbolic."""
        return self.node.type.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        return self.node.type.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.node.dtype)

    @property
    def T(self) -> Any:  # noqa: N802  (NumPy's name)
        return np.transpose(self)

    @property
    def mT(self) -> Any:  # noqa: N802  (NumPy's name)
        return np.swapaxes(self, -1, -2)

    @property
    def real(self) -> Tracer:
        return self

    def __repr__(self) -> str:
        return f"Tracer({self.node!r})"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a scalar")
        if not isinstance(self.shape[0], int):
            fail(f"len() needs a number, and the size {self.shape[0]} is symbolic",
                 fix="use x.shape[0], which stays symbolic")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    # --- NumPy's protocols ----------------------------------------------------------------
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        from transpile.frontends.numpy_functions import call_ufunc
        with located():
            return call_ufunc(ufunc, method, args, kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any,
                           kwargs: Any) -> Any:
        from transpile.frontends.numpy_functions import call_function
        with located():
            return call_function(function, args, kwargs)

    # --- Python's protocols that need values ----------------------------------------------
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._value("np.asarray() or np.array()", VALUE_FIX + "; np.stack makes "
                                    "one array of several, np.take(table, ids, axis=0) indexes a "
                                    "local array"), dtype=dtype)

    def __bool__(self) -> bool:
        return bool(self._value("Python's if, while, and, or, not, assert", BRANCH_FIX))

    def __float__(self) -> float:
        return float(self._value("float()", VALUE_FIX))

    def __int__(self) -> int:
        return int(self._value("int()", VALUE_FIX))

    def __index__(self) -> int:
        return self._value("an index or range()", BRANCH_FIX + "; a local array is "
                           "indexed with np.take(table, ids, axis=0)").__index__()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "node":
            raise AttributeError(name)
        value = known_value(self.node)
        if value is not None and hasattr(value, name):
            return getattr(value, name)
        where, _ = source.here()
        raise MissingAttributeError(
            f"ndarray.{name} is not supported on a traced array", where=source.describe(where),
            fix=f"use the function np.{name} or another one that `transpile ops` lists")

    def _value(self, use: str, fix: str) -> np.ndarray:
        value = known_value(self.node)
        if value is None:
            fail(f"{use} needs the values of {_called(self.node)}, which are not known yet",
                 why="the function is being traced: its inputs have a type and no values",
                 fix=fix)
        return value

    # --- indexing -------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Any:
        from transpile.frontends.indexing import getitem
        return getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        fail(f"{_called(self.node)}[...] = ... writes into an array",
             why="arrays of a traced function are immutable",
             fix="make a new array: np.where(mask, new, old), np.concatenate, or np.stack")

    # --- operators ------------------------------------------------------------------------
    __add__, __radd__ = _binary(np.add), _reflected(np.add)
    __sub__, __rsub__ = _binary(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__ = _binary(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__ = _binary(np.divide), _reflected(np.divide)
    __floordiv__, __rfloordiv__ = _binary(np.floor_divide), _reflected(np.floor_divide)
    __mod__, __rmod__ = _binary(np.remainder), _reflected(np.remainder)
    __divmod__, __rdivmod__ = _binary(np.divmod), _reflected(np.divmod)
    __pow__, __rpow__ = _binary(np.power), _reflected(np.power)
    __matmul__, __rmatmul__ = _binary(np.matmul), _reflected(np.matmul)
    __and__, __rand__ = _binary(np.bitwise_and), _reflected(np.bitwise_and)
    __or__, __ror__ = _binary(np.bitwise_or), _reflected(np.bitwise_or)
    __xor__, __rxor__ = _binary(np.bitwise_xor), _reflected(np.bitwise_xor)
    __lshift__, __rlshift__ = _binary(np.left_shift), _reflected(np.left_shift)
    __rshift__, __rrshift__ = _binary(np.right_shift), _reflected(np.right_shift)
    __lt__, __le__ = _binary(np.less), _binary(np.less_equal)
    __gt__, __ge__ = _binary(np.greater), _binary(np.greater_equal)
    __eq__, __ne__ = _binary(np.equal), _binary(np.not_equal)
    __neg__, __pos__ = _unary(np.negative), _unary(np.positive)
    __abs__, __invert__ = _unary(np.absolute), _unary(np.invert)
    __hash__ = None  # type: ignore[assignment]

    # --- methods of ndarray ---------------------------------------------------------------
    sum, mean, prod = _method(np.sum), _method(np.mean), _method(np.prod)
    max, min, ptp = _method(np.max), _method(np.min), _method(np.ptp)
    argmax, argmin = _method(np.argmax), _method(np.argmin)
    any, all = _method(np.any), _method(np.all)
    var, std = _method(np.var), _method(np.std)
    cumsum, cumprod = _method(np.cumsum), _method(np.cumprod)
    clip, round = _method(np.clip), _method(np.round)
    take, repeat = _method(np.take), _method(np.repeat)
    swapaxes, squeeze = _method(np.swapaxes), _method(np.squeeze)
    ravel, flatten = _method(np.ravel), _method(np.ravel)
    dot, copy = _method(np.dot), _method(np.copy)
    argsort, diagonal = _method(np.argsort), _method(np.diagonal)
    trace = _method(np.trace)

    def reshape(self, *shape: Any, order: Any = "C") -> Any:
        """`x.reshape(2, -1)` or `x.reshape((2, -1))`."""
        return np.reshape(self, _unpack(shape), order=order)

    def transpose(self, *axes: Any) -> Any:
        """`x.transpose(1, 0)`, `x.transpose((1, 0))` or `x.transpose()`."""
        return np.transpose(self, _unpack(axes) or None)

    def astype(self, dtype: Any, **_: Any) -> Tracer:
        """A cast; float64 stands for float32 and int64 for int32."""
        return cast(self, narrow_dtype(dtype))


def _unpack(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 and (args[0] is None or isinstance(args[0], (tuple, list))
                                          ) else args


def _called(node: Node) -> str:
    return repr(node.name) if node.name else f"the result of {node.op}"


@contextlib.contextmanager
def located() -> Iterator[None]:
    """Shape errors from inside get the user's running line, if they have none yet."""
    try:
        yield
    except ShapeError as error:
        if error.where:
            raise
        where, _ = source.here()
        raise type(error)(error.what, where=source.describe(where), why=error.why,
                          fix=error.fix, fitting=error.fitting) from None


def fail(what: str, *, why: str = "", fix: str = "",
         fitting: Mapping[str, Dim] | None = None) -> NoReturn:
    """Raise a TraceError that names the user's running line."""
    where, _ = source.here()
    raise TraceError(what, where=source.describe(where), why=why, fix=fix, fitting=fitting)


def unsupported(what: str, *, why: str = "", fix: str = "") -> NoReturn:
    """Raise an UnsupportedError that names the user's running line."""
    where, _ = source.here()
    raise UnsupportedError(what, where=source.describe(where), why=why, fix=fix)


# --- values to nodes ----------------------------------------------------------------------
def as_node(value: Any, dtype: str | None = None) -> Node:
    """The node of a tracer, or a constant of an array or number, cast to `dtype` if given."""
    if isinstance(value, Tracer):
        node = value.node
    elif isinstance(value, Node):
        node = value
    elif isinstance(value, Poly):
        node = _dim_node(value)
    else:
        return _constant(value, dtype)
    return node if dtype in (None, node.dtype) else _cast_node(node, dtype)


def _constant(value: Any, dtype: str | None) -> Node:
    where, _ = source.here()
    try:
        array = np.asarray(value) if dtype is None or not isinstance(value, (int, float)) else (
            np.asarray(value, dtype))
        node = constant(array, where=where)
        return node if dtype is None else constant(node.value.astype(dtype), where=where)
    except (ShapeError, OverflowError) as error:
        raise ShapeError(f"the constant cannot be used: {error}",
                         where=source.describe(where)) from None


def _dim_node(size: Poly) -> Node:
    """A symbolic size as a traced int32 number: the sum of that many ones."""
    ones = make_node("broadcast_to", constant(np.int32(1)), shape=(size,))
    return make_node("sum", ones, axes=(0,), keepdims=False)


def dim_of(node: Node) -> Poly | None:
    """The symbolic size whose value, perhaps cast or reshaped, a node of one element is."""
    while node.op in ("cast", "reshape") and node.dtype != "bool":
        node = node.inputs[0]
    if node.op != "sum" or node.inputs[0].op != "broadcast_to":
        return None
    ones = node.inputs[0]
    (size, *more), one = ones.type.shape or (1,), ones.inputs[0]
    return size if isinstance(size, Poly) and not more and one.is_constant and np.all(
        one.value == 1) else None


def _cast_node(node: Node, dtype: str | None) -> Node:
    if node.is_constant and not node.attrs.get("parameter"):
        return constant(node.value.astype(dtype), node.name, node.where)
    return make_node("cast", node, dtype=dtype)


def make_node(op: str, *inputs: Node, **attrs: Any) -> Node:
    """A node that carries the user's running line and the variable that it assigns."""
    from transpile.ops.registry import make
    where, hint = source.here()
    return make(op, *inputs, where=where, label=hint, **attrs)


def apply(op: str, *values: Any, **attrs: Any) -> Tracer:
    """The op `op` on tracers, arrays or numbers; dtypes are left as they are."""
    return Tracer(make_node(op, *(as_node(v) for v in values), **attrs))


def cast(value: Any, dtype: str) -> Tracer:
    """`value` as a tracer of an inner dtype."""
    return Tracer(as_node(value, dtype))


def as_tracer(value: Any) -> Tracer:
    return value if isinstance(value, Tracer) else Tracer(as_node(value))


def common_dtype(values: Any) -> str:
    """The dtype in which values meet: Python numbers adapt to arrays, as in NumPy 2.

    A Python float lifts integers to float32; a Python int lifts only bool, to int32.
    """
    weak = {type(v) for v in values if is_weak(v)}
    strong = [_dtype_of(v) for v in values if not is_weak(v)]
    result = promote(*strong) if strong else "bool"
    if float in weak:
        return "float32"
    return "int32" if int in weak and result == "bool" else result


def is_weak(value: Any) -> bool:
    """True for a Python number, which takes the dtype of the array that it meets."""
    return isinstance(value, (int, float)) and not isinstance(value, np.generic)


def _dtype_of(value: Any) -> str:
    if isinstance(value, (Tracer, Node)):
        return value.node.dtype if isinstance(value, Tracer) else value.dtype
    return "int32" if isinstance(value, Poly) else narrow_dtype(np.asarray(value).dtype)


def promoted(*values: Any, dtype: str | None = None) -> list[Tracer]:
    """The values as tracers of their common dtype (or of `dtype`)."""
    target = dtype or common_dtype(values)
    return [cast(v, target) for v in values]


def known_value(node: Node) -> np.ndarray | None:
    """The value of a node that depends on constants only; None if it needs an input or a size."""
    if any(n.op in ("input", "result") or n.type.names or _sized(n) for n in topological([node])):
        return None
    return constant_value(node)


def _sized(node: Node) -> bool:
    """True if an attribute, such as a slice's start, is a symbolic size."""
    return any(isinstance(d, Poly) for value in node.attrs.values()
               for d in (value if isinstance(value, tuple) else (value,)))
