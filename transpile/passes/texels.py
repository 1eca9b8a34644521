"""Images of one or three channels get whole texels, for targets that read four values at once."""

from __future__ import annotations

from transpile.ir.graph import Graph, Node
from transpile.lower.scalar import LANES
from transpile.ops.registry import make


def texels(graph: Graph) -> Graph:
    """Convolutions read a copy of their image with a texel for each pixel.

    A pixel of three values lies in one texel or in two; finding out which at every read of a
    window costs more than one pass over the image.
    """
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    if node.op != "conv" or node.attrs["groups"] != 1:
        return None
    image, weight = node.inputs
    channels = image.shape[-1]
    window = weight.shape[:-2]
    if not isinstance(channels, int) or not 1 < channels < LANES or all(k == 1 for k in window):
        return None
    if image.op == "pad" and image.attrs["low"][-1] == image.attrs["high"][-1] == 0:
        inner = make("pad", _whole(image.inputs[0], node), **image.attrs, where=image.where,
                     label=image.name)
        return make("conv", inner, weight, **node.attrs, where=node.where, label=node.name)
    return make("conv", _whole(image, node), weight, **node.attrs, where=node.where,
                label=node.name)


def _whole(image: Node, node: Node) -> Node:
    """The image through a copy whose channels fill a texel."""
    rank = image.type.rank
    nothing = (0,) * rank
    whole = make("pad", image, low=nothing, high=(*nothing[1:], -image.shape[-1] % LANES),
                mode="constant", value=0.0, where=node.where)
    copy = make("copy", whole, where=node.where,
                label=f"{node.name or node.where.scope or 'conv'}.texels")
    return make("slice", copy, starts=nothing, sizes=image.shape, steps=(1,) * rank,
                where=node.where)
