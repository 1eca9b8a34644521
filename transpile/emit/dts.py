"""TypeScript declarations with the literal names and shapes of a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from transpile.emit.names import comment_text
from transpile.emit.options import EmitOptions
from transpile.emit.pictures import picture_layout
from transpile.ir.types import TensorType
from transpile.program import Port, Program

ARRAYS = {"float32": "Float32Array", "int32": "Int32Array", "uint8": "Uint8Array",
          "bool": "Uint8Array"}

SCALARS = {"float32": "number", "int32": "number", "uint8": "number", "bool": "boolean | number"}


def _string(text: str) -> str:
    return json.dumps(text)


def _shape(type_: TensorType) -> str:
    return "[" + ", ".join(str(d) if isinstance(d, int) else _string(str(d))
                           for d in type_.shape) + "]"


def _lengths(type_: TensorType) -> str:
    return "[" + ", ".join(str(d) if isinstance(d, int) else "number" for d in type_.shape) + "]"


def _input(port: Port, optional: bool) -> str:
    array, scalar = ARRAYS[port.type.dtype], SCALARS[port.type.dtype]
    arrays = f"{array} | Float64Array" if port.type.dtype == "float32" else array
    picture = " | Picture" if picture_layout(port.type) else ""
    return (f"  /** {comment_text(str(port.type))} */\n"
            f"  {_string(port.name)}{'?' * optional}: Value<{arrays}, {scalar}>{picture};\n")


def _output(port: Port, optional: bool, labels: Sequence[str]) -> str:
    more = "" if not labels else "; top: Ranked[][]" if port.type.dtype == "float32" else (
        "; names: string[]")
    return (f"  {_string(port.name)}{'?' * optional}: {{ data: {ARRAYS[port.type.dtype]}; "
            f"shape: {_lengths(port.type)}; dtype: \"{port.type.dtype}\"{more} }};\n")


def _metadata(port: Port, bound: Mapping[str, str]) -> str:
    state = f"; state: {_string(bound[port.name])}" if port.name in bound else ""
    return (f"{{ name: {_string(port.name)}; dtype: \"{port.type.dtype}\"; "
            f"shape: {_shape(port.type)}{state} }}")


def declarations(program: Program, options: EmitOptions, global_name: str,
                 targets: Sequence[str]) -> str:
    """The `.d.ts` of a module; of an iife or page: of its global."""
    from transpile.emit.module import render
    bare = "Inputs"
    state, results = program.state, {o: i for i, o in program.state.items()}
    needed = [p for p in program.inputs if p.name not in state]
    if len(needed) == 1:
        bare += f" | Inputs[{_string(needed[0].name)}]"
    return render("module.d.ts.j2", given=bare, pictures=any(
                      picture_layout(p.type) for p in program.inputs),
                  state=bool(state), optional="" if needed else "?",
                  inputs="".join(_input(p, p.name in state) for p in program.inputs),
                  outputs="".join(_output(p, p.name in results, options.page.labels.get(p.name, ()))
                                  for p in program.outputs),
                  labels=", ".join(f"{_string(p.name)}: string[]" for p in program.outputs
                                   if options.page.labels.get(p.name)),
                  input_list=", ".join(_metadata(p, state) for p in program.inputs),
                  output_list=", ".join(_metadata(p, results) for p in program.outputs),
                  target=" | ".join(f"'{t}'" for t in targets),
                  webgl="webgl" in targets, debug=options.debug, weights_file=options.weights_file,
                  threads=options.threads,
                  global_name=global_name,
                  is_global=options.format in ("iife", "html"))
