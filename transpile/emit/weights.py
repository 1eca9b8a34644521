"""The weights section: a readable literal for few numbers, chunks of base64 for many."""

from __future__ import annotations

import base64
import re

import numpy as np

from transpile.errors import InternalError
from transpile.ir.dims import Dim
from transpile.program import Program

LITERAL_NUMBERS = 64
"""Up to so many weights stand in the code as numbers."""

CHUNK = 49152
"""Bytes in one literal: 64 kB of base64. One huge literal would parse in quadratic time."""

PLACEHOLDER = "'@weights@'"
"""Stands for the chunks while the rest of the code is put together and checked."""


def is_literal(program: Program) -> bool:
    """True if all weights are written as numbers."""
    return sum(w.size for w in program.weights.values()) <= LITERAL_NUMBERS


def weight_bytes(program: Program) -> bytearray:
    """All weights as they lie in memory, little endian, from the first one on."""
    memory = bytearray(program.weight_bytes)
    for name, array in program.weights.items():
        offset: Dim = program.buffer(name).offset
        if not isinstance(offset, int):
            raise InternalError(f"the offset {offset} of the weight {name} is not a number")
        offset -= program.weight_offset
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        memory[offset:offset + array.nbytes] = little.tobytes()
    if len(memory) != program.weight_bytes:
        raise InternalError(f"weights of {program.name} go beyond {program.weight_bytes} bytes")
    return memory


def file_name(name: str, data: bytes | bytearray) -> str:
    """What a side file is called: an ASCII form of the model's name, and the content's hash."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"
    return f"{plain}.{content_digits(data)}.bin"


def content_digits(data: bytes | bytearray) -> str:
    """16 hexadecimal digits that tell `data` from other data; `hashOf` of the runtime in NumPy.

    It finds damage and mix-ups, in one pass without a copy; it is no defence against forgery.
    """
    words = np.frombuffer(data, "<u4")
    first, second = len(words), 0
    for start in range(0, len(words), 1 << 20):
        part = words[start:start + (1 << 20)]
        place = np.arange(start + 1, start + len(part) + 1, dtype=np.uint32)
        mixed = (part ^ place * np.uint32(0x9E3779B1)) * np.uint32(0x85EBCA6B)
        word = mixed ^ mixed >> np.uint32(15)
        first += int(word.sum(dtype=np.uint64))
        mixed = (word ^ word >> np.uint32(13)) * np.uint32(0xC2B2AE35)
        second += int(mixed.sum(dtype=np.uint64))
    return f"{first & 0xFFFFFFFF:08x}{second & 0xFFFFFFFF:08x}"


def base64_literals(data: bytes | bytearray) -> list[str]:
    """`data` in base64, one JS string literal for each `CHUNK` bytes."""
    return [f"'{base64.b64encode(data[i:i + CHUNK]).decode()}'"
            for i in range(0, len(data), CHUNK)]


def number(value: object) -> str:
    """A JS literal that gives back a number of `value`'s dtype exactly."""
    scalar = np.asarray(value)[()]
    if isinstance(scalar, (np.bool_, np.integer)):
        return str(int(scalar))
    if not np.isfinite(scalar):
        return "NaN" if np.isnan(scalar) else "Infinity" if scalar > 0 else "-Infinity"
    text = str(scalar)
    if np.float32(float(text)) != scalar:
        text = repr(float(scalar))
    return text.removesuffix(".0").replace("e+", "e")


def number_list(values: np.ndarray) -> str:
    """The elements of an array as the inside of a JS array literal."""
    return ", ".join(number(v) for v in np.ravel(values))
