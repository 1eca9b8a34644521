"""transpile: compiles Python models to one self-contained JavaScript module.

    @transpile.model(x=transpile.spec("float32", ("batch", 784)))
    def classify(x): ...

    transpile.build(classify, "classify.js")
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

from transpile.api import build, compile, content_hash, trace, verify  # noqa: A004
from transpile.errors import (
    DependencyError,
    InternalError,
    ShapeError,
    SourceError,
    TraceError,
    TranspileError,
    UnsupportedError,
    VerificationError,
)
from transpile.image import image
from transpile.ir.types import TensorType
from transpile.model import Model, Spec, model, spec
from transpile.module import Module
from transpile.report import Report

if TYPE_CHECKING:
    from transpile import nn

try:
    __version__ = version("transpile")
except PackageNotFoundError:  # a checkout on sys.path
    __version__ = "0.1.0"

__all__ = [
    "DependencyError", "InternalError", "Model", "Module", "Report", "ShapeError", "SourceError",
    "Spec", "TensorType", "TraceError", "TranspileError", "UnsupportedError", "VerificationError",
    "__version__", "build", "compile", "content_hash", "image", "model", "nn", "spec", "trace",
    "verify",
]


class _Package(ModuleType):
    """Keeps the functions `model`, `image` and `compile`: importing the module of such a name would
    otherwise put that in the function's place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in ("model", "image", "compile") and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    """`transpile.nn` is imported at first use, since the operators come with it."""
    if name == "nn":
        from importlib import import_module
        return import_module("transpile.nn")
    raise AttributeError(f"module 'transpile' has no attribute {name!r}")


sys.modules[__name__].__class__ = _Package
