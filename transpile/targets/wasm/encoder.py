"""WebAssembly binaries: instructions, functions and sections as bytes.

An instruction is a tuple of its name and its immediates: `("f32.load", 16)` (the offset),
`("local.get", 3)`, `("v128.const", (1.0, 1.0, 1.0, 1.0))`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transpile.targets.wasm.opcodes import (
    EMPTY_BLOCK,
    OPCODES,
    VALUE_TYPES,
    signed,
    unsigned,
)

Instruction = tuple[Any, ...]

MAGIC = b"\0asm\1\0\0\0"

@dataclass(frozen=True)
class Function:
    """A function of i32 parameters, and of i32 results.

    Attributes:
        name: as exported.
        params: how many parameters.
        locals: the value types of its locals, which are numbered after the parameters.
        code: the body, without the final `end`.
        results: how many results.
    """

    name: str
    params: int
    locals: tuple[str, ...]
    code: tuple[Instruction, ...]
    results: int = 0

    @property
    def type(self) -> bytes:
        """As the section of types has it."""
        return b"\x60" + unsigned(self.params) + b"\x7f" * self.params + (
            unsigned(self.results) + b"\x7f" * self.results)


def vector(items: Sequence[bytes]) -> bytes:
    """A count and the items."""
    return unsigned(len(items)) + b"".join(items)


def _name(text: str) -> bytes:
    data = text.encode()
    return unsigned(len(data)) + data


def _section(number: int, items: Sequence[bytes]) -> bytes:
    body = vector(items)
    return bytes([number]) + unsigned(len(body)) + body


ALIGNMENT = {"8": 0, "16": 1, "32": 2, "64": 3}
"""Logarithm of the natural alignment by access width in bits."""


def _memory_alignment(name: str) -> int:
    kind, operation = name.split(".")
    width = operation.removeprefix("load").removeprefix("store").split("_")[0]
    if "x" in width:
        return 3
    if width:
        return ALIGNMENT[width]
    return 2 if kind == "v128" else ALIGNMENT[kind[1:]]


def encode(instruction: Instruction) -> bytes:
    """One instruction with its immediates."""
    name, *rest = instruction
    return OPCODES[name] + _immediates(name, rest)


def _immediates(name: str, rest: list[Any]) -> bytes:
    if ".atomic." in name:
        return unsigned(2) + unsigned(rest[0])
    if ".load" in name or ".store" in name:
        lane = bytes(rest[1:])
        return unsigned(_memory_alignment(name)) + unsigned(rest[0]) + lane
    if name == "v128.const":
        return rest[0] if isinstance(rest[0], bytes) else struct.pack("<4f", *rest[0])
    if name.endswith(".const"):
        return _number(name[:3], rest[0])
    if name in ("block", "loop", "if"):
        return bytes([VALUE_TYPES[rest[0]] if rest else EMPTY_BLOCK])
    if name.startswith("memory."):
        return bytes({"copy": 2}.get(name[7:], 1))
    if "lane" in name or name == "i8x16.shuffle":
        return bytes(rest)
    return b"".join(unsigned(n) for n in rest)


def _number(kind: str, value: float) -> bytes:
    if kind == "f32":
        return struct.pack("<f", value)
    return struct.pack("<d", value) if kind == "f64" else signed(int(value))


def _body(function: Function) -> bytes:
    runs: list[list[Any]] = []
    for kind in function.locals:
        if runs and runs[-1][1] == kind:
            runs[-1][0] += 1
        else:
            runs.append([1, kind])
    locals_ = vector([unsigned(n) + bytes([VALUE_TYPES[k]]) for n, k in runs])
    code = locals_ + b"".join(map(encode, function.code)) + OPCODES["end"]
    return unsigned(len(code)) + code


SHARED_MEMORY = b"\1m\1m\2\3\0" + unsigned(65536)
"""The import of a memory that threads share."""
SHARED_FLAG = 5
"""Where in it 3 says so; 1 would say that it is not shared."""


def encode_module(functions: Sequence[Function], exports: Mapping[str, int] | None = None,
                  *, shared: bool = False) -> bytes:
    """A module that imports the memory `m.m`.

    Args:
        exports: numbers of functions by the name to export them as; by default all, by their own.
        shared: the memory is one that threads share.
    """
    if exports is None:
        exports = {f.name: i for i, f in enumerate(functions)}
    types = sorted({f.type for f in functions})
    memory = SHARED_MEMORY if shared else _name("m") + _name("m") + b"\2\0\0"
    return MAGIC + b"".join([
        _section(1, types), _section(2, [memory]),
        _section(3, [unsigned(types.index(f.type)) for f in functions]),
        _section(7, [_name(name) + b"\0" + unsigned(i) for name, i in exports.items()]),
        _section(10, [_body(f) for f in functions])])


def disassemble(function: Function) -> str:
    """The function as text, one instruction per line, blocks indented."""
    level = 1
    locals_ = " ".join(function.locals)
    lines = [f"func {function.name} (params {function.params}) (locals {locals_})"]
    for name, *rest in function.code:
        level -= name in ("end", "else")
        lines.append("  " * level + " ".join([name, *map(str, rest)]))
        level += name in ("block", "loop", "if", "else")
    return "\n".join(lines)
