"""Where a node comes from: file, line, source text, variable name, and layer path.

The user's frame is the first one outside of this package and NumPy. Its file is parsed once, and
the smallest statement that covers the running line gives the variable that is being assigned.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import CodeType, FrameType, TracebackType

import numpy as np

from transpile.ir.graph import NOWHERE, Where

_INTERNAL = tuple(str(folder) for folder in (
    Path(__file__).resolve().parent.parent, Path(np.__file__).resolve().parent,
    contextlib.__file__))
_scopes: ContextVar[tuple[str, ...]] = ContextVar("scopes", default=())
_parsed: dict[str, tuple[list[str], dict[int, ast.stmt]]] = {}
_fixed: ContextVar[tuple[Where, str] | None] = ContextVar("fixed", default=None)


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Nodes made inside belong to the layer `name`; nested scopes join with dots."""
    token = _scopes.set((*_scopes.get(), name) if name else _scopes.get())
    try:
        yield
    finally:
        _scopes.reset(token)


@contextlib.contextmanager
def at(where: Where, name: str = "") -> Iterator[None]:
    """Nodes made inside report `where` and `name`; for code that expands an existing node."""
    token = _fixed.set((where, name))
    try:
        yield
    finally:
        _fixed.reset(token)


def here() -> tuple[Where, str]:
    """The user's line that is running, and the variable that it assigns ("" if none)."""
    fixed = _fixed.get()
    if fixed is not None:
        return fixed
    frame = _user_frame(sys._getframe(1))
    if frame is None:
        return NOWHERE, ""
    return place(frame.f_code.co_filename, frame.f_lineno), _hint(frame)


def place(filename: str, line: int) -> Where:
    """The record of one source line."""
    text = linecache.getline(filename, line).strip()
    return Where(Path(filename).name, line, text, ".".join(_scopes.get()))


def of_traceback(traceback: TracebackType | None) -> Where:
    """The innermost line of the user's in a traceback."""
    found = NOWHERE
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not internal(filename):
            found = place(filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def describe(where: Where) -> str:
    """`file.py:12  the source line`, for an error's `where`."""
    return f"{where}  {where.text}".strip()


def internal(filename: str) -> bool:
    """True for files and folders of this package and of NumPy, and for frozen modules."""
    return filename.startswith("<frozen") or any(
        filename == folder or filename.startswith(folder + os.sep) for folder in _INTERNAL)


def refresh() -> None:
    """Forget files that have changed since the last trace."""
    linecache.checkcache()


def _user_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and internal(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _hint(frame: FrameType | None) -> str:
    """The name that the running statement assigns; a `return` is named by its caller."""
    while frame is not None:
        statement = statements(frame.f_code.co_filename).get(frame.f_lineno)
        if not isinstance(statement, ast.Return):
            return _assigned(statement)
        frame = _user_frame(_caller(frame))
    return ""


def _caller(frame: FrameType) -> FrameType | None:
    """The calling frame; None at the function that is being traced."""
    back = frame.f_back
    if back is not None and back.f_code.co_name == "run_traced" and internal(
            back.f_code.co_filename):
        return None
    return back


def _assigned(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Assign):
        return target_name(statement.targets[0])
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        return target_name(statement.target)
    return ""


def target_name(target: ast.expr | None) -> str:
    """`hidden` for `hidden` and `self.hidden`; "" for anything else."""
    if isinstance(target, ast.Name):
        return target.id
    return target.attr if isinstance(target, ast.Attribute) else ""


def statements(filename: str) -> dict[int, ast.stmt]:
    """The smallest statement covering each line of a file; {} if the source is not there."""
    lines = linecache.getlines(filename)  # the same list object until the file changes
    known = _parsed.get(filename)
    if known is None or known[0] is not lines:
        known = _parsed[filename] = lines, _cover("".join(lines))
    return known[1]


def _cover(text: str) -> dict[int, ast.stmt]:
    table: dict[int, ast.stmt] = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return table
    for node in ast.walk(tree):  # breadth first: inner statements come after outer ones
        if isinstance(node, ast.stmt):
            last = node.end_lineno or node.lineno
            table.update(dict.fromkeys(range(node.lineno, last + 1), node))
    return table


def returned(code: CodeType) -> list[ast.expr]:
    """The expressions of all `return` statements of a function's own body."""
    if internal(code.co_filename):
        return []
    definition = _definition(code)
    if definition is None:
        return []
    return [s.value for s in _own_statements(definition.body)
            if isinstance(s, ast.Return) and s.value is not None]


def _definition(code: CodeType) -> ast.FunctionDef | None:
    found = dict.fromkeys(statements(code.co_filename).values())
    for node in found:
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef) and inner.name == code.co_name:
                first = min([inner.lineno, *(d.lineno for d in inner.decorator_list)])
                if first == code.co_firstlineno:
                    return inner
    return None


def _own_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a function without those of functions and classes defined in it."""
    for statement in body:
        yield statement
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for name in ("body", "orelse", "finalbody"):
                yield from _own_statements(getattr(statement, name, []))
            for handler in getattr(statement, "handlers", []):
                yield from _own_statements(handler.body)
