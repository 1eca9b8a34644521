"""Graphs as text that parses back, one node a line.

```
graph "classify" from "app.py:10"
  %x = input : float32[batch, 784]
  %W1 = parameter @W1 : float32[784, 256]
  %hidden = matmul(%x, %W1) : float32[batch, 256]  # app.py:12
  %0 = constant 0.0 : float32[]
  %1 = maximum(%hidden, %0) : float32[batch, 256]  # app.py:12
  return output=%1
```

The graphs inside a node follow it, each with its attribute's name: `body graph "body"` and so on
to its own `return`. Constants that lie in several graphs are one if they have one name.

A nameless node has a number; a second `hidden` is `%hidden~2`; names that are not identifiers are
quoted as in JSON. Constants of up to 16 elements are written out (flat, in C order), others are
`@name`, and `parse_graph` takes their arrays beside the text (`large_constants` collects them).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import Any

import numpy as np

from transpile.errors import SourceError
from transpile.ir.dims import Poly, dim
from transpile.ir.graph import NOWHERE, Graph, Node, Where, all_graphs, inner_graphs
from transpile.ir.types import TensorType

INLINE = 16
"""Constants of up to this many elements are written out."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = rf"(?:{_QUOTED}|[A-Za-z0-9_.]+)(?:~\d+)?"
_SINGLE = r"'(?:[^'\\]|\\.)*'"
_NODE = re.compile(
    rf"%(?P<token>{_TOKEN}) = "
    rf"(?:(?P<kind>constant|parameter) (?:@{_TOKEN}|(?P<literal>[^@:]+?))|"
    rf"(?P<op>\w+)(?:\((?P<args>[^)\"]*(?:{_QUOTED}[^)\"]*)*)\))?"
    rf"(?: \{{(?P<attrs>(?:{_SINGLE}|{_QUOTED}|[^{{}}'\"])*)\}})?)"
    rf" : (?P<type>\w+\[[^\]]*\])(?:  # (?P<where>.*))?\Z")
_GRAPH = re.compile(rf"graph (?P<name>{_QUOTED})(?: from (?P<origin>{_QUOTED}))?\Z")
_INNER = re.compile(r"(?P<key>\w+) (?P<head>graph .*)\Z")
_RESULT = re.compile(rf"({_TOKEN})=%({_TOKEN})")
_WHERE = re.compile(r"(?:(?P<file>.*):(?P<line>\d+))? ?(?:\((?P<scope>.*?)\))? ?"
                    r"(?:in (?P<part>\w+))?\Z")


def format_graph(graph: Graph) -> str:
    """The text of `graph`; `parse_graph` gives the same structure back."""
    return "\n".join(_graph_lines(graph, node_tokens(graph))) + "\n"


def _graph_lines(graph: Graph, tokens: Mapping[Node, str]) -> Iterator[str]:
    origin = f" from {json.dumps(graph.origin)}" if graph.origin else ""
    yield f"graph {json.dumps(graph.name)}{origin}"
    for node in graph.nodes:
        yield f"  {_node_line(node, tokens)}"
        for key, inner in inner_graphs(node).items():
            head, *rest = _graph_lines(inner, tokens)
            yield f"    {key} {head}"
            yield from (f"    {line}" for line in rest)
    results = ", ".join(f"{_quote(name)}=%{tokens[node]}" for name, node in graph.outputs)
    yield f"  return {results}"


def parse_graph(text: str, data: Mapping[str, Any] | None = None) -> Graph:
    """Read what `format_graph` writes; lines that start with `#` are skipped.

    Args:
        data: the arrays of the constants that the text only names (`@W1`), by that name.

    Raises:
        SourceError: a line that does not parse, or a name that is not there.
    """
    lines = [(i, line.strip()) for i, line in enumerate(text.split("\n"), 1)
             if line.strip() and not line.lstrip().startswith("#")]
    reader = _Reader(lines, data or {})
    graph = reader.graph(lines.pop(0)[1] if lines else "")
    if lines:
        raise SourceError(f"line {lines[0][0]} stands behind the end of the graph")
    return graph


class _Reader:
    """Takes lines from the front of a list."""

    def __init__(self, lines: list[tuple[int, str]], data: Mapping[str, Any]) -> None:
        self.lines, self.data = lines, data
        self.constants: dict[str, Node] = {}

    def graph(self, head: str) -> Graph:
        """The graph that `head` begins."""
        found = _GRAPH.match(head)
        nodes: dict[str, Node] = {}
        while found and self.lines:
            number, line = self.lines.pop(0)
            if line.startswith("return"):
                outputs = tuple((_unquote(name), nodes[token]) for name, token in
                                _RESULT.findall(line))
                return Graph(json.loads(found["name"]),
                             tuple(n for n in nodes.values() if n.op == "input"), outputs,
                             json.loads(found["origin"] or '""'))
            try:
                self.node(line, nodes)
            except (ValueError, KeyError, SyntaxError) as error:
                raise SourceError(f"line {number} of the graph does not parse: {line}",
                                  why=f"{type(error).__name__} {error}") from None
        raise SourceError("not a graph: it starts with graph \"name\" and ends with return")

    def node(self, line: str, nodes: dict[str, Node]) -> None:
        match = _NODE.match(line)
        if not match:
            raise ValueError("not a node")
        token = match["token"]
        node = self.constants.get(token) or _read_node(match, nodes, self.data)
        if node.is_constant:
            self.constants[token] = node
        inner = {}
        while self.lines and (head := _INNER.match(self.lines[0][1])):
            self.lines.pop(0)
            inner[head["key"]] = self.graph(head["head"])
        nodes[token] = node if not inner else replace(
            node, attrs=MappingProxyType({**node.attrs, **inner}))


