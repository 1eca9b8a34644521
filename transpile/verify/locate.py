"""Which kernel went wrong first: a debug build's steps against the interpreted graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from transpile.ir.graph import Graph, Node
from transpile.program import Call
from transpile.targets import TARGETS
from transpile.verify.compare import Comparison, compare, node_lengths

if TYPE_CHECKING:
    from transpile.module import Module
    from transpile.program import Program


@dataclass(frozen=True)
class KernelDifference:
    """The first kernel call whose output is off.

    Attributes:
        label: of the call: the variable or layer that it computes.
        kernel: the function in the module.
        formula: what it computes, in the user's terms.
        where: `file.py:line`.
        comparison: index, values and errors.
    """

    label: str
    kernel: str
    formula: str
    where: str
    comparison: Comparison

    def __str__(self) -> str:
        c = self.comparison
        text = f"{self.label} ({self.formula or self.kernel}): {c.message}"
        if c.index is not None:
            text += (f"; first at {list(c.index)}: got {c.got:.9g}, expected {c.expected:.9g}, "
                     f"{c.max_ulps} ulps")
        return text


def first_difference(module: Module, inputs: Mapping[str, np.ndarray], target: str
                     ) -> KernelDifference | None:
    """Run a debug build of `module` and compare every kernel's output, in order.

    None if each kernel agrees: then the error lies in what the passes did to the graph, or only
    shows in the built file.
    """
    from transpile.verify.node import JavaScriptError
    program = next(p for p in module.programs if p.target == target)
    calls = _calls(program)
    try:
        steps = module.steps(inputs, target)
    except JavaScriptError:
        return None
    references = _References(program.graph, inputs, target)
    for label, got in steps:
        comparison = references.compare(label, got)
        if comparison is not None and not comparison.ok:
            return replace(calls[label], comparison=comparison)
    return None


def _calls(program: Program) -> dict[str, KernelDifference]:
    """What is known of each kernel call or draw, by label; compared with nothing yet."""
    if program.tasks:
        where = {n.name: str(n.where) for n in program.graph.nodes}
        regions = (label for t in program.tasks if not isinstance(t, Call)
                   for label, _ in t.results)
        return {**{c.label: KernelDifference(c.label, c.kernel, c.formula, c.where,
                                             Comparison(True)) for c in program.calls},
                **{label: KernelDifference(label, "loop or branch", "", where[label],
                                           Comparison(True)) for label in regions}}
    from transpile.targets.glsl.programs import plan_webgl
    return {d.label: KernelDifference(d.label, d.label, d.formula, d.where, Comparison(True))
            for d in plan_webgl(program.graph, merged=False).draws}


class _References:
    """Every node's value in float64 and float32, by the node's name."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Any], target: str) -> None:
        from transpile.ir.interpret import bind_dims, node_values
        self.target = target
        self.nodes: dict[str, Node] = {node.name: node for node in graph.nodes}
        self.wide = node_values(graph, inputs, dtype="float64")
        self.single = node_values(graph, inputs)
        self.lengths = node_lengths(graph, bind_dims(graph, inputs))

    def compare(self, label: str, got: np.ndarray) -> Comparison | None:
        from transpile.verify.check import derived_tolerance, gpu_tolerance
        node = self.nodes.get(label)
        # A value that lies inside a larger buffer is not handed out on its own.
        if node is None or got.size != self.wide[node].size:
            return None
        wide, single = self.wide[node], self.single[node]
        allowed = derived_tolerance(wide, [single], self.lengths[node])
        if not TARGETS[self.target].cpu:
            allowed = gpu_tolerance(allowed, wide)
        return compare(got.reshape(wide.shape), wide, allowed, single)
