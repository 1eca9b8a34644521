"""Images that come channels-first are turned before they are padded."""

from __future__ import annotations

from transpile.ir.graph import Graph, Node
from transpile.ops.registry import make
from transpile.passes.tools import Uses, rewrite


def halo(graph: Graph) -> Graph:
    """An input is turned right into the middle of its padded form, not padded and then turned.

    So the pass over the image moves whole blocks, compares no element with the edges, and leaves
    none to a convolution, which would have to read against the order of its lanes.
    """
    return rewrite(graph, _rule)


def _rule(node: Node, uses: Uses) -> Node | None:
    pad = node.inputs[0] if node.op == "transpose" else None
    if pad is None or pad.op != "pad" or pad.inputs[0].op != "input" or uses[pad] != 1 or (
            pad.attrs["mode"] != "constant"):
        return None
    perm = node.attrs["perm"]
    turned = make("transpose", pad.inputs[0], perm=perm, where=pad.where)
    inside = make("copy", turned, where=pad.where,
                  label=f"{node.name or node.where.scope or 'image'}.inside")
    sides = {side: tuple(pad.attrs[side][p] for p in perm) for side in ("low", "high")}
    return make("pad", inside, **{**pad.attrs, **sides}, where=pad.where, label=node.name)
