"""Every error that transpile raises, in one tree.

Each carries what failed, where (`file.py:line`, node or layer), why, and what to do, so that the
command line can print a few lines instead of a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transpile.ir.dims import Dim


class TranspileError(Exception):
    """The root of the tree.

    Args:
        what: one line that names the failing thing.
        where: `file.py:line`, a node name, or a layer path.
        why: the reason, if `what` does not say it.
        fix: what the user can do.
        fitting: what named sizes of inputs could be so that this does not fail, if that is known.
    """

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "",
                 fitting: Mapping[str, Dim] | None = None) -> None:
        self.fitting = fitting or {}
        self.what, self.where, self.why, self.fix = what, where, why, fix
        lines = [what]
        lines += [f"  {label}: {text}" for label, text in
                  (("where", where), ("why", why), ("fix", fix)) if text]
        super().__init__("\n".join(lines))


class TraceError(TranspileError):
    """A Python function cannot be traced: control flow on values, in-place writes, ..."""


class UnsupportedError(TraceError, NotImplementedError):
    """A function, operator or dtype that transpile does not have."""


class ShapeError(TranspileError, ValueError):
    """Shapes or dtypes of operands do not fit."""


class SourceError(TranspileError):
    """A model file or reference cannot be read."""


class DependencyError(TranspileError):
    """An optional package, Node, or a browser is missing; `fix` holds the command."""


class VerificationError(TranspileError):
    """The emitted module disagrees with the Python original."""


class InternalError(TranspileError):
    """A pass or kernel broke an invariant: a defect of transpile itself."""
