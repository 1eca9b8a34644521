"""A module against the graph it came from: on random and given inputs, on each target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from transpile.errors import VerificationError
from transpile.ir.graph import Graph, Node
from transpile.report import Loss, Progress, TargetResult, silent
from transpile.verify.compare import (
    BASE,
    UNIT,
    Comparison,
    Tolerance,
    compare,
    node_lengths,
    tolerance,
)
from transpile.verify.loss import losses, worst
from transpile.verify.samples import Inputs, Ranges, given_inputs, random_inputs

if TYPE_CHECKING:
    from transpile.module import Module
    from transpile.passes.compress import Compressed
    from transpile.verify.locate import KernelDifference


GPU_ERROR = 1e-4
"""The error of a GPU target, relative to the largest element of an output."""


SIGMOID_ERROR = 2.0**-22
"""The error of another runtime's sigmoid: of 1, and not of the result. onnxruntime's is a rational
function plus 0.5, whose argument is cut off at -18."""


@dataclass(frozen=True)
class Expected:
    """What an output must be: computed in float64 and in float32, with its tolerance."""

    wide: np.ndarray
    single: np.ndarray
    allowed: Tolerance


@dataclass(frozen=True)
class Failure:
    """An output that is wrong on a target, and the first kernel that went wrong if it is known."""

    target: str
    output: str
    shapes: Mapping[str, tuple[int, ...]]
    comparison: Comparison
    kernel: KernelDifference | None = None

    def __str__(self) -> str:
        c = self.comparison
        sizes = ", ".join(f"{name}{list(shape)}" for name, shape in self.shapes.items())
        text = f"{self.output} on {self.target} for {sizes}: {c.message}"
        if c.index is not None:
            text += (f"; first at {list(c.index)}: got {c.got:.9g}, expected {c.expected:.9g}, "
                     f"largest error {c.max_abs:.3g} ({c.max_ulps} ulps)")
        return text


@dataclass(frozen=True)
class VerificationReport:
    """What `verify_module` found.

    Attributes:
        targets: the errors on each target.
        failures: outputs beyond the tolerance; verification of a target stops at its first input
            set that fails.
        loss: what storing weights in fewer bits costs, by output.
    """

    targets: Mapping[str, TargetResult] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    loss: Mapping[str, Loss] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.failures

    def check(self, name: str) -> None:
        """Raise VerificationError unless everything agreed."""
        if self.ok:
            return
        first = self.failures[0]
        kernel = first.kernel
        raise VerificationError(
            f"{name} disagrees with its Python original: {first}",
            where=kernel.where if kernel else "",
            why=f"the first kernel that differs is {kernel}" if kernel else "",
            fix="please report it; --rtol and --atol override the tolerance, --no-verify skips it")


def expected_outputs(graph: Graph, inputs: Mapping[str, Any], *, rtol: float | None = None,
                     atol: float | None = None) -> dict[str, Expected]:
    """The reference for each output of `graph`, with the tolerance that its sums explain."""
    from transpile.ir.interpret import bind_dims, interpret
    lengths = node_lengths(graph, bind_dims(graph, inputs))
    wide = interpret(graph, inputs, dtype="float64")
    single = interpret(graph, inputs)
    others = [single, *(interpret(graph, one, dtype="float64") for one in _moved(graph, inputs))]
    result = {}
    for name, node in graph.outputs:
        allowed = derived_tolerance(wide[name], [o[name] for o in others], lengths[node])
        allowed = Tolerance(allowed.relative if rtol is None else rtol,
                            (allowed.absolute if rtol is None else 0.0) if atol is None else atol)
        result[name] = Expected(wide[name], single[name], allowed)
    return result


def node_targets(targets: Sequence[str]) -> list[str]:
    """Those that run under Node; browsers are started only when asked for."""
    from transpile.targets import TARGETS
    return [t for t in targets if TARGETS[t].runs_in == "node"]


def for_target(expected: Mapping[str, Expected], target: str) -> Mapping[str, Expected]:
    """What is expected of a target: a GPU's functions may be off by `GPU_ERROR`."""
    if target in node_targets([target]):
        return expected
    return {name: replace(e, allowed=gpu_tolerance(e.allowed, e.wide))
            for name, e in expected.items()}


def gpu_tolerance(allowed: Tolerance, wide: np.ndarray) -> Tolerance:
    """`allowed`, and what a GPU's functions may be off besides."""
    if wide.dtype.kind != "f":
        return allowed
    largest = float(np.max(np.abs(wide), initial=0.0, where=np.isfinite(wide)))
    return replace(allowed, absolute=max(allowed.absolute, GPU_ERROR * largest))


def _for_original(graph: Graph, expected: Mapping[str, Expected]) -> Mapping[str, Expected]:
    """What is expected of the original: a last sigmoid may be off by `SIGMOID_ERROR`."""
    moves = {"reshape", "transpose", "slice", "concat"}

    def ends(node: Node) -> bool:
        return node.op == "sigmoid" or (node.op in moves and any(map(ends, node.inputs)))

    last = {name for name, node in graph.outputs if ends(node)}
    return {name: replace(e, allowed=replace(
        e.allowed, absolute=max(e.allowed.absolute, SIGMOID_ERROR))) if name in last else e
        for name, e in expected.items()}


def _moved(graph: Graph, inputs: Mapping[str, Any]) -> list[Inputs]:
    """The inputs moved by some roundings, for graphs that round: of values in the middle between
    two steps, one form of a computation takes this step and another one that."""
    if not any(node.op in STEPS for node in graph.nodes):
        return []
    rng = np.random.default_rng(0)
    return [{name: x * (1 + BASE * UNIT * rng.uniform(-1, 1, np.shape(x)))
             if np.asarray(x).dtype.kind == "f" else x for name, x in inputs.items()}
            for _ in range(MOVES)]


