"""The target `webgl`: WebGL2 in a browser, see `targets/glsl`."""

from __future__ import annotations

from transpile.errors import InternalError
from transpile.lower.loops import Tile
from transpile.lower.nest import Nest
from transpile.lower.stmt import Kernel
from transpile.targets.base import Target


def schedule(_nest: Nest) -> Tile:
    """Shaders are scheduled by `targets/glsl/shader.py`."""
    return Tile()


def print_kernel(_kernel: Kernel, name: str) -> str:
    """There are no kernels over a flat memory: see `targets/glsl/programs.py`."""
    raise InternalError(f"{name}: WebGL has shaders instead of kernels")


WEBGL = Target("webgl", "glsl", schedule, print_kernel, cpu=False, runs_in="browser")
