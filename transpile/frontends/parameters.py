"""Arrays that a function or an object closes over, as named parameters of the graph.

While the function is traced, every array that it can reach (module globals by name, closure
cells, defaults, attributes, and containers of these) is replaced by a tracer of a constant, and
put back afterwards. Only so do `EMB[ids]`, `W.T @ x` and `W.shape` work alike: in `EMB[ids]` with
a plain array, NumPy would ask the tracer for its values and never call back. The places are
changed themselves, under a lock, and not in a copy of the function's globals, since helper
functions and methods look names up in the module's own dict, which no copy would reach.
A call of the same function from another thread at that moment would meet tracers.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.frontends import source
from transpile.frontends.tracer import Tracer
from transpile.ir.graph import Where, constant

_LOCK = threading.RLock()
_MAX_DEPTH = 16
_PLAIN = (str, bytes, int, float, complex, bool, type(None), Tracer, np.generic, np.dtype,
          np.random.Generator, types.BuiltinFunctionType)


@contextlib.contextmanager
def parameters_as_tracers(model: Any) -> Iterator[Callable[[Any], Any]]:
    """Replace the arrays that `model` reaches by tracers of constants for the time of the block.

    Yields:
        A function that gives a value its replacement: for defaults and for `model` itself.
    """
    with _LOCK:
        walk = _Walk(model)
        try:
            walk.visit_root(model)
            yield lambda value: walk.replace(value, "", 0)
        finally:
            walk.restore()


class _Walk:
    """One visit of everything that a model reaches; `undo` puts back what was changed."""

    def __init__(self, model: Any) -> None:
        self.tracers: dict[int, tuple[Any, Tracer]] = {}
        self.seen: dict[int, Any] = {}
        self.undo: list[Callable[[], None]] = []
        plain = model.func if isinstance(model, partial) else model
        function = getattr(plain, "__func__", plain)
        owner = function if isinstance(function, types.FunctionType) else type(model)
        self.package = (getattr(owner, "__module__", "") or "").split(".")[0]
        self.folder = _folder(owner)

    def visit_root(self, model: Any) -> None:
        """Functions by their names, objects by their attributes (which get no prefix)."""
        if isinstance(model, types.MethodType):
            self.replace(model.__func__, "", 0)
            self.replace(model.__self__, "", 0)
        else:
            self.replace(model, "", 0)

    def restore(self) -> None:
        while self.undo:
            self.undo.pop()()

    def replace(self, value: Any, path: str, depth: int) -> Any:
        """The value to use instead; what cannot be changed in place comes back rebuilt."""
        if isinstance(value, np.ndarray):
            return self.array(value, path)
        if isinstance(value, _PLAIN) or depth > _MAX_DEPTH:
            return value
        if isinstance(value, tuple):
            return self.sequence(value, path, depth)
        if id(value) not in self.seen:
            self.seen[id(value)] = value
            self.enter(value, path, depth + 1)
        return value

    def enter(self, value: Any, path: str, depth: int) -> None:
        if isinstance(value, dict):
            self.mapping(value, path, depth)
        elif isinstance(value, list):
            for k, item in enumerate(value):
                self.slot(item, _join(path, k), depth, partial(value.__setitem__, k))
        elif isinstance(value, types.FunctionType):
            if self.own(value):
                self.function(value, path, depth)
        elif isinstance(value, partial):
            self.replace(value.func, path, depth)
            self.mapping(value.keywords, path, depth)
        elif isinstance(value, types.MethodType):
            self.replace(value.__func__, "", depth)
            self.replace(value.__self__, path, depth)
        elif not isinstance(value, (type, types.ModuleType)):
            self.object(value, path, depth)

    def slot(self, old: Any, path: str, depth: int, put: Callable[[Any], None]) -> None:
        """One place that holds a value: put the replacement there, and remember to undo it."""
        new = self.replace(old, path, depth)
        if new is not old:
            self.undo.append(lambda: put(old))
            put(new)

    def array(self, value: np.ndarray, path: str) -> Any:
        """The one tracer of an array; arrays that cannot be constants stay as they are."""
        if id(value) not in self.tracers:
            where = Where(scope=path.rpartition(".")[0])
            try:
                node = constant(value, path or "parameter", where, parameter=True)
            except (ShapeError, TypeError):
                return value
            self.tracers[id(value)] = value, Tracer(node)
        return self.tracers[id(value)][1]

    def sequence(self, value: tuple[Any, ...], path: str, depth: int) -> Any:
        items = [self.replace(v, _join(path, k), depth + 1) for k, v in enumerate(value)]
        if all(a is b for a, b in zip(items, value, strict=True)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)

    def mapping(self, value: dict[Any, Any], path: str, depth: int) -> None:
        for key, item in list(value.items()):
            self.slot(item, _join(path, key), depth, partial(value.__setitem__, key))

    def function(self, function: types.FunctionType, path: str, depth: int) -> None:
        """Globals by the names that the code uses, closure cells, and defaults."""
        code = function.__code__
        self.names(function.__globals__, _names(code), depth)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a cell that is still empty
                self.slot(cell.cell_contents, _join(path, name), depth,
                          partial(setattr, cell, "cell_contents"))
        for attribute in ("__defaults__", "__kwdefaults__"):
            self.defaults(function, attribute, path, depth)

    def defaults(self, function: types.FunctionType, attribute: str, path: str,
                 depth: int) -> None:
        value = getattr(function, attribute)
        if not value:
            return
        if isinstance(value, dict):
            self.mapping(value, path, depth)
            return
        names = inspect.getfullargspec(function).args[-len(value):]
        items = tuple(self.replace(v, _join(path, n), depth)
                      for n, v in zip(names, value, strict=True))
        if any(a is not b for a, b in zip(items, value, strict=True)):
            self.undo.append(lambda: setattr(function, attribute, value))
            setattr(function, attribute, items)

    def names(self, space: dict[str, Any], used: set[str], depth: int) -> None:
        """The values of a module that a function uses by name."""
        for name in sorted(used & space.keys()):
            value = space[name]
            if isinstance(value, types.ModuleType):
                if self.own(value) and id(value) not in self.seen:
                    self.names(vars(value), used, depth + 1)
            elif isinstance(value, type):
                self.methods(value, depth)
            else:
                self.slot(value, name, depth, partial(space.__setitem__, name))

    def object(self, value: Any, path: str, depth: int) -> None:
        """Attributes of an object, of its class, and what its methods use."""
        if type(value).__module__.split(".")[0] in sys.stdlib_module_names | {"numpy"}:
            return
        attributes: dict[str, Any] = getattr(value, "__dict__", {})
        follow = self.follows(type(value))
        for name, item in list(attributes.items()):
            if follow or isinstance(item, np.ndarray):
                self.slot(item, _join(path, name), depth, partial(attributes.__setitem__, name))
        for name in _slots(type(value)):
            if hasattr(value, name):
                self.slot(getattr(value, name), _join(path, name), depth,
                          partial(object.__setattr__, value, name))
        self.methods(type(value), depth, path)

    def follows(self, cls: type) -> bool:
        """True for the model's own classes and layers; of a library's objects (a fitted scaler),
        only arrays that are attributes are replaced, and nothing deeper."""
        return any(self.own(base) or source.internal(_folder(base)) for base in cls.__mro__[:-1])

    def methods(self, cls: type, depth: int, path: str = "") -> None:
        """What the functions of a class use, and arrays that are attributes of the class."""
        for base in cls.__mro__:
            if id(base) in self.seen or not self.own(base):
                continue
            self.seen[id(base)] = base
            for name, value in list(vars(base).items()):
                value = getattr(value, "fget", None) or getattr(value, "__func__", value)
                if isinstance(value, types.FunctionType):
                    self.replace(value, path, depth + 1)
                elif isinstance(value, (np.ndarray, list, dict, tuple)) and name[:2] != "__":
                    self.slot(value, _join(path, name), depth + 1,
                              partial(setattr, base, name))

    def own(self, thing: Any) -> bool:
        """True for code of the model's package or folder; libraries are left alone."""
        module = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
        if str(module).split(".")[0] in sys.stdlib_module_names - {"__main__"}:
            return False
        folder = _folder(thing)
        if folder and source.internal(folder):
            return False
        return str(module).split(".")[0] == self.package or bool(
            folder and folder == self.folder)


def _folder(thing: Any) -> str:
    if isinstance(thing, types.FunctionType):
        return str(Path(thing.__code__.co_filename).parent)
    module = thing if isinstance(thing, types.ModuleType) else sys.modules.get(
        getattr(thing, "__module__", ""))
    file = getattr(module, "__file__", None)
    return str(Path(file).parent) if file else ""


def _names(code: types.CodeType) -> set[str]:
    """The names that a function's code and the functions inside it use."""
    found = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= _names(inner)
    return found


def _slots(cls: type) -> list[str]:
    return [name for base in cls.__mro__ for name in _as_tuple(base.__dict__.get("__slots__", ()))
            if name not in ("__dict__", "__weakref__")]


def _as_tuple(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _join(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)
