"""Imports the nodes of an ONNX graph: operators become ops, shape arithmetic becomes sizes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from transpile.errors import SourceError, TranspileError, UnsupportedError
from transpile.frontends import source
from transpile.frontends.onnx_elements import default_elem, narrowed, result_elem
from transpile.frontends.onnx_ops import FOLDS, REFUSED, find
from transpile.frontends.onnx_protos import (
    attribute_values,
    function_body,
    node_label,
    schema_defaults,
    scope_of,
    subgraphs,
    tensor_array,
    variable_name,
)
from transpile.frontends.onnx_values import FOLD_LIMIT, Known, Site, Value, simplified
from transpile.frontends.tracer import Tracer, known_value
from transpile.ir.dims import Poly
from transpile.ir.graph import Where

MAX_DEPTH = 64
MAX_NODES = 1 << 18
"""Unrolled loops and functions may not make more nodes than this."""

Env = MutableMapping[str, Value]


class Importer:
    """Imports graphs of one model.

    Args:
        opsets: the opset of each domain.
        functions: the model's own functions by domain and name.
        producer: what wrote the model, where its meaning differs from the standard's.
    """

    def __init__(self, opsets: Mapping[str, int], functions: Mapping[tuple[str, str], Any],
                 producer: str = "") -> None:
        self.opsets = dict(opsets)
        self.functions = functions
        self.producer = producer
        self.elems: dict[int, int] = {}
        self.kept: list[Value] = []
        self.depth = 0
        self.count = 0

    def elem_of(self, value: Value) -> int:
        """The ONNX element type of a value; 0 for none and for sequences."""
        return self.elems.get(id(value)) or default_elem(value)

    def note(self, value: Value, elem: int) -> None:
        """Remember the element type of a value (and the value, so that its id stays its own)."""
        if elem and value is not None:
            self.elems[id(value)] = elem
            self.kept.append(value)

    def run_graph(self, graph: Any, outer: Env, arguments: Sequence[Value] = ()) -> list[Value]:
        """The outputs of a (sub)graph; names that it does not define are the outer graph's."""
        env: Env = dict(outer)
        self.initialisers(graph, env)
        env.update({i.name: v for i, v in zip(graph.input, arguments, strict=False)})
        self.run_nodes(graph.node, env)
        missing = [o.name for o in graph.output if o.name not in env]
        if missing:
            raise SourceError(f"no node computes the output {missing[0]!r}")
        return [env[o.name] for o in graph.output]

    @contextmanager
    def restored(self) -> Iterator[None]:
        """What an error leaves half done inside is as it was before."""
        before = self.depth, self.opsets
        try:
            yield
        except TranspileError:
            self.depth, self.opsets = before
            raise

    def initialisers(self, graph: Any, env: Env) -> None:
        for tensor in graph.initializer:
            if isinstance(env.get(tensor.name), Tracer) and self.depth == 0:
                continue  # an input whose initialiser is only its default
            env[tensor.name] = known = Known(tensor_array(tensor), tensor.name, True)
            self.note(known, tensor.data_type)
        if len(graph.sparse_initializer):
            raise UnsupportedError("sparse initialisers are not supported",
                                   fix="store the weights as dense tensors")

    def run_nodes(self, nodes: Sequence[Any], env: Env) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SourceError(f"graphs and functions are nested more than {MAX_DEPTH} deep")
        for node in ordered(nodes, env):
            self.run_node(node, env)
        self.depth -= 1

    def run_node(self, node: Any, env: Env) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise UnsupportedError(f"the model unrolls to more than {MAX_NODES} nodes")
        label, scope = node_label(node), scope_of(node)
        name = variable_name(next(filter(None, node.output), ""))
        with source.at(Where(text=label, scope=scope), name):
            results = self.results(node, env, label)
        for output, value in zip(node.output, results, strict=False):
            if output:
                env[output] = value

    def results(self, node: Any, env: Env, label: str) -> list[Value]:
        inputs = [env[i] if i else None for i in node.input]
        domain = "" if node.domain == "ai.onnx" else node.domain
        site = Site(node.op_type, self.opsets.get(domain, 1), inputs, attribute_values(node),
                    list(node.output), label, self, env, [self.elem_of(v) for v in inputs])
        try:
            values = as_values(self.computed(node, domain, site))
        except TranspileError:
            raise
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError,
                ZeroDivisionError) as error:
            raise SourceError(f"{node.op_type} cannot be imported", where=label,
                              why=f"{type(error).__name__}: {error}") from error
        return [self.finished(v, site, k) for k, v in enumerate(values)]

    def finished(self, value: Value, site: Site, index: int) -> Value:
        """A result with its element type, its value if that follows from known operands."""
        if isinstance(value, (list, type(None))):
            return value
        elem = self.elems.get(id(value)) or result_elem(site, value, index)
        if isinstance(value, Tracer):
            value = narrowed(value, elem, site)
            if all(isinstance(i, (Known, type(None))) for i in site.inputs):
                value = folded(value)
        self.note(value, elem)
        return value

    def computed(self, node: Any, domain: str, site: Site) -> Any:
        own = self.functions.get((node.domain, node.op_type))
        if own is not None:
            return self.call(own, site)
        if not domain and node.op_type in FOLDS and foldable(site):
            try:
                return FOLDS[node.op_type](site)
            except TypeError:
                pass  # a symbolic size takes no part in this arithmetic: compute it at run time
        builder = find(domain, node.op_type, site.version)
        result = NotImplemented if builder is None else builder(site)
        if result is not NotImplemented:  # a builder may leave rare forms to the standard's body
            return result
        body = function_body(node, site)
        if body is not None:
            site.attrs = {**schema_defaults(domain, node.op_type, site.version), **site.attrs}
            return self.call(body, site)
        raise UnsupportedError(f"the operator {node.op_type} is not supported", where=site.label,
                               why=REFUSED.get((domain, node.op_type), ""))

    def call(self, function: Any, site: Site) -> tuple[Value, ...]:
        """The results of an ONNX function: its body with the operands put in."""
        inputs = list(site.inputs) + [None] * (len(function.input) - len(site.inputs))
        env: Env = dict(zip(function.input, inputs, strict=False))
        before = self.opsets
        self.opsets = {**before, **{o.domain: o.version for o in function.opset_import}}
        self.run_nodes([bound_node(n, function, site.attrs) for n in function.node], env)
        self.opsets = before
        return tuple(env.get(name) for name in function.output)


