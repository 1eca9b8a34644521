"""Assembles an emitted module: header, memory plan, weights, kernels, load and run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from transpile.emit.names import comment_text
from transpile.emit.options import EmitOptions, EmittedModule, KernelPrinter
from transpile.emit.weights import PLACEHOLDER, Text, WeightData, file_name, is_literal
from transpile.errors import InternalError
from transpile.program import Program

if TYPE_CHECKING:
    from jinja2 import Environment


def emit_module(programs: Sequence[Program], options: EmitOptions | None = None) -> EmittedModule:
    """Print `programs`, one per target, as one JavaScript module.

    Raises:
        InternalError: a program breaks what the module relies on.
        UnsupportedError: an input shape leaves a dimension unknown.
    """
    from transpile.emit.context import Context
    from transpile.targets import TARGETS
    from transpile.targets.wasm.threads import team_of
    options = options or EmitOptions()
    program = programs[0]
    gpu = next((p for p in programs if p.target == "webgl"), None)
    options = replace(options, threads=options.threads and not options.debug)
    apart = options.weights_file and not is_literal(program)
    binaries = {p.target: assemble(p, steps=options.steps, threads=options.threads, apart=apart)
                for p in programs if (assemble := TARGETS[p.target].assemble)}
    binaries.update(_relaxed(programs, options, apart=apart))
    team = next((team_of(p) for p in programs if p.target == "wasm" and options.threads), None)
    data = WeightData(program)
    files = {file_name(program.name, data): data} if apart else {}
    context = Context(program, options, _printer(program.target, options.printers), binaries,
                      gpu, "".join(files), team)
    values = context.values()
    body = render("module.js.j2", **values)
    top = header(program, [p.target for p in programs], options, files)
    skeleton = _finish(top + body, context.global_name, options)
    made = _assemble(program, options, context, skeleton, data)
    return replace(made, files=files, webgl=(values["webgl"] or {}).get("summary", ""))


def _relaxed(programs: Sequence[Program], options: EmitOptions, *, apart: bool
             ) -> dict[str, bytes]:
    """The binary for engines with relaxed SIMD, if it is asked for."""
    from transpile.targets import TARGETS
    program = next((p for p in programs if p.target == "wasm" and options.relaxed_simd), None)
    assemble = TARGETS["wasm"].assemble
    return {"relaxed": assemble(program, steps=options.debug, threads=options.threads,
                                relaxed=True, apart=apart)} if program and assemble else {}


def _assemble(program: Program, options: EmitOptions, context: Any, skeleton: str,
              data: WeightData) -> EmittedModule:
    from transpile.emit.dts import declarations
    from transpile.emit.page import page
    code = skeleton
    if options.format == "html":
        code = page(program, options, context.global_name, code, context.targets)
    if not code.isascii():
        raise InternalError("the emitted module is not pure ASCII")
    return EmittedModule(Text.of(code, data), declarations(program, options, context.global_name,
                                              context.targets),
                         program.weight_bytes, skeleton.replace(PLACEHOLDER, ""),
                         context.global_name)


def _printer(target: str, given: Mapping[str, KernelPrinter]) -> KernelPrinter:
    if target in given:
        return given[target]
    from importlib import import_module
    printer: KernelPrinter = import_module(f"transpile.targets.{target}").print_kernel
    return printer


def header(program: Program, targets: Sequence[str], options: EmitOptions,
           files: Iterable[str] = ()) -> str:
    """The comment at the top; kept by minifiers."""
    def ports(which: Sequence[Any]) -> str:
        return ", ".join(f"{p.name}: {p.type}" for p in which)

    made = f"by transpile {options.version}".rstrip()
    weights = " ".join([options.weights, *files])
    rows = [("", f"{program.name}: made {made}"),
            ("source", options.source or program.origin), ("inputs", ports(program.inputs)),
            ("outputs", ports(program.outputs)),
            ("state", ", ".join(f"{i} = {o}" for i, o in program.state.items())),
            ("targets", ", ".join(targets)),
            ("weights", weights if weights != "float32" else ""),
            ("compute", options.compute if options.compute != "float32" else ""),
            ("licence", options.licence),
            ("content", options.content_hash)]
    return "".join(f"// {comment_text(f'{label:9}{text}' if label else text)}\n"
                   for label, text in rows if text) + "\n"


def _finish(code: str, global_name: str, options: EmitOptions) -> str:
    """`code` in its format, with the API handed out at the end."""
    api = "{ load, predict, inputs, outputs }"
    if options.format == "esm":
        code = f"{code}\nexport {api};\n"
    elif options.format == "cjs":
        code = f"'use strict';\n{code}\nmodule.exports = {api};\n"
    else:
        top, body = code.split("\n\n", 1)
        code = (f"{top}\n\nvar {global_name} = (function () {{\n'use strict';\n{body}\n"
                f"return {api};\n}})();\n")
    if options.minify:
        from transpile.emit.minify import minify
        code = minify(code)
    return code


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from pathlib import Path

    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    folder = Path(__file__).parent / "templates"
    return Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


def render(template: str, **values: Any) -> str:
    """A template of `emit/templates` filled in; nothing is escaped here."""
    return _environment().get_template(template).render(**values)
