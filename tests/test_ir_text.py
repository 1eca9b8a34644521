"""Graph text parses back to the same graph, whatever names and attributes it holds."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transpile.errors import SourceError
from transpile.ir.dims import dim
from transpile.ir.graph import Graph, Node, Where, constant, input_node
from transpile.ir.text import format_graph, large_constants, parse_graph, structurally_equal
from transpile.ir.types import TensorType, tensor_type

TEXT = '''graph "classify" from "app.py:10"
  %x = input : float32[batch, 784]
  %W1 = parameter @W1 : float32[784, 256]
  %hidden = contract(%x, %W1) {equation='ab,bc->ac'} : float32[batch, 256]  # app.py:12 (net.fc1)
  %0 = constant 0.1 : float32[]
  %1 = maximum(%hidden, %0) : float32[batch, 256]  # app.py:12 in relu
  %hidden~2 = reshape(%1) {shape=(2*batch, 128)} : float32[2*batch, 128]
  %"a \\"b\\" {c} # :d" = pad(%hidden~2) {mode='constant', value=-inf} : float32[2*batch, 128]
  return probs=%"a \\"b\\" {c} # :d", "second one"=%1
'''


def test_golden_text_is_read_and_written_back() -> None:
    weights = np.arange(784 * 256, dtype=np.float32).reshape(784, 256)
    graph = parse_graph(TEXT, {"W1": weights})
    assert format_graph(graph) == TEXT
    assert list(large_constants(graph)) == ["W1"]
    hidden = graph.nodes[2]
    assert (hidden.name, hidden.where.line, hidden.where.scope) == ("hidden", 12, "net.fc1")
    assert graph.outputs[1][1].where.part_of == "relu"
    reshaped = graph.nodes[5]
    assert (reshaped.name, reshaped.attrs["shape"]) == ("hidden", (2 * dim("batch"), 128))


NAMES = st.text(max_size=8) | st.sampled_from(["", "", "x", "x~2", "3", "layer.0.weight"])
ATTRS = st.recursive(
    st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False) | st.text(max_size=6)
    | st.sampled_from([dim("n"), 2 * dim("n") - 1, (dim("n") + 1) // 2, dim("n") * dim("m")]),
    lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)


@st.composite
def graphs(draw: Any) -> Graph:
    count = draw(st.integers(1, 3))
    names = draw(st.lists(st.text(min_size=1, max_size=6), unique=True, min_size=count,
                          max_size=count))
    nodes = [input_node(n, tensor_type("float32", ("n", i))) for i, n in enumerate(names)]
    inputs = tuple(nodes)
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            values = draw(st.lists(st.floats(width=32), max_size=20))
            shape = (len(values),) if draw(st.booleans()) or len(values) != 1 else ()
            nodes.append(constant(np.array(values, np.float32).reshape(shape), draw(NAMES),
                                  parameter=draw(st.booleans())))
        else:
            operands = tuple(draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3)))
            attrs = draw(st.dictionaries(st.sampled_from(["axis", "shape", "mode"]), ATTRS))
            scope = draw(st.sampled_from(["", "f.1"]))
            where = Where("a b.py", draw(st.integers(1, 99)), scope=scope)
            nodes.append(Node("op", operands, TensorType("int32", (dim("n"), 2)),
                              MappingProxyType(attrs), draw(NAMES), where))
    outputs = draw(st.lists(st.tuples(NAMES, st.sampled_from(nodes)), min_size=1, max_size=3))
    return Graph(draw(NAMES), inputs, tuple(outputs))


@given(graphs())
def test_text_parses_back(graph: Graph) -> None:
    again = parse_graph(format_graph(graph), large_constants(graph))
    assert structurally_equal(graph, again)
    for ours, theirs in zip(graph.nodes, again.nodes, strict=True):
        if ours.op == "op":
            assert dict(ours.attrs) == dict(theirs.attrs)
        assert (ours.name, ours.op, ours.type) == (theirs.name, theirs.op, theirs.type)


@pytest.mark.parametrize(("text", "part"), [
    ("", "not a graph"), ("graph \"g\"\n  return", "")])
def test_degenerate_text(text: str, part: str) -> None:
    if part:
        with pytest.raises(SourceError, match=part):
            parse_graph(text)
    else:
        assert parse_graph(text).outputs == ()


def test_error_names_the_line() -> None:
    with pytest.raises(SourceError, match="line 2"):
        parse_graph('graph "g"\n  %y = neg(%x) : float32[2]\n  return y=%y')
