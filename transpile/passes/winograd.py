"""Square convolutions become Winograd convolutions where that pays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from transpile.ir.dims import nonnegative
from transpile.ir.graph import Graph, Node
from transpile.ir.interpret import constant_value
from transpile.ops.compact import EXPANSIONS
from transpile.ops.registry import make
from transpile.ops.winograd import cut_of, points
from transpile.passes.winograd_error import accurate_tile

LEAST_CHANNELS = 4
"""With fewer input channels the transforms cost more than they save."""

LEAST_STRIDED_CHANNELS = 16
"""The same for stride 2, which saves less."""

STRIDED_TILE = 2
"""For stride 2: one of 4 would take a fifth fewer products, but larger transforms eat that up."""

LEAST_WORK = 2**20
"""Multiply-adds per image below which the code of the transforms outweighs the time saved."""

LARGE = 7
"""Least side of an output for six points in each direction; below, tiles would lie half outside."""

CACHE = 2**20
"""Bytes that a core keeps at hand: transformed tiles that need more are made band by band."""

LARGE_WEIGHT = 2 * CACHE
"""Bytes of transformed weights that come from memory in every run."""

MOST_TILES = 64
"""Tiles up to which making such weights again in each run costs no more than reading them."""


CONVOLUTIONS = ("winograd_output", "winograd_bands", "winograd_panels")
"""The operators that store a convolution's result."""


def winograd(graph: Graph) -> Graph:
    """Convolutions by Winograd's minimal filtering, weights transformed at load.

    Those with stride 2 and a large window become convolutions with stride 1 over four times the
    channels first; a small window has points for each phase (see `ops/winograd.py`). Where a
    layer's error in float32 passes its bound, a smaller tile is taken, or none.
    """
    return graph.rewrite(lambda node: _rule(node, again=False))


def winograd_again(graph: Graph) -> Graph:
    """The same for targets whose arithmetic is faster than memory.

    Large weights that few tiles use are transformed in every run.
    """
    return graph.rewrite(lambda node: _rule(node, again=True))


def wanted_tiles(node: Node) -> list[int]:
    """The tiles that suit a convolution, the fastest first; none for what is better direct."""
    if node.op != "conv" or not _suits(node):
        return []
    _, height, width, _ = node.shape
    if height * width * node.inputs[1].type.size < LEAST_WORK:
        return []
    if node.attrs["stride"] == (2, 2) and not _phased(node):
        return [STRIDED_TILE]
    window = node.inputs[1].shape[0]
    side, taps = min(height, width), (window + 1) // 2 if _phased(node) else window
    most = 6 if side >= LARGE else 4 if side >= 2 and window == 3 else 0
    return [n - taps + 1 for n in (6, 4) if taps < n <= most]


def _suits(node: Node) -> bool:
    image, weight = node.inputs
    attrs = node.attrs
    fixed = all(isinstance(d, int) for d in node.shape[1:])
    stored = weight.is_constant or weight.op in EXPANSIONS
    if not (fixed and stored and node.dtype == "float32" and node.type.rank == 4
            and attrs["dilation"] == (1, 1) and attrs["groups"] == 1):
        return False
    window, stride, channels = weight.shape[:2], attrs["stride"], image.shape[3]
    if window == (3, 3) and stride == (2, 2):
        return nonnegative(channels - LEAST_STRIDED_CHANNELS)
    many = nonnegative(channels - LEAST_CHANNELS)
    return _phased(node) or (stride == (1, 1) and window in ((3, 3), (5, 5)) and many)


def _phased(node: Node) -> bool:
    """True for large windows with stride 2, whose phases become channels."""
    strided: bool = node.attrs["stride"] == (2, 2)
    return strided and node.inputs[1].shape[:2] in ((5, 5), (7, 7))


def _rule(node: Node, *, again: bool) -> Node | None:
    wanted = wanted_tiles(node)
    if not wanted:
        return None
    weight = _phases_of_weight(node.inputs[1]) if _phased(node) else node.inputs[1]
    stride = 1 if _phased(node) else node.attrs["stride"][0]
    tile = accurate_tile(constant_value(weight), wanted, stride)
    return _convolution(node, weight, tile, stride, again=again) if tile else None


