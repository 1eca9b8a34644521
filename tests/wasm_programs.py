"""Runs programs lowered for wasm, many in one Node process, without an emitted module."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transpile.ir.dims import evaluate
from transpile.program import Program
from transpile.targets.wasm import assemble
from transpile.verify.node import find_node

RUNNER = """
const cases = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
const bytes = (text) => Buffer.from(text, 'base64');
const results = cases.map(({ binary, size, sets, dims, reads }) => {
  try {
    const pages = Math.ceil(size / 65536) || 1;
    const memory = new WebAssembly.Memory({ initial: pages });
    const module = new WebAssembly.Module(bytes(binary));
    const { exports } = new WebAssembly.Instance(module, { m: { m: memory } });
    const u8 = new Uint8Array(memory.buffer);
    u8.fill(255);
    for (const [at, data] of sets) u8.set(bytes(data), at);
    if (exports.prepare) exports.prepare();
    exports.run(...dims);
    return reads.map(([at, length]) => Buffer.from(memory.buffer, at, length).toString('base64'));
  } catch (error) {
    return String(error);
  }
});
process.stdout.write(JSON.stringify(results));
"""


@dataclass(frozen=True)
class Case:
    """A program, its inputs by name, and the sizes of its named dimensions."""

    program: Program
    inputs: Mapping[str, np.ndarray]
    dims: Mapping[str, int]

    def request(self) -> dict[str, Any]:
        program = self.program
        sets = [[self.offset(p.buffer), _text(self.inputs[p.name])] for p in program.inputs]
        sets += [[self.offset(name), _text(value)] for name, value in program.weights.items()]
        reads = [[self.offset(p.buffer), self.empty(p).nbytes] for p in program.outputs]
        return {"binary": base64.b64encode(assemble(program)).decode(), "sets": sets,
                "size": evaluate(program.memory, self.dims), "reads": reads,
                "dims": [self.dims[d] for d in program.dims]}

    def offset(self, buffer: str) -> int:
        return evaluate(self.program.buffer(buffer).offset, self.dims)

    def empty(self, port: Any) -> np.ndarray:
        return np.empty([evaluate(d, self.dims) for d in port.type.shape], port.type.dtype)


def _text(value: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()


def run_all(cases: Sequence[Case], folder: Path) -> list[dict[str, np.ndarray] | str]:
    """The outputs of each case by name, or the text of an error."""
    (folder / "cases.json").write_text(json.dumps([c.request() for c in cases]))
    (folder / "runner.cjs").write_text(RUNNER)
    done = subprocess.run([find_node(), folder / "runner.cjs", folder / "cases.json"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [answer if isinstance(answer, str) else _outputs(case, answer)
            for case, answer in zip(cases, json.loads(done.stdout), strict=True)]


def _outputs(case: Case, answer: Sequence[str]) -> dict[str, np.ndarray]:
    result = {}
    for port, text in zip(case.program.outputs, answer, strict=True):
        empty = case.empty(port)
        result[port.name] = np.frombuffer(base64.b64decode(text), empty.dtype).reshape(empty.shape)
    return result
