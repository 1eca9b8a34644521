"""Graphs of single ops, and programs run in batches: one Node process for many of them."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from transpile.compile import lower_graph
from transpile.ir.dims import evaluate
from transpile.ir.graph import Graph, input_node
from transpile.ir.interpret import bind_dims, node_values
from transpile.ir.types import TensorType
from transpile.lower.stmt import Kernel
from transpile.ops import registry
from transpile.ops.registry import Sample
from transpile.passes import run_pipeline
from transpile.program import Port, Program
from transpile.targets import TARGETS
from transpile.verify.check import compare_outputs, expected_outputs
from transpile.verify.node import find_node

NODE_TARGETS = tuple(name for name, t in TARGETS.items() if t.runs_in == "node")
ALIGN = {"float32": 4, "int32": 4, "uint8": 1, "bool": 1}

RUNNER = """
const bytes = (text) => Buffer.from(text, 'base64');
const cases = require('./cases.cjs');
const results = cases.map(({ make, size, sets, reads }) => {
  try {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(size / 65536) || 1 });
    const b = memory.buffer;
    const u8 = new Uint8Array(b);
    u8.fill(255);
    const run = make(memory, { f32: new Float32Array(b), i32: new Int32Array(b), u8 });
    for (const [at, data] of sets) u8.set(bytes(data), at);
    run();
    return reads.map(([at, length]) => Buffer.from(b, at, length).toString('base64'));
  } catch (error) {
    return String(error && error.stack).split('\\n').slice(0, 3).join(' ');
  }
});
process.stdout.write(JSON.stringify(results));
"""
"""Fresh memory is full of NaN, so that a read of what nothing has written shows."""

SAMPLES = [(name, number) for name in registry.names()
           for number in range(len(registry.get(name).samples))]


def graph_of(op: str, types: Iterable[TensorType], attrs: Mapping[str, Any]) -> Graph:
    """A graph of one op on inputs `x0`, `x1`, ..., with the output `out`."""
    inputs = tuple(input_node(f"x{i}", t) for i, t in enumerate(types))
    return Graph(op, inputs, (("out", registry.make(op, *inputs, label="out", **attrs)),))


def sample_graph(op: str, number: int) -> tuple[Graph, dict[str, np.ndarray]]:
    """One sample of an op as a graph, and its operands."""
    example: Sample = registry.get(op).samples[number]
    arrays = example.arrays(number)
    graph = graph_of(op, [TensorType(a.dtype.name, a.shape) for a in arrays], example.attrs)
    return graph, {f"x{i}": a for i, a in enumerate(arrays)}


def array_graph(op: str, *arrays: np.ndarray, **attrs: Any) -> tuple[Graph, dict[str, np.ndarray]]:
    """The same for given operands."""
    graph = graph_of(op, [TensorType(a.dtype.name, a.shape) for a in arrays], attrs)
    return graph, {f"x{i}": a for i, a in enumerate(arrays)}


@cache
def sample_program(op: str, number: int, target: str = "js") -> Program:
    """One sample of an op, lowered."""
    return lower_graph(sample_graph(op, number)[0], target)


def sample_kernels(target: str = "js") -> list[tuple[str, Kernel]]:
    """Every kernel of every op's samples, with `op/number`; equal ones once."""
    found: dict[Kernel, str] = {}
    for op, number in SAMPLES:
        for kernel in sample_program(op, number, target).kernels:
            found.setdefault(kernel, f"{op}/{number}")
    return [(name, kernel) for kernel, name in found.items()]


@dataclass(frozen=True)
class Case:
    """A program and inputs to run it on."""

    program: Program
    inputs: Mapping[str, np.ndarray]

    @property
    def dims(self) -> dict[str, int]:
        return bind_dims(self.program.graph, self.inputs)

    def request(self) -> dict[str, Any]:
        """The size of memory, what is set in it before the run, and what is read after."""
        program, dims = self.program, self.dims
        offsets = {b.name: evaluate(b.offset, dims) for b in program.buffers}
        sets = [[offsets[p.buffer], _text(self.inputs[p.name].astype(p.type.dtype))]
                for p in program.inputs]
        sets += [[offsets[name], _text(value)] for name, value in program.weights.items()]
        reads = [[offsets[p.buffer], _empty(p, dims).nbytes] for p in program.outputs]
        return {"size": evaluate(program.memory, dims) + 64, "sets": sets, "reads": reads}

    def outputs(self, answer: Sequence[str]) -> dict[str, np.ndarray]:
        dims = self.dims
        return {p.name: np.frombuffer(base64.b64decode(text), p.type.dtype).reshape(
            _empty(p, dims).shape) for p, text in zip(self.program.outputs, answer, strict=True)}


