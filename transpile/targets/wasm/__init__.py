"""WebAssembly with SIMD: one function per kernel over one imported memory, in float32."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.lower.hoist import hoist
from transpile.lower.loops import Tile
from transpile.lower.nest import Nest
from transpile.lower.stmt import Kernel
from transpile.targets.base import Target
from transpile.targets.wasm.encoder import Function, disassemble, encode_module
from transpile.targets.wasm.printer import Printer


def function(kernel: Kernel, name: str) -> Function:
    """A function of i32 byte addresses of the arguments, then of the dimensions."""
    return Printer(kernel).function(name, hoist(kernel.body))


def print_kernel(kernel: Kernel, name: str) -> str:
    """A kernel's instructions as text."""
    return disassemble(function(kernel, name))


def export_name(number: int) -> str:
    """A short name for a kernel by its position: a, b, ... z, aa, ab, ..."""
    letters = ""
    while number >= 0:
        letters = chr(97 + number % 26) + letters
        number = number // 26 - 1
    return letters


def assemble(kernels: Sequence[Kernel]) -> bytes:
    """A module that exports one function for each kernel, see `export_name`."""
    return encode_module([function(k, export_name(i)) for i, k in enumerate(kernels)])


def schedule(nest: Nest) -> Tile:
    return Tile()


WASM = Target("wasm", "wasm", schedule, print_kernel, assemble=assemble)
