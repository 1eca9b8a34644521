"""Named sizes that loops of kernels could be called, too, get another name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from transpile.ir.dims import Dim, dim, substitute
from transpile.ir.graph import Graph, Node
from transpile.ir.poly import Poly
from transpile.ir.types import TensorType

LOOP_NAME = re.compile(r"[a-z]\d*|row|col|ky|kx|kc|part|lane|step|tree|panel")
"""What lowering calls its loop variables and locals."""


def apart_from_loops(graph: Graph) -> Graph:
    """A size called `n` becomes `n_`: lowering substitutes by name, and a loop may be `n`."""
    taken = set(graph.dim_names)
    change: dict[str, Dim] = {}
    for name in graph.dim_names:
        if LOOP_NAME.fullmatch(name):
            fresh = f"{name}_"
            while fresh in taken:
                fresh += "_"
            taken.add(fresh)
            change[name] = dim(fresh)
    return _renamed(graph, change) if change else graph


def _renamed(graph: Graph, change: Mapping[str, Dim]) -> Graph:
    done: dict[Node, Node] = {}
    for node in graph.nodes:
        shape = tuple(substitute(d, change) for d in node.shape)
        attrs = MappingProxyType({k: _value(v, change) for k, v in node.attrs.items()})
        done[node] = replace(node, inputs=tuple(done[i] for i in node.inputs), attrs=attrs,
                             type=TensorType(node.dtype, shape))
    return replace(graph, inputs=tuple(done[n] for n in graph.inputs),
                   outputs=tuple((name, done[n]) for name, n in graph.outputs))


def _value(value: Any, change: Mapping[str, Dim]) -> Any:
    if isinstance(value, Poly):
        return substitute(value, change)
    if isinstance(value, Graph):
        return _renamed(value, change)
    return tuple(_value(v, change) for v in value) if isinstance(value, tuple) else value
