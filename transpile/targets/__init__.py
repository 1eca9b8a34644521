"""The targets, by name."""

from __future__ import annotations

from transpile.targets.base import Target
from transpile.targets.js import JS
from transpile.targets.wasm import WASM
from transpile.targets.webgl import WEBGL

TARGETS: dict[str, Target] = {t.name: t for t in (JS, WASM, WEBGL)}
"""Every target there is, the slowest first; `auto` takes the last one that works."""

__all__ = ["TARGETS", "Target"]
