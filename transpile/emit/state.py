"""The part of a module that keeps state between runs, as JS text."""

from __future__ import annotations

from typing import Any

from transpile.emit.layout import VIEWS, NameOf, element_offset, js_dim
from transpile.emit.names import js_string
from transpile.program import Port, Program

STATE_NAMES = """
held anew statePlaces reset returnState keepState takeReset moved apart everything restore sizes
copies first next
""".split()
"""Names that the template uses besides in a module with state."""


def state_section(program: Program, name_of: NameOf) -> dict[str, Any] | None:
    """What the template needs; None if there is no state."""
    if not program.state:
        return None
    ports = [p for p in program.inputs if p.name in program.state]
    dims = [d for d in program.dims if any(d in p.type.names for p in ports)]
    kept, moves = _moves(program, ports, name_of)
    indices = [program.inputs.index(p) for p in ports]
    return {"places": ", ".join(_place(program, p, name_of) for p in ports),
            "dims": ", ".join(map(name_of, dims)),
            "names": ", ".join(map(js_string, dims)),
            "given": ", ".join(f"values[{i}]" for i in indices),
            "kept": ", ".join(kept), "moves": moves}


def _at(program: Program, port: Port, name_of: NameOf) -> str:
    return js_dim(element_offset(program.buffer(port.buffer)), name_of)


def _place(program: Program, port: Port, name_of: NameOf) -> str:
    return (f"['{VIEWS[port.type.dtype]}', {_at(program, port, name_of)}, "
            f"{js_dim(port.type.size, name_of)}]")


def _moves(program: Program, ports: list[Port], name_of: NameOf) -> tuple[list[str], list[str]]:
    """Copies taken first, and the statements that put the outputs where the next run reads them.

    An output that is nothing but another state, as in a shift register, is copied before that
    state changes.
    """
    outputs = {p.name: p for p in program.outputs}
    states = {p.buffer for p in ports}
    kept: list[str] = []
    moves: list[str] = []
    for port in ports:
        source = outputs[program.state[port.name]]
        to, at = _at(program, port, name_of), _at(program, source, name_of)
        heap = f"heap.{VIEWS[port.type.dtype]}"
        end = f"{at} + {js_dim(port.type.size, name_of)}"
        if source.buffer not in states:
            moves.append(f"{heap}.copyWithin({to}, {at}, {end});")
        elif source.buffer != port.buffer:
            moves.append(f"{heap}.set(moved[{len(kept)}], {to});")
            kept.append(f"{heap}.slice({at}, {end})")
    return kept, moves
