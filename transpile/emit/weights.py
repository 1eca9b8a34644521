"""The weights section: a readable literal for few numbers, chunks of base64 for many.

Weights are made block by block whenever they are written: a large model has them once in memory.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from transpile.errors import InternalError
from transpile.ir.dims import Dim
from transpile.targets.wasm.content import FIRST, FIRST_SHIFT, PLACE, SECOND, SECOND_SHIFT

if TYPE_CHECKING:
    from transpile.program import Program

LITERAL_NUMBERS = 64
"""Up to so many weights stand in the code as numbers."""

CHUNK = 49152
"""Bytes in one literal: 64 kB of base64. One huge literal would parse in quadratic time."""

BLOCK = 1 << 22
"""Bytes that are taken from an array, hashed, or written at a time."""

PLACEHOLDER = "'@weights@'"
"""Stands for the chunks while the rest of the code is put together and checked."""


def is_literal(program: Program) -> bool:
    """True if all weights are written as numbers."""
    return sum(w.size for w in program.weights.values()) <= LITERAL_NUMBERS


@dataclass(frozen=True, eq=False)
class WeightData:
    """All weights as they lie in memory, little endian, from the first one on: pieces of bytes.

    Raises:
        InternalError: the weights do not lie one after the other within their memory.
    """

    program: Program

    def __iter__(self) -> Iterator[bytes]:
        program = self.program
        position: Dim = program.weight_offset
        for name, array in program.weights.items():
            offset = program.buffer(name).offset
            yield _gap(name, position, offset)
            yield from _little_endian(array)
            position = offset + array.nbytes
        yield _gap("the end", position, program.weight_offset + program.weight_bytes)


def _gap(name: str, start: Dim, stop: Dim) -> bytes:
    if not isinstance(start, int) or not isinstance(stop, int) or start > stop:
        raise InternalError(f"weights up to {start} do not lie before {name} at {stop}")
    return bytes(stop - start)


def _little_endian(array: np.ndarray) -> Iterator[bytes]:
    """The elements in order; an array that is not contiguous is cut along its first axis."""
    rows = np.atleast_1d(array.ravel() if array.flags.c_contiguous else array)
    step = max(BLOCK // max(rows[:1].nbytes, 1), 1)
    for start in range(0, len(rows), step):
        part = rows[start:start + step]
        yield part.astype(part.dtype.newbyteorder("<"), copy=False).tobytes()


def blocks(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in blocks of `size`, the last one shorter."""
    rest = bytearray()
    for piece in pieces:
        rest += piece
        whole = len(rest) - len(rest) % size
        for start in range(0, whole, size):
            yield bytes(rest[start:start + size])
        del rest[:whole]
    if rest:
        yield bytes(rest)


def file_name(name: str, pieces: Iterable[bytes]) -> str:
    """What a side file is called: an ASCII form of the model's name, and the content's hash."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "model"
    return f"{plain}.{content_digits(pieces)}.bin"


def content_digits(pieces: Iterable[bytes]) -> str:
    """16 hexadecimal digits that tell data from other data; `hashing` of the runtime in NumPy.

    It finds damage and mix-ups, in one pass without a copy; it is no defence against forgery.
    """
    count, first, second = 0, 0, 0
    for block in blocks(pieces, BLOCK):
        part = np.frombuffer(block, "<u4")
        place = np.arange(count + 1, count + len(part) + 1, dtype=np.uint32)
        mixed = (part ^ place * np.uint32(PLACE)) * np.uint32(FIRST)
        word = mixed ^ mixed >> np.uint32(FIRST_SHIFT)
        first += int(word.sum(dtype=np.uint64))
        mixed = (word ^ word >> np.uint32(SECOND_SHIFT)) * np.uint32(SECOND)
        second += int(mixed.sum(dtype=np.uint64))
        count += len(part)
    return f"{first + count & 0xFFFFFFFF:08x}{second & 0xFFFFFFFF:08x}"


@dataclass(frozen=True, eq=False)
class Text:
    """The text of a file, as pieces of UTF-8. Weights become base64 each time that it is read.

    Attributes:
        before: what stands before the weights.
        after: what follows them.
    """

    before: str
    after: str = ""
    weights: WeightData | None = None

    @staticmethod
    def of(skeleton: str, weights: WeightData) -> Text:
        """`skeleton` with the weights in the placeholder's place, if it has one."""
        before, found, after = skeleton.partition(PLACEHOLDER)
        return Text(before, after, weights if found else None)

    def __str__(self) -> str:
        return b"".join(self).decode()

    def __iter__(self) -> Iterator[bytes]:
        yield self.before.encode()
        for i, block in enumerate(blocks(self.weights or (), CHUNK)):
            yield b"%b'%b'" % (b",\n" if i else b"", base64.b64encode(block))
        yield self.after.encode()


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
