"""The WebGL part of a module: shaders, textures and draws, as JS text.

Inputs, outputs and weights pass through the memory of the CPU targets, which the module has
anyway, since they are what it falls back to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transpile.emit.layout import VIEWS, element_offset, js_dim, shape_list
from transpile.emit.names import comment_text, js_string
from transpile.emit.pictures import picture_layout
from transpile.errors import InternalError
from transpile.ir.dims import Dim, evaluate
from transpile.ir.types import TensorType
from transpile.lower.stmt import Kernel
from transpile.program import Program
from transpile.targets.glsl.cpu import CpuCall
from transpile.targets.glsl.dealing import FEW
from transpile.targets.glsl.programs import Draw, Texture, WebglPlan
from transpile.targets.glsl.textures import Placed
from transpile.targets.js import print_kernel

NameOf = Callable[[str], str]

WORTHWHILE = 2e8
"""FLOPs of a run from which `auto` tries WebGL first."""


@dataclass(frozen=True)
class WebglSection:
    """Prints a plan beside the program whose memory it shares.

    Attributes:
        name_of: the JS variable of a named dimension.
    """

    plan: WebglPlan
    program: Program
    name_of: NameOf
    kernel_name: NameOf

    def values(self) -> dict[str, Any]:
        """Everything that the template needs."""
        plan = self.plan
        work = evaluate(self.program.flops, dict.fromkeys(self.program.dims, 1))
        return {"summary": plan.summary, "auto": work >= WORTHWHILE,
                "shaders": [s.strip() for s in plan.shaders],
                "many_targets": any(t.layers > FEW for t in plan.textures),
                "textures": [self.texture(*t) for t in enumerate(plan.textures)],
                "draws": [self.call(d) if isinstance(d, CpuCall) else self.draw(d)
                          for d in self.draws],
                "tail": plan.tail and self.call(plan.tail),
                "kernels": list(dict.fromkeys(
                    self.kernel(kernel) for d in plan.draws if isinstance(d, CpuCall)
                    for kernel, _ in d.kernels)),
                "scratch": self.scratch(), "steps": [self.step(d) for d in self.draws],
                "weights": [self.weight(p) for p in plan.weights],
                "direct": self.direct(),
                "inputs": [self.tensor(p, p.name) for p in plan.inputs],
                "results": [self.result(name, p) for name, p in plan.results]}

    @property
    def draws(self) -> tuple[Draw | CpuCall, ...]:
        """All draws, and the calls between them."""
        return self.plan.draws[:-1] if self.plan.tail else self.plan.draws

    def js(self, value: Dim) -> str:
        return js_dim(value, self.name_of)

    def texture(self, number: int, texture: Texture) -> str:
        """[kind, width, height, layers]: 0 for integers, 1 for floats, 2 for those only read."""
        kind = 0 if not texture.is_float else 1 if number in self.plan.written else 2
        return (f"[{kind}, {self.js(texture.width)}, {self.js(texture.height)}, "
                f"{texture.layers}]")

    def draw(self, draw: Draw) -> dict[str, str]:
        sizes = ", ".join(map(self.js, draw.uniforms))
        inputs = ", ".join(map(str, draw.inputs))
        text = (f"[{draw.program}, [{inputs}], {draw.output}, [{sizes}], {self.js(draw.width)}, "
                f"{self.js(draw.height)}]")
        return {"text": text, "comment": comment_text(draw.formula)}

    def step(self, draw: Draw | CpuCall) -> str:
        """What a draw or call writes, for those who look at single steps."""
        placed = draw.written if isinstance(draw, Draw) else draw.written[-1][0]
        return (f"[{js_string(draw.label)}, '{placed.type.dtype}', {placed.texture}, "
                f"{self.js(placed.type.size)}, {placed.layout.width}, "
                f"{shape_list(placed.type, self.name_of)}]")

    def direct(self) -> dict[str, int]:
        """The textures of inputs that pictures can be drawn to, by name: RGBA bytes."""
        by_cpu = {p.name for d in self.plan.draws if isinstance(d, CpuCall) for p, _ in d.copies}
        return {p.name: p.texture for p in self.plan.inputs if p.name not in by_cpu
                and picture_layout(p.type) and p.type.shape[-1] == 4}

    def kernel(self, kernel: Kernel) -> str:
        """The JS function of a kernel."""
        return print_kernel(kernel, self.kernel_name(kernel.name)).rstrip()

    def call(self, call: CpuCall) -> dict[str, str]:
        """A call between draws or after: what it reads back, copies, calls and uploads."""
        reads = ", ".join(self.at(p, self.js(at)) for p, at in call.reads)
        copies = ", ".join(f"[{self.weight(p)}, {self.js(at)}]" for p, at in call.copies)
        writes = ", ".join(self.at(p, self.js(at)) for p, at in call.written)
        calls = [f"{self.kernel_name(kernel.name)}(" + ", ".join(
            ["memory", *map(self.js, offsets), *map(self.name_of, kernel.dims)]) + ")"
            for kernel, offsets in call.kernels]
        calls += [self.handed(*result) for result in call.results]
        arguments = "memory, heap" if call.results else "memory"
        return {"text": f"{{ reads: [{reads}], copies: [{copies}], "
                        f"call: ({arguments}) => {{ {'; '.join(calls)}; }}, writes: [{writes}] }}",
                "comment": comment_text(call.formula)}

    def handed(self, name: str, type_: TensorType, at: Dim) -> str:
        """An output's way from the memory of the calls to that of the module."""
        view, start = VIEWS[type_.dtype], self.js(at)
        return (f"heap.{view}.set(memory.{view}.subarray({start}, "
                f"{self.js(at + type_.size)}), {self.js(self.home(name))})")

    def home(self, name: str) -> Dim:
        """Where an output lies in the module's memory, in elements."""
        port = next(p for p in self.program.outputs if p.name == name)
        return element_offset(self.program.buffer(port.buffer))

    def scratch(self) -> str:
        """Bytes that the calls between draws need at most; empty if there are none."""
        sizes = [self.js(d.words * 4) for d in self.plan.draws if isinstance(d, CpuCall)]
        return f"Math.max({', '.join(sizes)})" if sizes else ""

    def tensor(self, placed: Placed, buffer: str, *more: int) -> str:
        """[texture, view, at, size, width, ...]."""
        return self.at(placed, self.js(element_offset(self.program.buffer(buffer))), *more)

    def at(self, placed: Placed, place: str, *more: int) -> str:
        """The same for a place in the memory of the calls between draws."""
        fields = [str(placed.texture), f"'{VIEWS[placed.type.dtype]}'", place,
                  self.js(placed.type.size), str(placed.layout.width), *map(str, more)]
        return f"[{', '.join(fields)}]"

    def result(self, name: str, placed: Placed) -> str:
        return self.at(placed, self.js(self.home(name)))

    def weight(self, placed: Placed) -> str:
        """A weight, or what was expanded to it at load; in panels where the memory has them."""
        name = placed.name
        if not any(b.name == name for b in self.program.buffers):
            raise InternalError(f"the weight {name} is not in the module's memory")
        if name not in self.plan.arrays:  # an input
            return self.tensor(placed, name)
        columns = (self.plan.arrays[name].shape or (1,))[-1]
        there, here = self.program.panels.get(name, columns), placed.panel or columns
        return self.tensor(placed, name, *(() if there == here else (columns, there, here)))
