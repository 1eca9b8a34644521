"""The target `webgl`: WebGL2 in a browser, see `targets/glsl`."""

from __future__ import annotations

from transpile.errors import InternalError
from transpile.ir.dims import Dim
from transpile.lower.loops import Tile
from transpile.lower.nest import Nest
from transpile.lower.stmt import Kernel
from transpile.passes.manager import Pass
from transpile.passes.recurrent import recurrent
from transpile.passes.texels import texels
from transpile.targets.base import Target


def schedule(_nest: Nest) -> Tile:
    """Shaders are scheduled by `targets/glsl/shader.py`."""
    return Tile()


def print_kernel(_kernel: Kernel, name: str) -> str:
    """There are no kernels over a flat memory: see `targets/glsl/programs.py`."""
    raise InternalError(f"{name}: WebGL has shaders instead of kernels")


def panel(columns: Dim, _rows: Dim) -> int:
    """Four columns lie together, so that what one invocation multiplies with is contiguous."""
    return 4 if isinstance(columns, int) and columns % 4 == 0 else 0


WEBGL = Target("webgl", "glsl", schedule, print_kernel, panel=panel, cpu=False,
               # Recurrent layers run on the CPU, on weights as they lie in its memory.
               passes=(Pass("recurrent", recurrent, once=True),
                       Pass("texels", texels, once=True)), runs_in="browser")
