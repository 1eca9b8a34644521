"""The NumPy front end: run a function once on tracers, and keep the graph."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transpile.errors import TraceError, TranspileError
from transpile.frontends import source
from transpile.frontends.parameters import parameters_as_tracers
from transpile.frontends.tracer import VALUE_FIX, Tracer, as_node
from transpile.ir.graph import Graph, Node, input_node
from transpile.ir.types import TensorType

_SYMBOLIC = (
    "a named dimension is used where a number is needed",
    ("give that dimension a fixed size, or write it with functions of the array: "
     "np.zeros_like(x), x.reshape(x.shape[0], -1), table[:x.shape[1]]"))
_MISUSES = (
    ("symbolic", _SYMBOLIC), ("Poly", _SYMBOLIC),
    ("Tracer", ("a traced array is used where its values are needed", VALUE_FIX)))


def trace_function(fn: Any, specs: Mapping[str, TensorType], name: str = "") -> Graph:
    """The graph of a function, a method, or an object with `forward` or `__call__`.

    Args:
        fn: what to trace; it is called once, with a tracer for each input.
        specs: the type of each input, by parameter name.
        name: the graph's name; by default the function's or the class's.

    Raises:
        TraceError: inputs and parameters do not match, or the function does what cannot be traced.
        ShapeError: the operands of some operation do not fit.
    """
    source.refresh()
    call, code = entry(fn)
    order = bind(call, specs, name or model_name(fn))
    inputs = {n: input_node(n, specs[n]) for n in order}
    origin = f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else ""
    with parameters_as_tracers(fn):
        result = run_traced(call, {n: Tracer(node) for n, node in inputs.items()})
        outputs = _outputs(result, code)
    return layer_names(Graph(name or model_name(fn), tuple(inputs.values()), outputs, origin))


def layer_names(graph: Graph) -> Graph:
    """Nodes of layers take the layer's path where their variable stands for several layers.

    In `h = self.body(self.stem(x))` all layers would be called h: they become stem, body.0, ...
    """
    layers: dict[str, set[str]] = {"": {"several"}}
    for node in graph.nodes:
        if node.where.scope and not node.is_constant:
            layers.setdefault(node.name, set()).add(node.where.scope)

    def rename(node: Node) -> Node | None:
        scope = node.where.scope
        shared = not node.is_constant and scope and len(layers[node.name] | {scope}) > 1
        return node.named(scope) if shared else None

    return graph.rewrite(rename)


def entry(fn: Any) -> tuple[Callable[..., Any], types.CodeType | None]:
    """What to call, and the code whose source names the inputs and outputs."""
    if isinstance(fn, type):
        raise TraceError(f"{fn.__name__} is a class", fix=f"give an instance: {fn.__name__}(...)")
    if isinstance(fn, partial):
        return fn, entry(fn.func)[1]
    if inspect.isroutine(fn):
        return fn, getattr(inspect.unwrap(fn), "__code__", None)
    for method in ("forward", "__call__"):
        bound = getattr(fn, method, None)
        if callable(bound) and hasattr(type(fn), method):
            return bound, getattr(getattr(bound, "__func__", None), "__code__", None)
    raise TraceError(f"{type(fn).__name__} is not a model",
                     fix="give a function, or an object with a method forward or __call__")


def model_name(fn: Any) -> str:
    """The function's name, or that of an object's class."""
    target = fn.func if isinstance(fn, partial) else fn
    name = getattr(target, "__name__", None) or type(target).__name__
    return "model" if name == "<lambda>" else str(name)


def bind(call: Callable[..., Any], specs: Mapping[str, TensorType], name: str) -> list[str]:
    """The inputs in the order of the signature; TraceError for unknown and missing ones."""
    signature = inspect.signature(call).parameters
    kinds = inspect.Parameter
    open_ended = any(p.kind is kinds.VAR_KEYWORD for p in signature.values())
    single = [n for n, p in signature.items()
              if p.kind not in (kinds.VAR_KEYWORD, kinds.VAR_POSITIONAL)]
    unknown = [n for n in specs if n not in single and not open_ended]
    if unknown:
        raise TraceError(f"{name} has no input called {unknown[0]!r}",
                         fix=f"its parameters are {', '.join(single) or 'none'}")
    missing = [n for n in single if n not in specs and signature[n].default is kinds.empty]
    if missing:
        raise TraceError(
            f"the type of the input {missing[0]!r} of {name} is not known",
            fix=f'give it: @transpile.model({missing[0]}=transpile.spec("float32", ("batch", 4)))'
                f' or --input "{missing[0]}=float32[batch,4]"')
    return [n for n in single if n in specs] + [n for n in specs if n not in single]


def run_traced(call: Callable[..., Any], tracers: dict[str, Tracer]) -> Any:
    """Call the function; what goes wrong because of symbolic sizes becomes a TraceError.

    The name of this function marks the end of the user's frames for `source`.
    """
    positional = [n for n, p in inspect.signature(call).parameters.items()
                  if p.kind is p.POSITIONAL_ONLY and n in tracers]
    named = {n: t for n, t in tracers.items() if n not in positional}
    try:
        return call(*(tracers[n] for n in positional), **named)
    except TranspileError:
        raise
    except TypeError as error:
        what, fix = next((told for word, told in _MISUSES if word in str(error)), ("", ""))
        if not what:
            raise
        where = source.describe(source.of_traceback(error.__traceback__))
        raise TraceError(what, where=where, why=str(error), fix=fix) from error


def _outputs(result: Any, code: types.CodeType | None) -> tuple[tuple[str, Node], ...]:
    """The results with the names that the `return` statement gives them."""
    expressions = source.returned(code) if code else []
    if isinstance(result, Mapping):
        pairs = [(str(k), v) for k, v in result.items()]
    elif isinstance(result, (tuple, list)):
        names = getattr(result, "_fields", None) or sequence_names(expressions, len(result))
        pairs = list(zip(names, result, strict=True))
    else:
        pairs = [(single_name(expressions) or "output", result)]
    if not pairs or any(v is None for _, v in pairs):
        raise TraceError("the function returns nothing" if result is None else
                         "one of the results is missing (None)",
                         where=source.describe(_origin(code)), fix="return the output arrays")
    return tuple((n, _output(n, v)) for n, v in zip(unique(n for n, _ in pairs),
                                                    (v for _, v in pairs), strict=True))


def _output(name: str, value: Any) -> Node:
    if isinstance(value, (Mapping, list, tuple, str)):
        raise TraceError(f"the output {name!r} is a {type(value).__name__}, not an array",
                         fix="return arrays: one, a tuple of them, or a dict with names")
    return as_node(value)


def _origin(code: types.CodeType | None) -> Any:
    return source.place(code.co_filename, code.co_firstlineno) if code else ""


def single_name(expressions: Sequence[ast.expr]) -> str:
    """The variable that every `return` gives back; "" if they differ or are not variables."""
    names = {source.target_name(e) for e in expressions}
    return names.pop() if len(names) == 1 else ""


def sequence_names(expressions: Sequence[ast.expr], count: int) -> list[str]:
    columns: list[list[ast.expr]] = [[] for _ in range(count)]
    for expression in expressions:
        items = expression.elts if isinstance(expression, (ast.Tuple, ast.List)) else []
        if len(items) == count:
            for column, item in zip(columns, items, strict=True):
                column.append(item)
    return [single_name(column) or f"output{k}" for k, column in enumerate(columns)]


def unique(names: Any) -> list[str]:
    """Names made different by `_1`, `_2`, ... where they repeat."""
    taken: set[str] = set()
    result = []
    for name in names:
        fresh, k = name, 0
        while fresh in taken:
            k += 1
            fresh = f"{name}_{k}"
        taken.add(fresh)
        result.append(fresh)
    return result
