"""The op table: importing this package imports every module in it, and each fills `OPS`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

for _module in sorted(iter_modules(__path__), key=lambda m: m.name):
    if _module.name != "registry":
        import_module(f"{__name__}.{_module.name}")
