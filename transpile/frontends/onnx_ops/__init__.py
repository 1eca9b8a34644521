"""The table from ONNX operators to builders on tracers, each with the opset it begins with."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from transpile.frontends.onnx_values import Builder

BUILDERS: dict[tuple[str, str], list[tuple[int, Builder]]] = {}
"""By domain ("" is the default one) and operator: (first opset, builder), newest last."""

FOLDS: dict[str, Builder] = {}
"""What operators of the default domain do on known arrays: integer shape arithmetic."""

REFUSED: dict[tuple[str, str], str] = {}
"""Operators that cannot be compiled, with the reason."""


def onnx_op(*names: str, since: int = 1, domain: str = "") -> Callable[[Builder], Builder]:
    """Register a builder for operators from an opset on."""
    def register(builder: Builder) -> Builder:
        for name in names:
            entry = BUILDERS.setdefault((domain, name), [])
            entry.append((since, builder))
            entry.sort(key=lambda e: e[0])
        return builder
    return register


def fold(*names: str) -> Callable[[Builder], Builder]:
    """Register what operators do where all operands are known."""
    def register(builder: Builder) -> Builder:
        FOLDS.update(dict.fromkeys(names, builder))
        return builder
    return register


def refuse(reason: str, *names: str, domain: str = "") -> None:
    """Say why operators are not supported."""
    for name in names:
        REFUSED[domain, name] = reason


def find(domain: str, name: str, version: int) -> Builder | None:
    """The builder for an operator at an opset, if there is one."""
    load_all()
    found = None
    for since, builder in BUILDERS.get((domain, name), ()):
        if since <= version:
            found = builder
    return found


def load_all() -> None:
    """Import every module of the package, which fills the tables."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
