"""Transcendental functions on wasm, scalar and in lanes, against NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lowering import Case, run_batch
from scipy import special

from transpile.compile import lower_optimised, own_passes
from transpile.ir.graph import Graph, input_node
from transpile.ir.types import TensorType
from transpile.ops import registry
from transpile.program import Program
from transpile.targets.wasm import WASM

FUNCTIONS: dict[str, tuple[Callable[..., Any], float, float]] = {
    # reference, bound of the error in ulps, bound of the absolute error where that is larger
    "exp": (np.exp, 1, 0), "log": (np.log, 1, 0), "log1p": (np.log1p, 1.5, 0),
    "expm1": (np.expm1, 1.5, 0), "sin": (np.sin, 2, 2e-7), "cos": (np.cos, 2, 2e-7),
    "tan": (np.tan, 4, 4e-7), "tanh": (np.tanh, 5.5, 0), "sigmoid": (special.expit, 3, 1e-37),
    "erf": (special.erf, 8, 1e-40), "sinh": (np.sinh, 4, 0), "cosh": (np.cosh, 4, 0),
    "asin": (np.arcsin, 4, 0), "acos": (np.arccos, 4, 2e-7), "atan": (np.arctan, 3, 0),
    "asinh": (np.arcsinh, 4, 0), "acosh": (np.arccosh, 4, 0), "atanh": (np.arctanh, 4, 0),
    "sqrt": (np.sqrt, 0.5, 0), "rsqrt": (lambda x: 1 / np.sqrt(x), 2, 0),
}
PAIRS: dict[str, tuple[Callable[..., Any], float]] = {
    "pow": (np.power, 1), "atan2": (np.arctan2, 4), "mod": (np.mod, 1), "fmod": (np.fmod, 0.5),
    "maximum": (np.maximum, 0), "minimum": (np.minimum, 0)}
PERIODIC = ("sin", "cos", "tan")
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0,
                    1e-45, -1e-45, 1e-38, 3.4e38, -3.4e38, 88.8, -104.5, 89.5], np.float32)


def values(name: str) -> np.ndarray:
    """All magnitudes of float32, dense where functions bend, and special values."""
    rng = np.random.default_rng(1)
    dense = rng.uniform(-1, 1, 20000) * rng.choice([1, 10, 100], 20000)
    wide = np.exp2(rng.uniform(-149, 128, 10000)) * rng.choice([-1, 1], 10000)
    if name in PERIODIC:
        wide = wide[np.abs(wide) < 8000]
    special_ones = SPECIAL[~(np.abs(SPECIAL) > 1e30) | np.isinf(SPECIAL)] if (
        name in PERIODIC) else SPECIAL
    return np.concatenate([special_ones, dense, wide]).astype(np.float32)


def program(name: str, count: int, operands: int, *, lanes: bool) -> Program:
    """The function over a vector, or over a stride of 2, which cannot use lanes."""
    shape = (count,) if lanes else (count, 2)
    nodes = tuple(input_node(f"x{i}", TensorType("float32", shape)) for i in range(operands))
    inner = nodes if lanes else tuple(registry.make("transpose", n, perm=(1, 0)) for n in nodes)
    output = registry.make(name, *inner, label="out")
    return lower_optimised(own_passes(Graph(name, nodes, (("out", output),)), WASM), WASM, WASM)


def cases(name: str, operands: list[np.ndarray]) -> list[Case]:
    result = []
    for lanes in (True, False):
        given = operands if lanes else [np.stack([o, o], 1) for o in operands]
        inputs = {f"x{i}": o for i, o in enumerate(given)}
        result.append(Case(program(name, len(operands[0]), len(operands), lanes=lanes), inputs))
    return result


def pairs(name: str) -> list[np.ndarray]:
    """Special values in all pairs, and random ones; remainders of quotients below 2**28 only."""
    rng = np.random.default_rng(2)
    a, b = (np.ravel(m) for m in np.meshgrid(SPECIAL, SPECIAL))
    x = np.concatenate([a, rng.uniform(-50, 50, 4000), rng.uniform(0, 2, 4000)])
    y = np.concatenate([b, rng.uniform(-9, 9, 4000), rng.uniform(-60, 60, 4000)])
    x, y = x.astype(np.float32), y.astype(np.float32)
    with np.errstate(all="ignore"):
        far = (np.abs(x / y) > 2.0**28) & np.isfinite(x) & (y != 0) if "mod" in name else x < x
    return [x[~far], y[~far]]


def operands_of(name: str) -> list[np.ndarray]:
    return pairs(name) if name in PAIRS else [values(name)]


@pytest.fixture(scope="module")
def results() -> dict[str, list[np.ndarray]]:
    names = [*FUNCTIONS, *PAIRS]
    answers = run_batch([c for n in names for c in cases(n, operands_of(n))])
    assert not [a for a in answers if isinstance(a, str)]
    outputs = [a["out"] for a in answers]  # type: ignore[index]
    return {n: outputs[2 * i:2 * i + 2] for i, n in enumerate(names)}


def ulps(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Errors in units of the last place of the nearest float32; 0 where neither is finite."""
    nearest = expected.astype(np.float32)
    finite = np.isfinite(nearest) & np.isfinite(found)
    gap = np.where(finite, found - expected, 0) / np.spacing(np.where(finite, np.abs(nearest), 1))
    return np.abs(gap)


@pytest.mark.parametrize("lanes", [True, False], ids=["lanes", "scalar"])
@pytest.mark.parametrize("name", [*FUNCTIONS, *PAIRS])
def test_error_is_small_and_special_values_are_those_of_numpy(
        name: str, lanes: bool, results: dict[str, list[np.ndarray]]) -> None:
    found = results[name][0] if lanes else results[name][1][0]
    operands = operands_of(name)
    function, bound, *absolute = FUNCTIONS.get(name) or PAIRS[name]
    with np.errstate(all="ignore"):
        expected = function(*(o.astype(np.float64) for o in operands))
        nearest = expected.astype(np.float32)
        error = ulps(found, expected)
        allowed = absolute[0] / np.spacing(np.abs(nearest)) if absolute else 0
    special_ones = ~np.isfinite(nearest) | ~np.isfinite(found)
    wrong = special_ones & ~((found == nearest) | (np.isnan(found) & np.isnan(nearest)))
    assert not wrong.any(), (f"{[o[wrong][:9] for o in operands]}: {found[wrong][:9]}, "
                             f"not {nearest[wrong][:9]}")
    beyond = ~(error <= np.maximum(bound, allowed)) & ~special_ones
    worst = np.argmax(np.where(beyond, error, 0))
    assert not beyond.any(), (
        f"{error[worst]:.2f} ulp at {[o[worst] for o in operands]}: {found[worst]!r}, "
        f"not {nearest[worst]!r}; {beyond.sum()} such")
