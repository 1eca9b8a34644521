"""Programs written by hand, and a printer for their kernels: emission without a compiler."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transpile.emit.module import emit_module
from transpile.emit.options import EmitOptions, EmittedModule
from transpile.ir.dims import Dim, dim
from transpile.ir.graph import Graph
from transpile.ir.types import TensorType, tensor_type
from transpile.lower.stmt import Argument, Kernel
from transpile.program import Buffer, BufferKind, Call, Port, Program

SOURCES = {
    "line": """function NAME({ f32 }, x, b, y, n) {
  for (let row = 0; row < n; row++) f32[y + row] = f32[x + row] * 3 + f32[b];
}""",
    "copy": """function NAME({ f32, i32, u8 }, a, b) {
  for (let i = 0; i < 6; i++) VIEW[b + i] = VIEW[a + i];
}""",
    "sum": """function NAME({ f32 }, w, x, y, n) {
  let total = 0;
  for (let i = 0; i < n; i++) total += f32[w + i];
  f32[y] = total * f32[x];
}""",
}

VIEWS = {"float32": "f32", "int32": "i32", "uint8": "u8", "bool": "u8"}


def print_kernel(kernel: Kernel, name: str) -> str:
    """The source that belongs to the first word of the kernel's label."""
    source = SOURCES[kernel.formula.split()[0]]
    first = kernel.args[0]
    dims = ", ".join(kernel.dims) or "n"
    source = source.replace("NAME", name).replace("VIEW", VIEWS[first.dtype])
    source = source.replace(", n)", f", {dims})").replace("< n;", f"< {dims};")
    return source if kernel.dims else source.replace("< n;", f"< {first.size};")


def options(**changes: Any) -> EmitOptions:
    return EmitOptions(**{"printers": {"js": print_kernel}, **changes})


class Builder:
    """Lays buffers out one after the other, each at a multiple of 16 bytes."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.weights: dict[str, np.ndarray] = {}
        self.end: Dim = 0

    def add(self, name: str, kind: BufferKind, type_: TensorType) -> Buffer:
        size = type_.size * (4 if type_.dtype in ("float32", "int32") else 1)
        buffer = Buffer(name, type_, kind, self.end)
        self.buffers.append(buffer)
        padded = -(-size // 16) * 16 if isinstance(size, int) else size * 16
        self.end = self.end + padded
        return buffer

    def weight(self, name: str, array: np.ndarray) -> Buffer:
        self.weights[name] = array
        return self.add(name, "weight", tensor_type(array.dtype.name, array.shape))

    def argument(self, name: str, written: bool = False) -> Argument:
        buffer = next(b for b in self.buffers if b.name == name)
        return Argument(name, buffer.type.dtype, buffer.type.size, written)


def program(name: str, builder: Builder, inputs: Sequence[tuple[str, str]],
            outputs: Sequence[tuple[str, str]], kernels: Sequence[Kernel],
            dims: Sequence[str] = ()) -> Program:
    """Ports are pairs of the user's name and a buffer; each kernel is called once."""
    types = {b.name: b.type for b in builder.buffers}
    weight_bytes = next((b.offset for b in builder.buffers if b.kind != "weight"), 0)
    assert isinstance(weight_bytes, int)
    calls = tuple(Call(k.name, tuple(a.name for a in k.args), k.name, k.formula) for k in kernels)
    return Program(name, "model.py:9", "js", tuple(Port(n, types[b], b) for n, b in inputs),
                   tuple(Port(n, types[b], b) for n, b in outputs), tuple(dims),
                   tuple(builder.buffers), builder.weights, tuple(kernels), calls, weight_bytes,
                   builder.end, Graph(name, (), ()))


def line(*, batch: bool = True, name: str = "line", x: str = "x", y: str = "y") -> Program:
    """y = 3x - 1 over float32[batch, 1], or float32[1, 1]."""
    builder = Builder()
    shape = (dim("batch") if batch else 1, 1)
    builder.weight("b", np.array([-1], np.float32))
    builder.add("x", "input", TensorType("float32", shape))
    builder.add("y", "output", TensorType("float32", shape))
    args = (builder.argument("x"), builder.argument("b"), builder.argument("y", True))
    dims = ("batch",) if batch else ()
    kernel = Kernel("y", args, dims, (), "line 3*x - 1", "model.py:12")
    return program(name, builder, [(x, "x")], [(y, "y")], [kernel], dims)


def copies(dtypes: Sequence[str] = ("float32", "int32", "uint8", "bool"),
           names: Mapping[str, str] | None = None) -> Program:
    """One input [2, 3] of each dtype, named after it, and the same as output `<dtype>_out`."""
    builder = Builder()
    names = names or {}
    for dtype in dtypes:
        builder.add(dtype, "input", TensorType(dtype, (2, 3)))
        builder.add(f"{dtype}_out", "output", TensorType(dtype, (2, 3)))
    kernels = [Kernel(f"copy_{d}", (builder.argument(d), builder.argument(f"{d}_out", True)), (),
                      (), "copy") for d in dtypes]
    return program("copies", builder, [(names.get(d, d), d) for d in dtypes],
                   [(f"{names.get(d, d)}_out", f"{d}_out") for d in dtypes], kernels)


def weighted(count: int, seed: int = 0) -> Program:
    """y = x * sum(w) with `count` float32 weights."""
    builder = Builder()
    values = np.random.default_rng(seed).integers(-8, 9, count).astype(np.float32)
    builder.weight("w", values)
    builder.add("x", "input", TensorType("float32", (1,)))
    builder.add("y", "output", TensorType("float32", (1,)))
    args = (builder.argument("w"), builder.argument("x"), builder.argument("y", True))
    return program("weighted", builder, [("x", "x")], [("y", "y")],
                   [Kernel("total", args, (), (), "sum w")])


def run_node(node: str, folder: Path, module: EmittedModule, script: str, *,
             flags: Sequence[str] = ()) -> Any:
    """What `script` gives to `show(value)`, with the esm `module` in scope as `api`."""
    (folder / "model.mjs").write_text(module.code, encoding="ascii")
    (folder / "main.mjs").write_text(f"""
const show = (value) => console.log(JSON.stringify(value, (key, item) =>
  ArrayBuffer.isView(item) ? Array.from(item) : item));
const message = async (action) => {{
  try {{ await action(); return null; }}
  catch (error) {{ return `${{error.name}}: ${{error.message}}`; }}
}};
const api = await import('./model.mjs');
{script}
""")
    done = subprocess.run([node, "--disallow-code-generation-from-strings", *flags, "main.mjs"],
                          cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def emit(program_: Program, **changes: Any) -> EmittedModule:
    return emit_module([program_], options(**changes))