def as_values(result: Any) -> list[Value]:
    """What a builder returns, as a list of values."""
    items = result if isinstance(result, tuple) else (result,)
    return [Known(simplified(plain_array(v))) if isinstance(v, PLAIN) else v for v in items]


PLAIN = (np.ndarray, np.generic, int, Poly)
"""What a builder may return instead of a traced value."""


def plain_array(value: Any) -> np.ndarray:
    """A result as an array: NumPy gives an element of an object array as itself."""
    return np.asarray(value, object if isinstance(value, Poly) else None)


def foldable(site: Site) -> bool:
    """True if every operand is a small known array, and none holds floats of its own."""
    return all(v is None or (isinstance(v, Known) and v.array.size <= FOLD_LIMIT)
               for v in site.inputs)


def folded(value: Tracer) -> Value:
    """A result of known operands as a known array, unless it is large."""
    size = value.size
    if not isinstance(size, int) or size > FOLD_LIMIT or value.node.type.names:
        return value
    array = known_value(value.node)
    if array is None:
        return value
    wide = array.astype(np.int64) if array.dtype == np.int32 else array
    return Known(np.asarray(wide), value.node.name)


def ordered(nodes: Sequence[Any], env: Mapping[str, Value]) -> Iterator[Any]:
    """Nodes after what they read; a file need not list them so.

    Raises:
        SourceError: nodes depend on each other in a cycle, or read what nobody computes.
    """
    makers = {o: k for k, n in enumerate(nodes) for o in n.output if o}
    needs = [{makers[i] for i in reads(n) if i in makers and i not in env} for n in nodes]
    users: dict[int, list[int]] = defaultdict(list)
    for k, wanted in enumerate(needs):
        for maker in wanted:
            users[maker].append(k)
    waiting = [len(w) for w in needs]
    ready = [k for k, n in enumerate(waiting) if not n]
    done = 0
    for k in ready:
        check_reads(nodes[k], makers, env)
        yield nodes[k]
        done += 1
        for user in users[k]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    if done < len(nodes):
        stuck = next(n for k, n in enumerate(nodes) if waiting[k])
        raise SourceError("the graph has a cycle", where=node_label(stuck))


def check_reads(node: Any, makers: Mapping[str, int], env: Mapping[str, Value]) -> None:
    """SourceError if a node reads what nobody computes."""
    for name in node.input:
        if name and name not in env and name not in makers:
            raise SourceError(f"{node.op_type} reads {name!r}, which nothing computes",
                              where=node_label(node))


def reads(node: Any) -> Iterator[str]:
    """The names that a node reads, those of its subgraphs included."""
    yield from (i for i in node.input if i)
    for graph in subgraphs(node):
        own = {o for n in graph.node for o in n.output} | {i.name for i in graph.input} | {
            t.name for t in graph.initializer}
        for inner in graph.node:
            yield from (i for i in reads(inner) if i not in own)
        yield from (o.name for o in graph.output if o.name not in own)


def bound_node(node: Any, function: Any, attrs: Mapping[str, Any]) -> Any:
    """A node of a function's body, its references to the function's attributes replaced."""
    from transpile.frontends.onnx_protos import make_attribute
    if not any(a.ref_attr_name for a in node.attribute) and not list(subgraphs(node)):
        return node
    defaults = {a.name: a for a in function.attribute_proto}
    new = type(node)()
    new.CopyFrom(node)
    del new.attribute[:]
    for a in node.attribute:
        if not a.ref_attr_name:
            new.attribute.append(a)
        elif a.ref_attr_name in attrs:
            new.attribute.append(make_attribute(a.name, attrs[a.ref_attr_name], a.type))
        elif a.ref_attr_name in defaults:
            given = new.attribute.add()
            given.CopyFrom(defaults[a.ref_attr_name])
            given.name = a.name
    for attribute in new.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            bound = [bound_node(n, function, attrs) for n in graph.node]
            del graph.node[:]
            graph.node.extend(bound)
    return new


def unsupported_operators(nodes: Sequence[Any], opsets: Mapping[str, int],
                          functions: Mapping[tuple[str, str], Any]
                          ) -> tuple[Counter[str], dict[str, list[str]]]:
    """Operators that nothing can import, counted, and the labels of their nodes."""
    from transpile.frontends.onnx_protos import has_function_body
    counts: Counter[str] = Counter()
    places: dict[str, list[str]] = defaultdict(list)
    for node in walk(nodes):
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = opsets.get(domain, 1)
        if (node.domain, node.op_type) in functions or find(domain, node.op_type, version) or (
                has_function_body(domain, node.op_type, version)):
            continue
        name = f"{domain}.{node.op_type}" if domain else node.op_type
        counts[name] += 1
        places[name].append(node_label(node))
    return counts, places


def walk(nodes: Sequence[Any]) -> Iterator[Any]:
    """Nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from walk(graph.node)
