"""Renews the generated part of README.md from the tables: `python tools/update_readme.py`.

`--check` writes nothing and ends with 1 if something would change. What another library covers
depends on its version, so those rows are kept where it is not the one that the row names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from transpile.errors import DependencyError
from transpile.frontends.coverage import TABLES

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN = "<!-- begin: supported, written by tools/update_readme.py -->\n"
END = "<!-- end: supported -->\n"


def _dotted(function: Callable[..., Any]) -> str:
    module = function.__module__.removeprefix("numpy").removeprefix(".")
    public = getattr(np, module, None) if module and not module.startswith("_") else None
    return f"{module}.{function.__name__}" if public is not None else function.__name__


def _functions(table: Mapping[Callable[..., Any], Any]) -> list[str]:
    return sorted({_dotted(function) for function in table})


def _listed(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def rows() -> list[tuple[str, str]]:
    """Group and names, from the front end's tables and `transpile.nn`."""
    from transpile import nn
    from transpile.frontends.numpy_contract import CONTRACTIONS, PRODUCT_UFUNCS
    from transpile.frontends.numpy_elementwise import ELEMENTWISE
    from transpile.frontends.numpy_reduce import REDUCTIONS
    from transpile.frontends.numpy_shape import SHAPES
    from transpile.frontends.numpy_ufuncs import ELEMENTWISE_UFUNCS
    public = [n for n in nn.__all__ if callable(getattr(nn, n))]
    elementwise = sorted({*ELEMENTWISE_UFUNCS, *_functions(ELEMENTWISE)})
    return [
        ("NumPy and `scipy.special`, elementwise", _listed(elementwise)),
        ("NumPy, products", _listed(sorted({*PRODUCT_UFUNCS, *_functions(CONTRACTIONS)}))),
        ("NumPy, reductions", _listed(_functions(REDUCTIONS))),
        ("NumPy, shapes and indices", _listed(_functions(SHAPES))),
        ("`transpile.nn`, functions", _listed(sorted(n for n in public if n[0].islower()))),
        ("`transpile.nn`, layers", _listed(sorted(n for n in public if n[0].isupper()))),
        ("ONNX, operators", _listed(sorted(_onnx_operators()))),
    ]


def _onnx_operators() -> Iterable[str]:
    from transpile.frontends.onnx_ops import BUILDERS, load_all
    load_all()
    return {f"{domain}.{name}" if domain else name for domain, name in BUILDERS
            if domain != "transpile"}


FOREIGN = (("torch", "PyTorch, operators with a form in ONNX", "onnxscript"),
           ("keras", "Keras, layers, traced by PyTorch", "keras"),
           ("sklearn", "scikit-learn, estimators that become ONNX", "skl2onnx"))
"""Front ends through other libraries: the row's title, and the package that decides on it."""


def foreign_lines(old: str, *, keep: bool) -> Iterable[str]:
    """The rows of `FOREIGN`; those of `old` if `keep`, or for want of the package."""
    for frontend, title, package in FOREIGN:
        former = next((x for x in old.split("\n") if x.startswith(f"| {title} (")), "")
        try:
            label = f"{title} ({package} {version(package)})"
            names = _listed(n for n, _, why in TABLES[frontend]() if not why)
        except (PackageNotFoundError, DependencyError):
            label = ""
        if former and (not label or (keep and f"| {label} |" not in former)):
            yield former
        elif label:
            yield f"| {label} | {names} |"


def table(old: str, *, keep: bool) -> str:
    """The Markdown table."""
    lines = ["| | |", "|---|---|", *(f"| {group} | {names} |" for group, names in rows()),
             *foreign_lines(old, keep=keep)]
    return "\n".join(lines) + "\n"


def renewed(text: str, *, keep: bool) -> str:
    """`text` with the generated part replaced."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{table(text, keep=keep)}\n{END}{tail}"


def main() -> int:
    """Write or check."""
    old = README.read_text(encoding="utf-8")
    new = renewed(old, keep="--check" in sys.argv)
    if "--check" in sys.argv:
        return int(old != new)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
