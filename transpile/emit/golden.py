"""Golden inputs: the same random numbers in Python and in JS (`runtime_js/selftest.js`).

The generator is Mulberry32 (Tommy Ettinger, 2017, public domain): a counter through a mixing
function, so that an array of numbers needs no loop here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from transpile.ir.dims import evaluate
from transpile.program import Port

SAMPLES = 64
"""How many values of each output a module keeps at most."""

DEFAULT_RANGES = {"float32": (-1.0, 1.0), "int32": (0.0, 2.0), "uint8": (0.0, 256.0),
                  "bool": (0.0, 2.0)}


HALF_ERROR = 0.05
"""Of the largest output: what half floats may be off before a GPU passes for broken."""


@dataclass(frozen=True)
class Golden:
    """A recipe for inputs and what the Python original gave for them.

    Attributes:
        outputs: by name, the full arrays; a module keeps a sample.
        seed: of the generator.
        dims: sizes for the named dimensions.
        ranges: [low, high) by input name; for integers, too. Default: `DEFAULT_RANGES`.
        rtol, atol: bounds of `selfTest`: |got - expected| <= atol + rtol * |expected|.
    """

    outputs: Mapping[str, np.ndarray]
    seed: int = 1
    dims: Mapping[str, int] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rtol: float = 1e-4
    atol: float = 1e-5

    @property
    def half_atol(self) -> float:
        """Instead of `atol` where a GPU keeps values in half floats."""
        floats = [o for o in self.outputs.values() if o.dtype.kind == "f"]
        largest = max((float(np.abs(o[np.isfinite(o)]).max(initial=0)) for o in floats), default=0)
        return max(self.atol, float(f"{HALF_ERROR * largest:.0e}"))


def random_numbers(seed: int, count: int) -> np.ndarray:
    """`count` float64 in [0, 1) from Mulberry32 with a 32-bit `seed`."""
    steps = np.arange(1, count + 1, dtype=np.uint64)
    state = (np.uint64(seed) + steps * np.uint64(0x6D2B79F5)).astype(np.uint32)
    mixed = (state ^ (state >> np.uint32(15))) * (state | np.uint32(1))
    mixed ^= mixed + (mixed ^ (mixed >> np.uint32(7))) * (mixed | np.uint32(61))
    bits: np.ndarray = (mixed ^ (mixed >> np.uint32(14))) / 4294967296.0
    return bits


def input_range(port: Port, ranges: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """[low, high) for the values of an input."""
    low, high = ranges.get(port.name) or DEFAULT_RANGES[port.type.dtype]
    return float(low), float(high)


def golden_inputs(ports: Sequence[Port], seed: int = 1, dims: Mapping[str, int] | None = None,
                  ranges: Mapping[str, tuple[float, float]] | None = None
                  ) -> dict[str, np.ndarray]:
    """The inputs that `selfTest` uses, by name, in the ports' dtypes and shapes."""
    shapes = [tuple(evaluate(d, dims or {}) for d in p.type.shape) for p in ports]
    sizes = [int(np.prod(s, dtype=np.int64)) for s in shapes]
    *numbers, _ = np.split(random_numbers(seed, sum(sizes)), np.cumsum(sizes, dtype=np.int64))
    result = {}
    for port, shape, part in zip(ports, shapes, numbers, strict=True):
        low, high = input_range(port, ranges or {})
        values = low + part * (high - low)
        whole = values if port.type.dtype == "float32" else np.floor(values)
        result[port.name] = whole.astype(port.type.dtype).reshape(shape)
    return result