STEPS = {"round", "floor", "ceil", "trunc"}

MOVES = 4
"""So many sets of moved inputs: each takes another step in some places only."""


def derived_tolerance(wide: np.ndarray, others: Sequence[np.ndarray], length: float) -> Tolerance:
    """The tolerance for a value behind `length` operations, scaled by its magnitude.

    Args:
        others: the same computed otherwise, such as in float32.
    """
    if wide.dtype.kind != "f":
        return Tolerance(0.0, 0.0)
    finite = np.isfinite([wide, *others]).all(axis=0)
    scale = float(np.max(np.abs(wide), initial=0.0, where=finite))
    with np.errstate(invalid="ignore", over="ignore"):
        noise = max(float(np.max(np.abs(wide - o), initial=0.0, where=finite)) for o in others)
    return tolerance(length, scale, noise)


def compare_outputs(got: Mapping[str, np.ndarray], expected: Mapping[str, Expected]
                    ) -> dict[str, Comparison]:
    """A comparison for each output; one that is missing fails."""
    return {name: compare(got[name], e.wide, e.allowed, e.single) if name in got
            else Comparison(False, message="the output is missing")
            for name, e in expected.items()}


def verify_module(module: Module, graph: Graph, samples: object = None, *,
                  targets: Sequence[str] | None = None, rtol: float | None = None,
                  atol: float | None = None, ranges: Ranges | None = None,
                  original: Callable[[Inputs], Mapping[str, np.ndarray]] | None = None,
                  stored: Compressed | None = None, progress: Progress | None = None
                  ) -> VerificationReport:
    """Run `module` against `graph` on seeded random inputs and on `samples`.

    Named dimensions are tried at several sizes, 1 among them; fewer where a run is much work.

    Args:
        samples: a mapping of arrays, the path of an `.npz`, or a list of these.
        targets: default: those of the module that run under Node.
        rtol, atol: instead of the tolerance that follows from the model.
        ranges: (low, high) by input name for the random inputs.
        original: the Python model itself, outputs by name; checks the trace, too.
        stored: where weights are stored in fewer bits; the module must agree with these, and the
            optimised graph, before they were rounded, with `graph`.

    Raises:
        JavaScriptError: the module threw.
    """
    inputs = [*random_inputs(graph, ranges, work=module.programs[0].flops),
              *given_inputs(graph, samples)]
    wanted = tuple(targets or node_targets(module.targets))
    total, done = len(inputs) * (len(wanted) + 1), 0
    results: dict[str, TargetResult] = {}
    failures: list[Failure] = []
    loss: dict[str, Loss] = {}
    report = progress or silent
    for one in inputs:
        report("verify: reference", done, total)
        expected = expected_outputs(graph, one, rtol=rtol, atol=atol)
        if original:
            failures += _trace_failures(graph, original, expected, one, rtol is atol is None)
        if stored:
            failures += _failures("the passes", _outputs(stored.original, one), expected, one)
            exact, expected = expected, expected_outputs(stored.rounded, one, rtol=rtol, atol=atol)
            loss = worst(loss, losses(exact, expected))
        done += 1
        for target in wanted:
            if any(f.target == target for f in failures):
                continue
            report(f"verify: {target}", done, total)
            got = module.run(one, target)
            allowed = for_target(expected, target)
            results[target] = _merge(results.get(target), compare_outputs(got, allowed))
            failures += _failures(target, got, allowed, one)
            done += 1
    return VerificationReport(results, _located(module, failures, inputs), loss)


def _outputs(graph: Graph, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The outputs in float64, handed out as a module would."""
    from transpile.ir.interpret import interpret
    dtypes = {name: node.dtype for name, node in graph.outputs}
    with np.errstate(over="ignore"):
        return {name: value.astype(dtypes[name])
                for name, value in interpret(graph, inputs, dtype="float64").items()}


def _trace_failures(graph: Graph, original: Callable[[Inputs], Mapping[str, np.ndarray]],
                    expected: Mapping[str, Expected], inputs: Inputs, derived: bool
                    ) -> list[Failure]:
    """Where the Python model differs from its trace; `derived`: no tolerance was given."""
    allowed = _for_original(graph, expected) if derived else expected
    return _failures("the trace", original(inputs), allowed, inputs)


def _failures(target: str, got: Mapping[str, np.ndarray], expected: Mapping[str, Expected],
              inputs: Inputs) -> list[Failure]:
    shapes = {name: np.shape(value) for name, value in inputs.items()}
    return [Failure(target, name, shapes, c)
            for name, c in compare_outputs(got, expected).items() if not c.ok]


def _merge(before: TargetResult | None, comparisons: Mapping[str, Comparison]) -> TargetResult:
    old = before or TargetResult(0, 0.0, 0.0, 0)
    values: Iterable[Comparison] = comparisons.values()
    return TargetResult(old.runs + 1, *(max([a, *b]) for a, b in (
        (old.max_error, [c.max_abs for c in values]), (old.max_rel, [c.max_rel for c in values]),
        (old.max_ulps, [c.max_ulps for c in values]))))


def _located(module: Module, failures: Sequence[Failure], inputs: Sequence[Inputs]
             ) -> tuple[Failure, ...]:
    """The failures, the first of each target with the kernel that went wrong first."""
    from transpile.verify.locate import first_difference
    result: list[Failure] = []
    seen = {"the trace", "the passes"}
    for failure in failures:
        if failure.target in seen:
            result.append(failure)
            continue
        seen.add(failure.target)
        culprit = next(one for one in inputs if failure.shapes == {
            name: np.shape(value) for name, value in one.items()})
        result.append(replace(failure, kernel=first_difference(
            module, culprit, failure.target)))
    return tuple(result)
