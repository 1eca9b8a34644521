"""The WebGL part of a module: shaders, textures and draws, as JS text.

Inputs, outputs and weights pass through the memory of the CPU targets, which the module has
anyway, since they are what it falls back to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transpile.emit.layout import VIEWS, element_offset, js_dim
from transpile.emit.names import comment_text
from transpile.errors import InternalError
from transpile.ir.dims import Dim
from transpile.program import Program
from transpile.targets.glsl.programs import Draw, Placed, Texture, WebglPlan

NameOf = Callable[[str], str]


@dataclass(frozen=True)
class WebglSection:
    """Prints a plan beside the program whose memory it shares.

    Attributes:
        panel: how many columns of a weight matrix lie together in that memory, by the number of
            columns; 1 for row-major.
        name_of: the JS variable of a named dimension.
    """

    plan: WebglPlan
    program: Program
    panel: Callable[[Dim], int]
    name_of: NameOf

    def values(self) -> dict[str, Any]:
        """Everything that the template needs."""
        plan = self.plan
        return {"shaders": [s.strip() for s in plan.shaders],
                "textures": [self.texture(t) for t in plan.textures],
                "draws": [self.draw(d) for d in plan.draws],
                "weights": [self.weight(p) for p in plan.weights],
                "inputs": [self.tensor(p, p.name) for p in plan.inputs],
                "results": [self.result(name, p) for name, p in plan.results]}

    def js(self, value: Dim) -> str:
        return js_dim(value, self.name_of)

    def texture(self, texture: Texture) -> str:
        return (f"[{int(texture.is_float)}, {self.js(texture.width)}, {self.js(texture.height)}, "
                f"{texture.layers}]")

    def draw(self, draw: Draw) -> dict[str, str]:
        sizes = ", ".join(map(self.js, draw.uniforms))
        inputs = ", ".join(map(str, draw.inputs))
        text = (f"[{draw.program}, [{inputs}], {draw.output}, [{sizes}], {self.js(draw.width)}, "
                f"{self.js(draw.height)}]")
        return {"text": text, "comment": comment_text(draw.formula)}

    def tensor(self, placed: Placed, buffer: str, *more: int) -> str:
        """[texture, view, at, size, width, ...]."""
        found = self.program.buffer(buffer)
        fields = [str(placed.texture), f"'{VIEWS[placed.type.dtype]}'",
                  self.js(element_offset(found)), self.js(placed.type.size),
                  str(placed.layout.width), *map(str, more)]
        return f"[{', '.join(fields)}]"

    def result(self, name: str, placed: Placed) -> str:
        port = next(p for p in self.program.outputs if p.name == name)
        return self.tensor(placed, port.buffer)

    def weight(self, placed: Placed) -> str:
        stored = self.program.weights.get(placed.name)
        if stored is None:
            raise InternalError(f"the weight {placed.name} is not in the module's memory")
        columns = stored.shape[-1] if stored.ndim else 1
        if stored is self.plan.arrays[placed.name] or self.panel(columns) <= 1:
            return self.tensor(placed, placed.name)
        return self.tensor(placed, placed.name, columns, self.panel(columns))
