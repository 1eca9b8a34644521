"""What torch.onnx wrote, made smaller without a change of its numbers.

Its own optimiser compares constants with tolerances: it takes x + 1e-8 for x and x * 1.000001, too,
so a sum that such a term keeps from being zero would be divided by. Here are its other steps.
"""

from __future__ import annotations

from typing import Any


def tidy(model: Any) -> None:
    """Fold constants, and drop what is not used or there twice, in an `onnx_ir.Model`."""
    from onnx_ir import passes
    from onnx_ir.passes import common
    from onnxscript import optimizer
    optimizer.inline(model)
    optimizer.fold_constants(model)
    passes.Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass())(model)
