"""3x3 convolutions with stride 1 become Winograd convolutions where that pays."""

from __future__ import annotations

import numpy as np

from transpile.ir.graph import Graph, Node
from transpile.ir.interpret import call_reference
from transpile.ops.compact import EXPANSIONS
from transpile.ops.registry import make
from transpile.passes.winograd_error import accurate_tile

LEAST_CHANNELS = 4
"""With fewer input channels the transforms cost more than they save."""

LEAST_WORK = 2**20
"""Multiply-adds per image below which the code of the transforms outweighs the time saved."""


def winograd(graph: Graph) -> Graph:
    """3x3 stride-1 convolutions by Winograd's minimal filtering, weights transformed at load.

    Where a layer's error in float32 passes its bound, a smaller tile is taken, or none.
    """
    return graph.rewrite(_rule)


def tile_for(height: int, width: int) -> int:
    """The tile that measured fastest for an output of this size; 0 for none."""
    side = min(height, width)
    if side >= 7:
        return 4
    return 2 if side >= 2 else 0


def wanted_tile(node: Node) -> int:
    """The tile that is fastest for a convolution; 0 for what is better done otherwise."""
    if node.op != "conv" or not _suits(node):
        return 0
    weight = node.inputs[1]
    _, height, width, _ = node.shape
    tile = tile_for(height, width)
    return tile if height * width * weight.type.size >= LEAST_WORK else 0


def _rule(node: Node) -> Node | None:
    wanted = wanted_tile(node)
    tile = accurate_tile(_value(node.inputs[1]), wanted) if wanted else 0
    if not tile:
        return None
    image, weight = node.inputs
    _, height, width, _ = node.shape
    where, name = node.where, node.name or node.where.scope or "conv"
    beyond = (-height % tile, -width % tile)
    if any(beyond):
        image = make("pad", image, low=(0, 0, 0, 0), high=(0, *beyond, 0), mode="constant",
                     value=0.0, where=where, label=f"{name}.padded")
    points = make("winograd_input", image, tile=tile, where=where, label=f"{name}.tiles")
    filters = make("winograd_weight", weight, tile=tile, where=where,
                   label=f"{weight.name}.transformed")
    products = make("contract", points, filters, equation="ptc,pco->pto", where=where,
                    label=f"{name}.products")
    return make("winograd_output", products, tile=tile, shape=node.shape, where=where,
                label=node.name)


def _value(weight: Node) -> np.ndarray:
    """A weight that is a constant, or expanded from constants."""
    if weight.is_constant:
        return weight.value
    return call_reference(weight, [n.value for n in weight.inputs], {})


def _suits(node: Node) -> bool:
    image, weight = node.inputs
    attrs = node.attrs
    fixed = all(isinstance(d, int) for d in node.shape[1:])
    stored = weight.is_constant or weight.op in EXPANSIONS
    return (fixed and stored and node.dtype == "float32" and node.type.rank == 4
            and weight.shape[:2] == (3, 3) and image.shape[3] >= LEAST_CHANNELS
            and attrs["stride"] == (1, 1) and attrs["dilation"] == (1, 1)
            and attrs["groups"] == 1)
