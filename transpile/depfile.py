"""Depfiles: the files that a module was made from, as a rule for make and ninja."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def write_depfile(depfile: Path, out: Path, model: Any,
                  depends: Iterable[str | os.PathLike[str]], samples: object) -> None:
    """Write `out: files...`, and an empty rule for each file, so that make survives a removal.

    The files are the model's source, what Python imported from its folder, the samples, and
    `depends`.
    """
    from transpile.module import write_atomically
    files = sorted({*_source_files(model), *_paths(samples), *(Path(p) for p in depends)})
    names = [_escape(os.path.relpath(p) if p.is_relative_to(Path.cwd()) else str(p))
             for p in (p.resolve() for p in files)]
    rule = " \\\n  ".join([f"{_escape(str(out))}:", *names])
    empty = "".join(f"\n{name}:\n" for name in names)
    write_atomically(depfile, [f"{rule}\n{empty}".encode()])


def _source_files(model: Any) -> set[Path]:
    """The file that defines the model's function or class, and modules imported from its folder."""
    from transpile.sources import local_modules
    function = inspect.unwrap(getattr(model, "fn", model))
    owner = function if hasattr(function, "__code__") else (
        function if isinstance(function, type) else type(function))
    try:
        file = inspect.getsourcefile(owner)
    except (TypeError, OSError):
        return set()
    path = Path(file).resolve() if file else None
    return {path, *local_modules(path.parent)} if path and path.is_file() else set()


def _paths(samples: object) -> set[Path]:
    many = samples if isinstance(samples, Sequence) and not isinstance(samples, str) else [samples]
    return {Path(s).resolve() for s in many if isinstance(s, (str, os.PathLike))}


def _escape(name: str) -> str:
    """As make reads names: spaces and `#` escaped, `$` doubled."""
    return name.replace("\\", "/").replace(" ", "\\ ").replace("#", "\\#").replace("$", "$$")
