"""Matrix products with constant weights in integers: `--compute int8`.

Weights become int8 with one scale for each output channel, rows int16 as they come (see
`ops/int8.py`); sums are int32, and what scales them back joins the product's kernel with bias and
activation. It runs after the pipeline, so that what is rounded is what kernels read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from transpile.ir.dims import product
from transpile.ir.graph import Graph, Node
from transpile.ops.compact import OFFSET, quantised
from transpile.ops.contract import parse_equation
from transpile.ops.int8 import largest_integer, packed_weight, words_of
from transpile.ops.registry import make
from transpile.passes.compress import INT8_LIMIT, Compressed, Storage, compress, relative_error
from transpile.passes.tools import part_of

COMPUTES = ("float32", "int8")

LEAST_WEIGHTS = 2**12
"""Elements of a matrix below which quantising its rows costs about what it saves."""

LEAST_COLUMNS = 4
"""Output channels below which there is no vector of them."""


@dataclass(frozen=True)
class Layer:
    """A product with constant weights.

    Attributes:
        error: root mean square of the weights' rounding over that of the weights: about the
            relative error of the result.
    """

    name: str
    error: float

    @property
    def refused(self) -> bool:
        return self.error > INT8_LIMIT


@dataclass(frozen=True)
class Quantised:
    """A graph whose products are in integers where that is close enough.

    Attributes:
        graph: with `contract_int8` in place of products.
        original: as it was.
        layers: all products that were looked at.
    """

    graph: Graph
    original: Graph
    layers: tuple[Layer, ...] | None = None

    def stored(self, storage: Storage = "float32") -> Compressed:
        """With the other constants stored as `storage`, ready to be lowered."""
        return replace(compress(self.graph, storage), original=self.original)

    @property
    def summary(self) -> str:
        """How many products are in integers, and which are not; empty if nothing was asked for."""
        if self.layers is None:
            return ""
        refused = [f"{x.name} (rms {x.error:.2g})" for x in self.layers if x.refused]
        text = f"int8 in {len(self.layers) - len(refused)} of {len(self.layers)} products"
        shown = ", ".join(refused[:4]) + (", ..." if len(refused) > 4 else "")
        return f"{text}; too far off, so in float32: {shown}" if refused else text


def quantise(graph: Graph, compute: str = "int8") -> Quantised:
    """Products with constant weights in integers; with another `compute` nothing changes."""
    if compute != "int8":
        return Quantised(graph, graph)
    rounds = _Rounds(graph)
    integers = graph.rewrite(rounds.integers)
    layers = tuple(rounds.layers.values())
    if all(layer.refused for layer in layers):
        return Quantised(graph, graph, layers)
    return Quantised(integers, graph, layers)


@dataclass
class _Rounds:
    """Rewrites products, each weight and each row quantised once.

    Attributes:
        rows: quantised rows and their largest magnitudes, by node.
    """

    graph: Graph
    layers: dict[Node, Layer] = field(default_factory=dict)
    weights: dict[Node, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    rows: dict[Node, tuple[Node, Node]] = field(default_factory=dict)

    def integers(self, node: Node) -> Node | None:
        weight = self.weight(node)
        if weight is None:
            return None
        whole, scale = self.weights[weight]
        length = whole.shape[0]
        pairs, largest = self.quantised_rows(_matrix(node), length)
        whole = np.pad(whole, ((0, -length % 4), (0, 0)))
        packed = part_of(weight, "int8", packed_weight(whole))
        if not words_of(product(node.shape[:-1])):
            packed = make("widen_int8", packed, where=weight.where, label=f"{weight.name}.int16")
        factor = part_of(weight, "scale", scale / np.float32(largest_integer(length)))
        name = _name(node)
        made = _maker(node)
        sums = made("contract_int8", f"{name}.sums", pairs, packed)
        scaled = made("mul", f"{name}.scaled", made("cast", f"{name}.wide", sums, dtype="float32"),
                      factor)
        return made("mul", node.name, scaled, largest)

    def weight(self, node: Node) -> Node | None:
        """The weight of a product that is close enough in integers."""
        if not _suits(node):
            return None
        weight = node.inputs[1]
        if not all(map(_suits, self.graph.users[weight])):
            return None
        if weight not in self.layers:
            matrix = weight.value.reshape(-1, weight.shape[-1])
            stored, scale = quantised(matrix, -1)
            whole = stored.astype(np.int32) - OFFSET
            self.weights[weight] = whole, scale
            self.layers[weight] = Layer(weight.name or _name(node),
                                        relative_error(whole * scale, matrix))
        return None if self.layers[weight].refused else weight

    def quantised_rows(self, x: Node, length: int) -> tuple[Node, Node]:
        """Rows of `x` in pairs, and the largest magnitude of each."""
        if x not in self.rows:
            made, name = _maker(x), _name(x)
            last = x.type.rank - 1
            largest = made("max", f"{name}.largest", made("abs", f"{name}.size", x), axes=(last,),
                           keepdims=True)
            if length % 4:
                edge = (0,) * last
                x = made("pad", f"{name}.padded", x, low=(*edge, 0), high=(*edge, -length % 4),
                         mode="constant", value=0.0)
            pairs = made("quantise_rows", f"{name}.int16", x, largest,
                         limit=largest_integer(length))
            self.rows[x] = pairs, largest
            return pairs, largest
        return self.rows[x]


def _name(node: Node) -> str:
    return node.name or node.where.scope or node.op


def _maker(node: Node) -> Callable[..., Node]:
    def made(op: str, label: str, *inputs: Node, **attrs: object) -> Node:
        return make(op, *inputs, where=node.where, label=label, **attrs)
    return made


def _suits(node: Node) -> bool:
    """True for a product `[..., K] @ [K, N]` with a weight that is worth it, read by such only."""
    if node.op not in ("contract", "conv") or node.dtype != "float32":
        return False
    weight = node.inputs[1]
    return (weight.is_constant and weight.dtype == "float32"
            and weight.value.size >= LEAST_WEIGHTS and weight.shape[-1] >= LEAST_COLUMNS
            and bool(np.isfinite(weight.value).all())
            and (_is_product(node) if node.op == "contract" else _is_pointwise(node)))


def _is_product(node: Node) -> bool:
    a, b, out = parse_equation(node.attrs["equation"])
    return (len(b) == 2 and len(set(a + b)) == len(a) + 1 and len(a) == len(set(a))
            and a[-1:] == b[0] and out == a[:-1] + b[1])


def _is_pointwise(node: Node) -> bool:
    return node.attrs["groups"] == 1 and all(k == 1 for k in node.inputs[1].shape[:-2])


def _matrix(node: Node) -> Node:
    """The left operand: of a strided convolution what it reads."""
    x = node.inputs[0]
    if node.op == "contract" or all(s == 1 for s in node.attrs["stride"]):
        return x
    steps = (1, *node.attrs["stride"], 1)
    sizes = (*node.shape[:-1], x.shape[-1])
    return make("slice", x, starts=(0,) * len(steps), sizes=sizes, steps=steps, where=node.where,
                label=f"{_name(node)}.picked")
