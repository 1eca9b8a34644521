"""Depfiles: the files that a module was made from, as a rule for make and ninja."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transpile.ir.graph import Graph


def write_depfile(depfile: Path, out: Path, graph: Graph,
                  depends: Iterable[str | os.PathLike[str]], samples: object) -> None:
    """Write `out: files...`, and an empty rule for each file, so that make survives a removal.

    The files are those that a node of the graph came from, what Python imported from the folder
    of the model, the samples, and `depends`.
    """
    from transpile.module import write_atomically
    files = sorted({*_graph_files(graph), *_paths(samples), *(Path(p) for p in depends)})
    names = [_escape(os.path.relpath(p) if p.is_relative_to(Path.cwd()) else str(p))
             for p in (p.resolve() for p in files)]
    rule = " \\\n  ".join([f"{_escape(str(out))}:", *names])
    empty = "".join(f"\n{name}:\n" for name in names)
    write_atomically(depfile, f"{rule}\n{empty}")


def _graph_files(graph: Graph) -> set[Path]:
    from transpile.sources import local_modules
    origin = graph.origin.rpartition(":")[0] or graph.origin
    named = {Path(f) for f in [origin, *(n.where.file for n in graph.nodes)] if f}
    found = {p for p in named if p.is_file()}
    if Path(origin).is_file():
        found |= set(local_modules(Path(origin).parent))
    return {p.resolve() for p in found}


def _paths(samples: object) -> set[Path]:
    many = samples if isinstance(samples, Sequence) and not isinstance(samples, str) else [samples]
    return {Path(s).resolve() for s in many if isinstance(s, (str, os.PathLike))}


def _escape(name: str) -> str:
    """As make reads names: spaces and `#` escaped, `$` doubled."""
    return name.replace("\\", "/").replace(" ", "\\ ").replace("#", "\\#").replace("$", "$$")
