"""transpile: compiles Python models to one self-contained JavaScript module."""

from __future__ import annotations
