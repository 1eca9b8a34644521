"""Modules: objects that hold parameters and other modules, under names that reach the output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from transpile.errors import ShapeError, SourceError
from transpile.frontends import source
from transpile.nn.dispatch import Array


class Module:
    """A layer or a model: arrays and modules as attributes, and a `forward` method.

    Arrays that are attributes are its parameters, named by the path to them, such as
    "features.0.conv.weight"; attributes that start with an underscore do not count. Modules may
    also sit in lists. Names and layouts of the layers here are PyTorch's, so that the
    `state_dict` of the same architecture loads.
    """

    buffers: tuple[str, ...] = ()
    """Attributes that are kept with the parameters but not trained (running statistics)."""

    _path = ""

    def __setattr__(self, name: str, value: Any) -> None:
        for path, child in _modules_in(name, value):
            child.set_path(path)
        object.__setattr__(self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`; while tracing, what it does is filed under this module's name."""
        with source.scope(self._path):
            return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def set_path(self, path: str) -> None:
        """Take the name under which the parent holds this module."""
        object.__setattr__(self, "_path", path)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that this one holds directly, with their names."""
        for name, value in vars(self).items():
            if not name.startswith("_"):
                yield from _modules_in(name, value)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their paths."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(_join(prefix, name))

    def named_arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Parameters and buffers with their paths; a shared array comes once for each path."""
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, np.ndarray) and not name.startswith("_"):
                    yield _join(path, name), value

    def named_parameters(self) -> Iterator[tuple[str, np.ndarray]]:
        """What training changes: `named_arrays` without the buffers."""
        fixed = {_join(path, name) for path, m in self.named_modules() for name in m.buffers}
        return ((name, value) for name, value in self.named_arrays() if name not in fixed)

    def parameters(self) -> Iterator[np.ndarray]:
        """The arrays of `named_parameters`."""
        return (value for _, value in self.named_parameters())

    def state_dict(self) -> dict[str, np.ndarray]:
        """Parameters and buffers by path."""
        return dict(self.named_arrays())

    def load_state_dict(self, state: Mapping[str, Any]) -> Module:
        """Take parameters and buffers from a mapping such as `np.load` or PyTorch gives.

        Entries called `num_batches_tracked` are ignored.

        Returns:
            This module.

        Raises:
            SourceError: a name is missing or unknown.
            ShapeError: a shape differs.
        """
        given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
        own = self.state_dict()
        _check_names(own, given)
        for path, module in self.named_modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, np.ndarray) and not name.startswith("_"):
                    setattr(module, name, _loaded(_join(path, name), value,
                                                  given[_join(path, name)]))
        return self

    def eval(self) -> Module:
        """This module: layers always behave as at inference."""
        return self


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _modules_in(name: str, value: Any) -> Iterator[tuple[str, Module]]:
    if isinstance(value, Module):
        yield name, value
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name}.{i}", v) for i, v in enumerate(value) if isinstance(v, Module))


def _check_names(own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    missing = [k for k in own if k not in given]
    unknown = [k for k in given if k not in own]
    if missing or unknown:
        parts = [f"{label}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
                 for label, names in (("missing", missing), ("unknown", unknown)) if names]
        raise SourceError("the state does not belong to this module", why="; ".join(parts),
                          fix="compare its names with module.state_dict()")


def _loaded(name: str, old: np.ndarray, new: Any) -> np.ndarray:
    value = np.array(new.detach().cpu().numpy() if hasattr(new, "detach") else new, old.dtype)
    if value.shape != old.shape:
        raise ShapeError(f"the parameter {name} has shape {list(old.shape)}, "
                         f"and the state holds {list(value.shape)}")
    return value


class Sequential(Module):
    """Modules (or functions) one after another; children are named "0", "1", ..."""

    def __init__(self, *layers: Any) -> None:
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def __len__(self) -> int:
        return len(self._layers())

    def __getitem__(self, index: int) -> Any:
        return self._layers()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._layers())

    def _layers(self) -> list[Any]:
        return [value for name, value in vars(self).items() if name.isdigit()]

    def append(self, layer: Any) -> Sequential:
        """Add a layer at the end."""
        setattr(self, str(len(self)), layer)
        return self

    def forward(self, x: Array) -> Array:
        for layer in self._layers():
            x = layer(x)
        return x


class ModuleList(Sequential):
    """Modules in a list, for `forward` methods that loop over them."""

    def __init__(self, layers: Iterable[Module] = ()) -> None:
        super().__init__(*layers)

    def set_path(self, path: str) -> None:
        # The list itself is never called, so that its name goes in front of its children's.
        super().set_path(path)
        for name, child in self.named_children():
            child.set_path(f"{path}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, Module) and self._path:
            value.set_path(f"{self._path}.{name}")

    def forward(self, x: Array) -> Array:
        raise NotImplementedError("a ModuleList is not called; loop over it, or use Sequential")