def _empty(port: Port, dims: Mapping[str, int]) -> np.ndarray:
    return np.empty([evaluate(d, dims) for d in port.type.shape], port.type.dtype)


def _text(value: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()


def _javascript(case: Case) -> str:
    """A function of the memory and its views that gives a function that runs the program."""
    program, dims = case.program, case.dims
    if program.target == "wasm":
        from transpile.targets.wasm import assemble
        binary = base64.b64encode(assemble(program)).decode()
        sizes = ", ".join(str(dims[d]) for d in program.dims)
        return ("(m) => {\nconst e = new WebAssembly.Instance(new WebAssembly.Module("
                f"bytes('{binary}')), {{ m: {{ m }} }}).exports;\n"
                f"return () => {{ if (e.prepare) e.prepare(); e.run({sizes}); }};\n}}")
    printer = TARGETS[program.target].print_kernel
    code = [printer(k, f"k{i}") for i, k in enumerate(program.kernels)]
    order = {k.name: i for i, k in enumerate(program.kernels)}
    calls = []
    for call in (*program.prepare, *program.calls):
        number = order[call.kernel]
        places = [program.buffer(a) for a in call.args]
        values = [evaluate(b.offset, dims) // ALIGN[b.type.dtype] for b in places]
        values += [dims[d] for d in program.kernels[number].dims]
        calls.append(f"k{number}({', '.join(['h', *map(str, values)])});")
    return "\n".join(["(m, h) => {", *code, "return () => {", *calls, "};", "}"])


def run_batch(cases: Sequence[Case]) -> list[dict[str, np.ndarray] | str]:
    """The outputs of each case by name, or the text of an error; one Node process runs all."""
    lines = []
    for case in cases:
        request = json.dumps(case.request())
        lines.append(f"Object.assign({request}, {{ make: {_javascript(case)} }}),")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "runner.cjs").write_text(RUNNER)
        head = "const bytes = (text) => Buffer.from(text, 'base64');\nmodule.exports = [\n"
        (folder / "cases.cjs").write_text(head + "\n".join(lines) + "\n];\n")
        done = subprocess.run(
            [find_node(), "--disallow-code-generation-from-strings", "runner.cjs"], cwd=folder,
            capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return [answer if isinstance(answer, str) else case.outputs(answer)
            for case, answer in zip(cases, json.loads(done.stdout), strict=True)]


def differences(graph: Graph, inputs: Mapping[str, np.ndarray],
                found: Mapping[str, np.ndarray] | str, *, cancelling: bool = False) -> str:
    """What is wrong with the outputs of `graph`; empty if nothing is.

    Args:
        cancelling: allow for errors relative to the largest value on the way to an output, not
            only to the output: sums that cancel and norms of equal elements need that.
    """
    if isinstance(found, str):
        return found
    with np.errstate(all="ignore"):
        expected = expected_outputs(graph, inputs)
        if cancelling:
            largest = largest_value(graph, inputs)
            expected = {name: replace(e, allowed=replace(
                e.allowed, absolute=max(e.allowed.absolute, e.allowed.relative * largest)))
                for name, e in expected.items()}
    return "; ".join(f"{name}{c.index}: {c.got} instead of {c.expected}, {c.message}"
                     for name, c in compare_outputs(found, expected).items() if not c.ok)


def largest_value(graph: Graph, inputs: Mapping[str, np.ndarray]) -> float:
    """The largest finite magnitude of any value of a graph, composites opened."""
    values = node_values(run_pipeline(graph)[0], inputs).values()
    finite = [np.abs(v[np.isfinite(v)]).max(initial=0) for v in values if v.dtype.kind == "f"]
    return float(max(finite, default=0.0))
