"""The html page: a model as a script, and controls that suit its inputs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from transpile.emit.golden import golden_inputs
from transpile.emit.names import html_text
from transpile.emit.options import EmitOptions, PageOptions
from transpile.emit.pictures import picture_layout
from transpile.emit.runtime import runtime_folder
from transpile.errors import InternalError
from transpile.ir.dims import evaluate
from transpile.ir.types import TensorType
from transpile.program import Port, Program

NUMBER_BOXES = 16
"""Up to so many elements get a number box each."""

LIST_LENGTH = 8
"""How many elements a named last dimension starts with."""

MAX_DRAWING = 64
"""The largest side of an image that one draws by hand."""


TARGET_NAMES = {"js": "JavaScript", "wasm": "WebAssembly", "webgl": "WebGL2"}
"""What the page calls each target."""

SCRIPTS = ("measure.js", "speed.js", "page.js")


def page(program: Program, options: EmitOptions, global_name: str, code: str,
         targets: Sequence[str]) -> str:
    """A self-contained page that runs the iife `code`; works from `file://`.

    Args:
        targets: those that the module has.

    Raises:
        InternalError: the code would end its own script element.
    """
    from transpile.emit.module import render
    if re.search(r"</script|<!--", code, re.IGNORECASE):
        raise InternalError("the code of the page contains markup")
    which = options.page
    program = without_state(program)
    built = [t for t in TARGET_NAMES if t in targets]
    config = {"targets": built, "inputs": [_input(p, which) for p in program.inputs],
              "outputs": [{"name": p.name, "labels": list(which.labels.get(p.name, ()))}
                          for p in program.outputs]}
    title = html_text(which.title or program.name)
    script = "\n".join(map(_page_file, SCRIPTS))
    text = render("page.html.j2", title=title, text=html_text(which.text), code=code,
                  inputs=[_heading(p) for p in program.inputs], config=_script_json(config),
                  state=bool(program.state),
                  outputs=[_heading(p) for p in program.outputs], global_name=global_name,
                  style=_page_file("page.css"),
                  script=script.replace("export ", ""),
                  targets=[{"key": t, "name": TARGET_NAMES[t]} for t in built],
                  footer="Runs on this device: nothing is sent anywhere.")
    return text.encode("ascii", "xmlcharrefreplace").decode()


def without_state(program: Program) -> Program:
    """The program without the inputs and outputs that stay inside the module."""
    hidden = {*program.state, *program.state.values()}
    return replace(program, inputs=tuple(p for p in program.inputs if p.name not in hidden),
                   outputs=tuple(p for p in program.outputs if p.name not in hidden))


def _page_file(name: str) -> str:
    return (runtime_folder() / "page" / name).read_text(encoding="ascii")


@lru_cache(maxsize=1)
def page_names() -> tuple[str, ...]:
    """What the page's own script declares: the model's global must not be one of these."""
    declared = r"^export (?:async function|function|const) (\w+)"
    return tuple(n for s in SCRIPTS for n in re.findall(declared, _page_file(s), re.M))


def _script_json(value: object) -> str:
    """JSON as JS inside `<script>`; `__proto__` never occurs as a key in it."""
    return json.dumps(value).replace("<", "\\u003c")


def _heading(port: Port) -> dict[str, str]:
    return {"name": html_text(port.name), "type": html_text(str(port.type))}


def _shape(port: Port) -> tuple[list[int], bool]:
    """Sizes that the page uses, and whether the last one follows from what is typed."""
    names = {n: 1 for d in port.type.shape for n in getattr(d, "terms", ()) and _names(d)}
    is_open = bool(port.type.shape) and not isinstance(port.type.shape[-1], int)
    shape = [evaluate(d, names) for d in port.type.shape]
    if is_open:
        shape[-1] = LIST_LENGTH
    return shape, is_open


def _names(size: Any) -> set[str]:
    from transpile.ir.dims import names
    return names(size)


def control(port: Port) -> dict[str, Any]:
    """Which control suits an input: its kind, and the size of an image."""
    shape, is_open = _shape(port)
    whole = port.type.dtype != "float32"
    size = int(np.prod(shape, dtype=np.int64))
    base = {"name": port.name, "shape": shape, "open": is_open, "whole": whole}
    drawable = port.type.dtype in ("float32", "uint8") and not is_open
    image = (drawable and _drawing(shape)) or _picture(port.type)
    if image:
        return {**base, **image}
    return {**base, "kind": "numbers" if size <= NUMBER_BOXES and not is_open else "list"}


def _drawing(shape: list[int]) -> dict[str, Any] | None:
    """The size of an image with one channel, small enough to be drawn; None if it is not one."""
    core = shape[next((i for i, d in enumerate(shape) if d != 1), len(shape)):]
    if len(core) == 3 and core[-1] == 1:
        core = core[:2]
    if len(core) == 2 and min(core) >= 5 and max(core) <= MAX_DRAWING:
        return {"kind": "drawing", "height": core[0], "width": core[1]}
    return None


def _picture(type_: TensorType) -> dict[str, Any] | None:
    """The sides of a picture, 0 for one that may be any; None where the module takes none."""
    layout = picture_layout(type_)
    if not layout:
        return None
    sides = [type_.shape[layout.index(side)] for side in "HW"]
    height, width = (side if isinstance(side, int) else 0 for side in sides)
    return {"kind": "picture", "height": height, "width": width}


def _input(port: Port, options: PageOptions) -> dict[str, Any]:
    found = control(port)
    low, high = options.ranges.get(port.name) or _range(port, found["kind"])
    found |= {"low": low, "high": high, "labels": list(options.labels.get(port.name, ()))}
    example = options.examples.get(port.name)
    if example is not None:
        values = np.asarray(example)
        found["example"] = np.ravel(values).tolist()
        if found["open"] and values.ndim:
            found["shape"][-1] = int(values.shape[-1])
    elif found["kind"] in ("numbers", "list"):
        found["example"] = _start(port, found, (low, high))
    return found


def _range(port: Port, kind: str) -> tuple[float, float]:
    if port.type.dtype == "uint8":
        return 0.0, 255.0
    return (0.0, 1.0) if kind in ("drawing", "picture") else (-1.0, 1.0) if kind == "list" and \
        port.type.dtype == "float32" else (0.0, 2.0)


def _start(port: Port, found: dict[str, Any], limits: tuple[float, float]) -> list[float]:
    """Values to begin with: ones in boxes, random ones in a list."""
    size = int(np.prod(found["shape"], dtype=np.int64))
    if found["kind"] == "numbers":
        return [1] * size
    flat = Port(port.name, TensorType(port.type.dtype, (size,)), port.buffer)
    values = golden_inputs([flat], 1, {}, {port.name: limits})[port.name]
    return [round(float(v), 3) if values.dtype == np.float32 else int(v) for v in values]