def _convolution(node: Node, weight: Node, tile: int, stride: int, *, again: bool) -> Node:
    name = node.name or node.where.scope or "conv"
    _, height, width, _ = node.shape
    taps = int(weight.shape[0])
    rows, cols = -(-height // tile), -(-width // tile)
    sides = [count * tile * stride + taps - stride for count in (rows, cols)]
    image = _phases(node, sides, name) if _phased(node) else _padded(node, sides, name)
    part = partial(make, tile=tile, stride=stride, where=node.where)
    whole = partial(part, shape=node.shape, label=node.name)
    channels, filters = weight.shape[2:]
    point = 4 * points(tile, taps, stride)**2
    kept = point * channels * filters
    band = _band(rows, cols * point * (channels + filters))
    count = node.shape[0] * rows * cols
    tiles = partial(part, "winograd_input", image, taps=taps, label=f"{name}.tiles")
    if again and kept > LARGE_WEIGHT and nonnegative(MOST_TILES - count):
        cut = tuple(cut_of(s, tile) if node.shape[0] == 1 else 0 for s in (height, width))
        return whole("winograd_panels", tiles(cut=cut), weight, cut=cut)
    matrices = part("winograd_weight", weight, label=f"{weight.name}.transformed")
    if kept <= CACHE and band < rows:
        return whole("winograd_bands", image, matrices, taps=taps, rows=band)
    planes = make("reshape", tiles(), shape=(matrices.shape[0], count, channels),
                  where=node.where)
    products = make("contract", planes, matrices, equation="ptc,pco->pto", where=node.where,
                    label=f"{name}.products")
    return whole("winograd_output", products, taps=taps)


def _band(rows: int, row_bytes: int) -> int:
    """The most rows of tiles that fit the cache; a divisor of all."""
    return max(d for d in range(1, rows + 1) if rows % d == 0 and (
        d == 1 or d * row_bytes <= CACHE))


def _padded(node: Node, sides: Sequence[int], name: str) -> Node:
    """The image of a convolution, of this height and width at least."""
    image = node.inputs[0]
    high = [max(side - size, 0) for side, size in zip(sides, image.shape[1:3], strict=True)]
    if not any(high):
        return image
    return make("pad", image, low=(0, 0, 0, 0), high=(0, *high, 0), mode="constant", value=0.0,
                where=node.where, label=f"{name}.padded")


def _phases(node: Node, sides: Sequence[int], name: str) -> Node:
    """Four pixels as one with four times the channels: [N, 2H, 2W, C] to [N, H, W, 4C]."""
    image = _padded(node, [2 * side for side in sides], name)
    batch, height, width, channels = image.shape
    split = make("reshape", image, shape=(batch, height // 2, 2, width // 2, 2, channels),
                 where=image.where)
    turned = make("transpose", split, perm=(0, 1, 3, 2, 4, 5), where=image.where,
                  label=f"{name}.phases")
    return make("reshape", turned, shape=(batch, height // 2, width // 2, 4 * channels),
                where=image.where)


def _phases_of_weight(weight: Node) -> Node:
    """The weights that fit `_phases`: [k, k, C, O] to [t, t, 4C, O], t = (k + 1) / 2."""
    side, _, channels, filters = weight.shape
    taps, name = (side + 1) // 2, weight.name
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("pad", {"low": (0, 0, 0, 0), "high": (1, 1, 0, 0), "mode": "constant", "value": 0.0}),
        ("reshape", {"shape": (taps, 2, taps, 2, channels, filters)}),
        ("transpose", {"perm": (0, 2, 1, 3, 4, 5)}),
        ("reshape", {"shape": (taps, taps, 4 * channels, filters)}))
    for op, attrs in steps:
        weight = make(op, weight, **attrs, where=weight.where, label=f"{name}.phases")
    return weight
