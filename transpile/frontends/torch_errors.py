"""What torch.export's errors say, in a line, with the user's own line of code."""

from __future__ import annotations

import os
import re
from typing import Any

from transpile.errors import TraceError, UnsupportedError


def cannot_export(module: Any, problem: Exception | None) -> TraceError:
    """The error for a module that torch.export refuses."""
    text = str(problem)
    if "Constraints violated" in text or "specialized" in text or re.search(
            r"\bs\d+\b", text.split("\n")[0]):
        lines = [line.strip(" -") for line in text.split("\n") if "specialized" in line
                 or "dynamic but" in line]
        return UnsupportedError(
            f"{type(module).__name__} works only for some values of a named size",
            why=(lines or [first_line(problem)])[0].split(". If you")[0],
            fix="give that dimension a number in the input's spec")
    return TraceError(f"torch.export cannot trace {type(module).__name__}",
                      where=user_line(problem), why=first_line(problem),
                      fix="control flow must not depend on values: see "
                          "https://pytorch.org/docs/stable/export.html")


def refuse_quantised(module: Any) -> None:
    """UnsupportedError for layers that PyTorch quantised, which keep weights in objects of C++."""
    for name, part in module.named_modules():
        if ".nn.quantized" in type(part).__module__:
            raise UnsupportedError(
                f"{name}: PyTorch's quantised {type(part).__name__} is not supported",
                why="torch.export cannot trace it",
                fix="give the module before it was quantised; --weights int8 and --compute int8 "
                    "quantise it here")


def first_line(error: BaseException | None) -> str:
    """The kind of an error and the first line of its text."""
    lines = str(error).strip().split("\n")
    return f"{type(error).__name__}: {lines[0][:300]}"


def user_line(error: Exception | None) -> str:
    """The last line outside of PyTorch that the error came through."""
    place, trace = "", getattr(error, "__traceback__", None)
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not any(f"{os.sep}{part}{os.sep}" in file for part in ("torch", "transpile")):
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
