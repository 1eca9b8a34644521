"""Runs emitted modules, under Node and in a browser, against their Python originals."""

from __future__ import annotations

from transpile.verify.check import Failure, VerificationReport, verify_module

__all__ = ["Failure", "VerificationReport", "verify_module"]
