"""State that a model keeps between runs: outputs that the next run finds in its inputs."""

from __future__ import annotations

from collections.abc import Mapping

from transpile.errors import ShapeError
from transpile.ir.graph import Graph


def check_state(graph: Graph, state: Mapping[str, str]) -> dict[str, str]:
    """`state`, outputs by the input that they are bound to, held against the graph.

    Raises:
        ShapeError: a name is unknown or bound twice, dtypes or shapes differ, or a size follows
            from the state alone.
    """
    inputs = {node.name: node.type for node in graph.inputs}
    outputs = {name: node.type for name, node in graph.outputs}
    for input_, output in state.items():
        binding = f"the state {input_}={output}"
        if input_ not in inputs:
            raise ShapeError(f"{binding}: {input_!r} is no input",
                             fix=f"the inputs are {', '.join(inputs)}")
        if output not in outputs:
            raise ShapeError(f"{binding}: {output!r} is no output",
                             fix=f"the outputs are {', '.join(outputs)}")
        if inputs[input_] != outputs[output]:
            raise ShapeError(
                f"{binding}: the output does not fit the input",
                why=f"{input_} is {inputs[input_]}, {output} is {outputs[output]}",
                fix=f"give the input a type that makes them equal, as in --input {input_}=DTYPE"
                    "[SIZES], or another input's")
    _check_uses(state)
    _check_sizes(graph, state)
    return dict(state)


def _check_uses(state: Mapping[str, str]) -> None:
    twice = {o for o in state.values() if list(state.values()).count(o) > 1}
    if twice:
        raise ShapeError(f"the output {min(twice)} is bound to more than one state",
                         fix="give each state input an output of its own")


def _check_sizes(graph: Graph, state: Mapping[str, str]) -> None:
    """A run takes its sizes from the inputs that it is given."""
    given = {name for node in graph.inputs if node.name not in state for name in node.type.names}
    for node in graph.inputs:
        alone = sorted(set(node.type.names) - given)
        if alone:
            raise ShapeError(f"the size {alone[0]} of the state {node.name} follows from no other "
                             "input", why="a run is given no state, only the other inputs",
                             fix=f"make it a number: --input {node.name}=DTYPE[SIZES]")
