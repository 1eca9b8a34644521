"""The passes, in the order in which they run."""

from __future__ import annotations

from transpile.passes.algebra import algebra
from transpile.passes.canonicalize import canonicalize
from transpile.passes.cse import cse
from transpile.passes.dce import dce
from transpile.passes.expand import expand
from transpile.passes.fold_constants import fold_constants
from transpile.passes.fold_scale import fold_scale
from transpile.passes.layout import layout
from transpile.passes.manager import Observer, Pass, PassRecord, run_pipeline
from transpile.passes.rows import rows

PIPELINE: tuple[Pass, ...] = (
    Pass("expand", expand, once=True),
    Pass("canonicalize", canonicalize),
    Pass("fold_constants", fold_constants),
    Pass("algebra", algebra),
    Pass("layout", layout),
    Pass("fold_scale", fold_scale),
    Pass("rows", rows),
    Pass("dce", dce),
    Pass("cse", cse),
)
"""Every pass; all but the first are repeated until none changes anything."""

__all__ = ["PIPELINE", "Observer", "Pass", "PassRecord", "run_pipeline"]
