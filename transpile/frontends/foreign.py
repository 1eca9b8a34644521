"""Models of other libraries, found by type without importing a library that is not in use."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transpile.errors import DependencyError
from transpile.model import Model

PACKAGES = {"torch": "torch", "keras": "keras", "onnx": "onnx onnxscript", "sklearn":
            "scikit-learn skl2onnx", "skl2onnx": "skl2onnx", "onnxscript": "onnxscript",
            "h5py": "h5py", "onnxmltools": "onnxmltools"}
"""What to install for a module that is missing."""

FILES = {".onnx": "onnx", ".keras": "keras", ".h5": "keras", ".hdf5": "keras", ".pt2": "torch",
         ".pt": "torch", ".pth": "torch"}
"""Model files: the front end that reads them, by suffix."""

_CLASSES: tuple[tuple[str, str, str], ...] = (
    ("keras.", "Model", "keras"), ("keras.", "Layer", "keras"), ("tf_keras.", "Model", "keras"),
    ("torch.nn.modules.module", "Module", "torch"),
    ("torch.export.", "ExportedProgram", "torch"), ("onnx.", "ModelProto", "onnx"),
    ("sklearn.base", "BaseEstimator", "sklearn")
)
"""How the module of a base class begins, the class's name, the front end. The first one counts."""

_MODELS = {"torch": "TorchModel", "keras": "KerasModel", "sklearn": "SklearnModel",
           "onnx": "OnnxModel"}


def needs(*modules: str) -> None:
    """Import modules; DependencyError with the command that installs what is missing."""
    for name in modules:
        _need(name)


def _need(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:  # Keras is there, say, but not the torch that it runs on
        missing = (error.name or name).split(".")[0]
        packages = PACKAGES.get(missing, missing)
        raise DependencyError(f"the package {packages.split()[0]} is missing",
                              why=str(error), fix=f"pip install {packages}") from None


def front_end_of(value: Any) -> str:
    """The front end for an object, or a class of one; "" if it is none of theirs."""
    classes = (value if isinstance(value, type) else type(value)).__mro__
    known = [(c.__module__, c.__name__) for c in classes]
    for prefix, name, front_end in _CLASSES:
        if any(m.startswith(prefix) and n == name for m, n in known):
            return front_end
    return ""


def adopt(model: Any) -> Any:
    """A `Model` for an object of another library, or of a wrapper around one; else `model`.

    A path, or text such as `"app.py:net"`, stands for what the command line would take it for.

    Raises:
        DependencyError: a package that its front end needs is missing.
        SourceError: there is no such file or name.
    """
    if isinstance(model, (str, os.PathLike)):
        from transpile.sources import resolve
        model = resolve(os.fspath(model))
    wrapped = type(model) is Model
    inner = model.fn if wrapped else model
    front_end = front_end_of(inner)
    if not front_end or (isinstance(model, Model) and not wrapped):
        return model
    if isinstance(inner, type):
        inner = _instance(inner)
    make = _maker(front_end)
    if not wrapped:
        return make(inner)
    options: Mapping[str, Any] = {"outputs": model.outputs, "labels": model.labels}
    return make(inner, model.specs, **options)


def _instance(cls: type) -> Any:
    from transpile.errors import TraceError
    try:
        return cls()
    except TypeError as error:
        raise TraceError(f"the class {cls.__name__} cannot be made without arguments",
                         why=str(error), fix=f"make one: net = {cls.__name__}(...)") from error


def _maker(front_end: str) -> Callable[..., Any]:
    module = importlib.import_module(f"transpile.frontends.{front_end}")
    maker: Callable[..., Any] = getattr(module, _MODELS[front_end])
    return maker


def load(path: str | os.PathLike[str]) -> Model:
    """A model from a file, by its suffix (see `FILES`).

    Raises:
        SourceError: the file cannot be read.
        DependencyError: a package that its front end needs is missing.
    """
    front_end = FILES[Path(path).suffix.lower()]
    module = importlib.import_module(f"transpile.frontends.{front_end}")
    model: Model = module.load(path)
    return model
