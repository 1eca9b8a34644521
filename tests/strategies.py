"""Random graphs over the op table, as a hypothesis strategy.

A graph is grown step by step: each step draws an op, one of the values so far, and attributes that
fit its shape. Values that rounding has touched never reach a step that jumps (a comparison, a
floor, an argmax), where the reference and a kernel could rightly disagree.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from transpile.ir.dims import Dim, dim, evaluate, product
from transpile.ir.graph import Graph, Node, constant, input_node
from transpile.ir.types import TensorType
from transpile.ops import registry

LARGEST = 2000
"""Elements of a value at most."""

BATCH = 5
"""The largest size that the named dimension takes."""

SMOOTH = ("abs neg tanh sigmoid sin cos erf atan asinh relu relu6 silu gelu elu selu leaky_relu "
          "hardswish hardsigmoid softplus mish").split()
JUMPING = "floor ceil round trunc sign".split()
EXACT_UNARY = "abs neg relu relu6".split()
JOINING = "add sub mul maximum minimum".split()
COMPARING = "equal not_equal less less_equal greater greater_equal".split()
BITS = "add sub mul maximum minimum bitwise_and bitwise_or bitwise_xor floor_div mod".split()
NAMES = ("", "", "", "hidden", "out", "for", "x y", 'say "no"', "f32", "layer.0.weight", "größe",
         "</script>", "sum0", "i", "col")


@dataclass(frozen=True)
class Example:
    """A graph, and inputs for it."""

    graph: Graph
    inputs: dict[str, np.ndarray]


@dataclass
class Builder:
    """A graph that grows.

    Attributes:
        exact: values that NumPy and every target compute without rounding.
    """

    random: random.Random
    values: list[Node] = field(default_factory=list)
    exact: set[Node] = field(default_factory=set)
    inputs: list[Node] = field(default_factory=list)

    def choose(self, items: Sequence[Any]) -> Any:
        return self.random.choice(items)

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def flip(self) -> bool:
        return self.random.random() < 0.5

    def shuffled(self, items: Sequence[Any]) -> list[Any]:
        return self.random.sample(items, len(items))

    def pick(self, fits: Callable[[Node], bool] = lambda n: True) -> Node | None:
        """One of the values that fit, later ones sooner."""
        found = [n for n in self.values if fits(n)]
        if not found:
            return None
        return found[-1] if self.flip() else self.choose(found)  # type: ignore[no-any-return]

    def floats(self, rank: int = 0) -> Node | None:
        return self.pick(lambda n: n.dtype == "float32" and n.type.rank >= rank)

    def axis(self, node: Node) -> int:
        return self.number(0, node.type.rank - 1)

    def fixed_axis(self, node: Node) -> int | None:
        """An axis whose size is a number."""
        axes = [i for i, d in enumerate(node.shape) if isinstance(d, int)]
        return self.choose(axes) if axes else None

    def make(self, op: str, *inputs: Node, **attrs: Any) -> Node:
        return registry.make(op, *inputs, label=self.choose(NAMES), **attrs)

    def exactly(self, node: Node, *sources: Node) -> Node:
        """`node`, which is exact if all its sources are."""
        if all(s in self.exact or s.is_constant for s in sources):
            self.exact.add(node)
        return node

    def weight(self, *shape: Dim, low: float = -1.0, high: float = 1.0) -> Node:
        rng = np.random.default_rng(self.number(0, 9))
        return constant(rng.uniform(low, high, shape).astype(np.float32), self.choose(NAMES))


Step = Callable[[Builder], "Node | None"]


def smooth(b: Builder) -> Node | None:
    x = b.floats()
    return x and b.make(b.choose(SMOOTH), x)


def exact_unary(b: Builder) -> Node | None:
    x = b.floats()
    return x and b.exactly(b.make(b.choose(EXACT_UNARY), x), x)


def exponential(b: Builder) -> Node | None:
    x = b.floats()
    return x and b.make(b.choose(["exp", "expm1"]), b.make("minimum", x, constant(2.0)))


def root(b: Builder) -> Node | None:
    x = b.floats()
    return x and b.make(b.choose(["sqrt", "log", "rsqrt"]),
                        b.make("add", b.make("abs", x), constant(0.5)))


def jumping(b: Builder) -> Node | None:
    x = b.pick(lambda n: n in b.exact and n.dtype == "float32")
    return x and b.exactly(b.make(b.choose(JUMPING), x), x)


def broadcastable(x: Node, y: Node) -> bool:
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def partner(b: Builder, x: Node) -> Node:
    """Another value, or a weight, that broadcasts with `x`."""
    other = b.pick(lambda n: n.dtype == "float32" and broadcastable(x, n))
    if other is not None and b.flip():
        return other
    shape = [d if isinstance(d, int) and b.flip() else 1 for d in x.shape]
    return b.weight(*shape[b.number(0, len(shape)):])


def joined(b: Builder) -> Node | None:
    x = b.floats()
    if x is None:
        return None
    op, y = b.choose(JOINING), partner(b, x)
    node = b.make(op, *([x, y] if b.flip() else [y, x]))
    return b.exactly(node, x, y) if op in ("maximum", "minimum") else node


def ratio(b: Builder) -> Node | None:
    x = b.floats()
    if x is None:
        return None
    y = b.make("add", b.make("abs", partner(b, x)), constant(1.0))
    return b.make(b.choose(["div", "atan2", "pow"]), b.make("abs", x), y) if b.flip() else (
        b.make("div", x, y))


def chosen(b: Builder) -> Node | None:
    x = b.floats()
    y = x and b.pick(lambda n: n in b.exact and n.dtype == "float32" and broadcastable(x, n))
    if x is None or y is None:
        return None
    condition = b.make(b.choose(COMPARING), y, constant(float(b.number(-1, 1))))
    return b.make("where", condition, x, b.choose([constant(0.25), x, b.make("neg", x)]))


def reduction(b: Builder) -> Node | None:
    x = b.floats(1)
    if x is None:
        return None
    axes = tuple(i for i in range(x.type.rank) if b.flip()) or (x.type.rank - 1,)
    op = b.choose("sum sum max min mean var std logsumexp".split())
    node = b.make(op, x, axes=axes, keepdims=b.flip())
    return b.exactly(node, x) if op in ("max", "min") else node


def position(b: Builder) -> Node | None:
    x = b.pick(lambda n: n in b.exact and n.dtype == "float32" and n.type.rank > 0)
    return x and b.exactly(b.make(b.choose(["argmax", "argmin"]), x, axis=b.axis(x),
                                  keepdims=b.flip()), x)


def integers(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.dtype == "int32")
    if x is None:
        return None
    y = b.pick(lambda n: n.dtype == "int32" and broadcastable(x, n))
    other = y if y is not None and b.flip() else constant(np.int32(b.number(1, 9)))
    return b.exactly(b.make(b.choose(BITS), x, other), x, other)


def as_float(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.dtype != "float32")
    if x is None:
        return None
    low = b.make("mod", x, constant(np.int32(16))) if x.dtype == "int32" else x
    return b.exactly(b.make("cast", low, dtype="float32"), x)


def normalised(b: Builder) -> Node | None:
    x = b.floats(1)
    if x is None:
        return None
    op = b.choose("softmax log_softmax layer_norm rms_norm".split())
    if op.endswith("softmax"):
        return b.make(op, x, axis=b.axis(x) - b.choose([0, x.type.rank]))
    size = x.shape[-1]
    weights = [b.weight(size)] if isinstance(size, int) and b.flip() else []
    return b.make(op, x, *weights)


def matmul(b: Builder) -> Node | None:
    x = b.floats(1)
    if x is None or not isinstance(x.shape[-1], int):
        return None
    y = b.weight(x.shape[-1], b.number(1, 9))
    node = b.make("matmul", x, y)
    return b.make("add", node, b.weight(y.shape[1])) if b.flip() else node


def contraction(b: Builder) -> Node | None:
    """Two values with a random equation: labels kept, summed, or in one operand only."""
    x, y = b.floats(1), b.floats(1)
    if x is None or y is None or x.type.rank + y.type.rank > 6:
        return None
    left, right = "abcdef"[:x.type.rank], ""
    for i, size in enumerate(y.shape):
        same = [label for label, d in zip(left, x.shape, strict=True)
                if d == size and label not in right]
        right += b.choose(same) if same and b.flip() else "uvwxyz"[i]
    kept = [label for label in dict.fromkeys(left + right) if b.flip()]
    out = "".join(b.shuffled(kept))
    return b.make("contract", x, y, equation=f"{left},{right}->{out}")


def image(b: Builder, least: int = 1) -> Node | None:
    return b.pick(lambda n: n.dtype == "float32" and n.type.rank == 4 and all(
        isinstance(d, int) and d >= least for d in n.shape[2:]) and isinstance(n.shape[1], int))


def convolution(b: Builder) -> Node | None:
    x = image(b)
    if x is None:
        return None
    kernel = b.choose([1, 2, 3])
    low = max(0, -(-(kernel - min(x.shape[2:])) // 2))
    groups = b.choose([g for g in (1, 1, x.shape[1]) if x.shape[1] % g == 0])
    w = b.weight(groups * b.number(1, 4), x.shape[1] // groups, kernel, kernel)
    bias = [b.weight(w.shape[0])] if b.flip() else []
    return b.make("conv2d", x, w, *bias, stride=b.choose([1, 1, 2]),
                  padding=b.number(low, low + 1), groups=groups)


def deconvolution(b: Builder) -> Node | None:
    x = image(b)
    if x is None:
        return None
    w = b.weight(x.shape[1], b.number(1, 3), 2, 2)
    return b.make("conv_transpose2d", x, w, stride=b.choose([1, 2]))


def pooling(b: Builder) -> Node | None:
    x = image(b, 2)
    return x and b.make(b.choose(["max_pool2d", "avg_pool2d"]), x, kernel_size=2,
                        stride=b.choose([1, 2]), padding=b.choose([0, 1]))


def reshaped(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.type.rank > 0)
    if x is None:
        return None
    shape = list(x.shape)
    kind = b.choose(["merge", "one", "flat", "split"])
    at = b.axis(x)
    if kind == "merge" and len(shape) > 1:
        at = min(at, len(shape) - 2)
        shape[at:at + 2] = [shape[at] * shape[at + 1]]
    elif kind == "flat":
        shape = [x.type.size]
    elif kind == "split" and isinstance(shape[at], int) and shape[at] % 2 == 0:
        shape[at:at + 1] = b.choose([[2, shape[at] // 2], [shape[at] // 2, 2]])
    else:
        shape.insert(at, 1)
    return b.exactly(b.make("reshape", x, shape=tuple(shape)), x)


def turned(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.type.rank > 1)
    return x and b.exactly(b.make("transpose", x, perm=tuple(
        b.shuffled(range(x.type.rank)))), x)


def widened(b: Builder) -> Node | None:
    x = b.pick()
    if x is None:
        return None
    shape = [b.number(1, 4) if d == 1 else d for d in x.shape]
    extra = [b.number(1, 3) for _ in range(b.number(0, 1))]
    return b.exactly(b.make("broadcast_to", x, shape=(*extra, *shape)), x)


def sliced(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.type.rank > 0)
    if x is None:
        return None
    starts, sizes, steps = [], [], []
    for size in x.shape:
        start, length, step = 0, size, 1
        if isinstance(size, int):
            step = b.choose([1, 1, 2, -1])
            length = b.number(1, max(size // abs(step), 1))
            low = b.number(0, size - 1 - (length - 1) * abs(step))
            start = low if step > 0 else low + (length - 1) * -step
        starts.append(start)
        sizes.append(length)
        steps.append(step)
    return b.exactly(b.make("slice", x, starts=tuple(starts), sizes=tuple(sizes),
                            steps=tuple(steps)), x)


def padded(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.type.rank > 0 and n.dtype == "float32")
    if x is None:
        return None
    mode = b.choose(["constant", "constant", "edge", "reflect", "wrap"])
    most = [2 if mode in ("constant", "edge") else min(2, d - 1) if isinstance(d, int) else 0
            for d in x.shape]
    low, high = (tuple(b.number(0, m) for m in most) for _ in range(2))
    value = {"value": float(b.number(-1, 1))} if mode == "constant" else {}
    return b.exactly(b.make("pad", x, low=low, high=high, mode=mode, **value), x)


def stuffed(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.type.rank > 0 and n.dtype == "float32")
    return x and b.exactly(b.make("dilate", x, factors=tuple(
        b.number(1, 2) if isinstance(d, int) else 1 for d in x.shape)), x)


def stacked(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.type.rank > 0)
    if x is None:
        return None
    at = b.axis(x)
    like = b.pick(lambda n: n.dtype == x.dtype and n.type.rank == x.type.rank and all(
        a == c for i, (a, c) in enumerate(zip(n.shape, x.shape, strict=True)) if i != at))
    parts = [x, *([like] if like is not None else []), *([x] if b.flip() else [])]
    return b.exactly(b.make("concat", *parts, axis=at), *parts)


def taken(b: Builder) -> Node | None:
    x = b.pick(lambda n: n.type.rank > 0)
    at = b.fixed_axis(x) if x is not None else None
    if x is None or at is None:
        return None
    ids = b.pick(lambda n: n.dtype == "int32" and n.type.rank < 3)
    if ids is None or b.flip():
        ids = constant(np.array([b.number(-x.shape[at], x.shape[at] - 1)
                                 for _ in range(b.number(1, 5))], np.int32))
    else:
        ids = b.make("mod", ids, constant(np.int32(x.shape[at])))
    return b.exactly(b.make("take", x, ids, axis=at), x, ids)


def running(b: Builder) -> Node | None:
    x = b.floats(1)
    if x is None:
        return None
    if b.flip():
        at = b.axis(x)
        return b.exactly(b.make("sort", x, axis=at, descending=b.flip()), x)
    return b.make("cumsum", x, axis=b.axis(x), exclusive=b.flip(), reverse=b.flip())


STEPS: tuple[Step, ...] = (
    smooth, smooth, exact_unary, exponential, root, jumping, joined, joined, joined, ratio, chosen,
    reduction, reduction, position, integers, as_float, normalised, matmul, matmul, contraction,
    convolution, convolution, deconvolution, pooling, reshaped, turned, widened, sliced, padded,
    stuffed, stacked, taken, running)


def _small(node: Node) -> bool:
    return evaluate(product(node.shape), {"batch": BATCH}) <= LARGEST


def _start(b: Builder) -> None:
    """One to three inputs; the first dimension of each may be named."""
    named = b.flip()
    for number in range(b.number(1, 3)):
        rank = b.choose([0, 1, 2, 2, 3, 4, 4])
        shape: list[Dim] = [b.choose([1, 2, 3, 4, 5, 6, 7, 8]) for _ in range(rank)]
        if rank and named:
            shape[0] = dim("batch")
        dtype = "int32" if number and b.number(0, 3) == 0 else "float32"
        node = input_node(f"{b.choose(NAMES) or 'x'}{number}", TensorType(dtype, tuple(shape)))
        if not _small(node):
            node = input_node(node.name, TensorType(dtype, (3, 4)))
        b.inputs.append(node)
        b.values.append(node)
        b.exact.add(node)


def values_for(type_: TensorType, rng: np.random.Generator, batch: int) -> np.ndarray:
    shape = [evaluate(d, {"batch": batch}) for d in type_.shape]
    if type_.dtype == "int32":
        return np.asarray(rng.integers(-20, 20, shape), np.int32)
    return np.asarray(rng.uniform(-2, 2, shape), np.float32)


@st.composite
def examples(draw: Any, most_steps: int = 12) -> Example:
    """Graphs of up to `most_steps` steps, with several outputs now and then.

    Hypothesis draws a seed and the number of steps, so that a failure shrinks to the first steps
    of the same graph.
    """
    b = Builder(random.Random(draw(st.integers(0, 2**32 - 1))))
    steps, outputs = draw(st.integers(1, most_steps)), draw(st.sampled_from([1, 1, 2, 3]))
    _start(b)
    for _ in range(steps):
        node = None
        while node is None:
            node = b.choose(STEPS)(b)
        if _small(node) and node.type.rank <= 6:
            b.values.append(node)
    made = b.values[len(b.inputs):] or [b.make("neg", b.values[0])]
    last = dict.fromkeys([made[-1], *(b.choose(made) for _ in range(outputs - 1))])
    named = tuple((f"y{i}", n) for i, n in enumerate(last))
    rng, batch = np.random.default_rng(b.number(0, 2**16)), b.number(1, BATCH)
    inputs = {n.name: values_for(n.type, rng, batch) for n in b.inputs}
    return Example(Graph("random", tuple(b.inputs), named), inputs)