def large_constants(graph: Graph) -> dict[str, np.ndarray]:
    """The arrays that the text of `graph` only names, by that name."""
    return {token: n.value for n, token in node_tokens(graph).items()
            if n.is_constant and n.value.size > INLINE}


def node_tokens(graph: Graph) -> dict[Node, str]:
    """How the text calls each node, without the `%`: unique, from its own name if it has one.

    Those of the graphs inside are there, too.
    """
    used: dict[str, int] = {}
    tokens: dict[Node, str] = {}
    numbers = count()
    for node in dict.fromkeys(n for one in all_graphs(graph) for n in one.nodes):
        token = _quote(node.name) if node.name else str(next(numbers))
        used[token] = used.get(token, 0) + 1
        tokens[node] = token if used[token] == 1 else f"{token}~{used[token]}"
    return tokens


def structurally_equal(a: Graph, b: Graph) -> bool:
    """Same nodes, attributes, names, types and constants in the same order; all NaNs are one."""
    def bits(node: Node) -> bytes:
        array = node.value
        return bytes(np.where(array == array, array, np.array(np.nan, array.dtype)).tobytes()
                     if array.dtype == np.float32 else array.tobytes())

    def same(m: Node, n: Node) -> bool:
        return not m.is_constant or bits(m) == bits(n)
    first, second = ([n for one in all_graphs(g) for n in one.nodes] for g in (a, b))
    return (len(first) == len(second) and format_graph(a) == format_graph(b)
            and all(map(same, first, second)))


def format_attrs(node: Node) -> str:
    """`axis=1, keepdims=True`; sizes may be symbolic."""
    return ", ".join(f"{key}={_literal(value)}" for key, value in sorted(node.attrs.items())
                     if not isinstance(value, Graph))


def _node_line(node: Node, tokens: Mapping[Node, str]) -> str:
    if node.is_constant:
        body = (f"{'parameter' if node.attrs.get('parameter') else 'constant'} "
                f"{_array(node.value) if node.value.size <= INLINE else '@' + tokens[node]}")
    elif node.op == "input":
        body = "input"
    else:
        listed = format_attrs(node)
        attrs = f" {{{listed}}}" if listed else ""
        body = f"{node.op}({', '.join('%' + tokens[i] for i in node.inputs)}){attrs}"
    where = f"{node.where} in {node.where.part_of}" if node.where.part_of else str(node.where)
    comment = f"  # {where.strip()}".replace("\n", " ") if where else ""
    return f"%{tokens[node]} = {body} : {node.type}{comment}"


def _array(array: np.ndarray) -> str:
    parts = [str(v) for v in array.reshape(-1)]  # the shortest text that rounds to this float
    return parts[0] if array.ndim == 0 else f"[{', '.join(parts)}]"


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
    return str(value) if isinstance(value, (Poly, float)) else repr(value)


def _quote(name: str) -> str:
    return name if _PLAIN.match(name) else json.dumps(name)


def _unquote(token: str) -> str:
    body = re.sub(r"~\d+\Z", "", token)
    if body.startswith('"'):
        return str(json.loads(body))
    return "" if body.isdigit() else body


def _read_node(match: re.Match[str], nodes: Mapping[str, Node], data: Mapping[str, Any]) -> Node:
    token, type_ = match["token"], TensorType.parse(match["type"])
    where, name = _read_where(match["where"] or ""), _unquote(token)
    if match["kind"]:
        value = data[token] if match["literal"] is None else _read_literal(match["literal"])
        array = np.array(value, type_.dtype).reshape(type_.shape)
        array.flags.writeable = False
        return Node("constant", (), type_, MappingProxyType(
            {"value": array, "parameter": match["kind"] == "parameter"}), name, where)
    operands = tuple(nodes[t] for t in re.findall(rf"%({_TOKEN})", match["args"] or ""))
    return Node(match["op"], operands, type_, MappingProxyType(_read_attrs(match["attrs"] or "")),
                name, where)


def _read_attrs(text: str) -> dict[str, Any]:
    call = ast.parse(f"f({text})", mode="eval").body
    assert isinstance(call, ast.Call)
    return {str(k.arg): _value(k.value) for k in call.keywords}


def _read_literal(text: str) -> Any:
    return _value(ast.parse(text, mode="eval").body)


def _value(node: ast.expr) -> Any:
    """A literal in which `inf` and `nan` are floats and other names are dimensions."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(map(_value, node.elts))
    if isinstance(node, ast.Name):
        return float(node.id) if node.id in ("inf", "nan") else dim(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp):
        from transpile.ir.dims import parse_dim
        return parse_dim(ast.unparse(node))
    raise ValueError(f"not a literal: {ast.unparse(node)}")


def _read_where(text: str) -> Where:
    match = _WHERE.match(text)
    if not text or not match:
        return NOWHERE
    return replace(NOWHERE, file=match["file"] or "", line=int(match["line"] or 0),
                   scope=match["scope"] or "", part_of=match["part"] or "")
