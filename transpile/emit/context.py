"""What the module template is filled with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from transpile.emit.bind import binders
from transpile.emit.golden import SAMPLES, Golden, golden_inputs, input_range
from transpile.emit.layout import (
    ARRAYS,
    VIEWS,
    element_offset,
    js_dim,
    memory_table,
    shape_list,
    shape_metadata,
    views_needed,
)
from transpile.emit.names import WINDOW, Namespace, comment_text, js_key, js_member, js_string
from transpile.emit.options import EmitOptions, KernelPrinter
from transpile.emit.page import page_names
from transpile.emit.pictures import picture_layout
from transpile.emit.runtime import declarations, inline, words
from transpile.emit.state import STATE_NAMES, state_section
from transpile.emit.tasks import TaskPrinter
from transpile.emit.weights import PLACEHOLDER, is_literal, number, number_list
from transpile.ir.dims import Dim, evaluate
from transpile.ir.limits import size_limits
from transpile.program import Call, Port, Program
from transpile.targets.wasm.encoder import SHARED_FLAG, SHARED_MEMORY
from transpile.targets.wasm.threads import CONTROL, WORTH_WAKING, Team

_OWN_WORDS = """
inputs outputs createHeap weights compute load predict shared heap trace bytes buffer options target
reuse onProgress wasm binary skipped memory step last prepare old given values result label kernel
dtype view at shape steps data callSteps namedDraws shaders drawPlan textureWeights gpu queue
begin job work finish dims weightsFile script openGpu giveUp opening selfTest dispose
f32 i32 u8
"""

OWN_NAMES = _OWN_WORDS.split()
"""Names that the template uses."""

THREAD_NAMES = """
threads room clearTimeout crossOriginIsolated location setTimeout Atomics Int32Array
SharedArrayBuffer URL WebAssembly Worker
""".split()
"""Names that the template uses besides where threads are asked for."""

GOLDEN_NUMBERS = 16
"""Up to so many golden inputs stand in the code as numbers; more come from the generator."""


SCRIPT_URLS = {
    "esm": "scriptUrl(new Error().stack)",
    "cjs": "typeof __filename === 'string' ? `file://${__filename}` : ''",
    "iife": "typeof document === 'object' && document.currentScript ? "
            "document.currentScript.src : ''",
    "html": "''"}
"""Where the module itself lies, by format; empty: what it loads is relative to the page."""


class Context:
    """Names and texts for one program; `values()` is the template's input."""

    def __init__(self, program: Program, options: EmitOptions, printer: KernelPrinter,
                 binaries: Mapping[str, bytes], gpu: Program | None = None,
                 weights_file: str = "", threaded: Team | None = None) -> None:
        self.gpu, self.weights_file = gpu, weights_file
        self.program, self.options, self.printer = program, options, printer
        self.wasm, self.relaxed = binaries.get("wasm", b""), binaries.get("relaxed", b"")
        self.threaded = threaded
        own = [*OWN_NAMES, *(THREAD_NAMES if options.threads else ()),
               *(STATE_NAMES if program.state else ()),
               *(["relaxedBinary"] if self.relaxed else ()),
               *(("labels", "top") if any(options.page.labels.values()) else ())]
        self.names = Namespace([*own, *declarations()])
        self.dims = [self.names.get(d, ("dim", d)) for d in program.dims]
        self.buffers = {b.name: b for b in program.buffers}
        wanted = options.global_name or program.name
        self.global_name = Namespace([*OWN_NAMES, *WINDOW, *page_names()]).get(wanted)

    def dim_name(self, name: str) -> str:
        """The JS variable of a named dimension."""
        return self.names.get(name, ("dim", name))

    def js(self, value: Dim) -> str:
        return js_dim(value, self.dim_name)

    def values(self) -> dict[str, Any]:
        """Everything that `module.js.j2` names."""
        program = self.program
        kernels = [self.kernel(k) for k in program.kernels if program.target == "js"]
        tasks = TaskPrinter(program, self.buffers, self.call, self.dim_name, self.options.debug,
                            program.target == "js", bool(self.wasm))
        webgl = self.webgl()
        values = {
            "inputs": [self.input(i, p, webgl) for i, p in enumerate(program.inputs)],
            **self.pictures(webgl),
            "outputs": [self.output(p) for p in program.outputs],
            "labels": any(self.options.page.labels.values()),
            "dims": self.dims, "target": program.target, "kernels": kernels,
            "prepare": [self.call(c) for c in program.prepare],
            "calls": list(tasks.lines(program.tasks)), "debug": self.options.debug,
            "steps": tasks.steps() if self.options.steps else [],
            "js": program.target == "js", "wasm": self.wasm.hex(),
            "relaxed": self.relaxed.hex(),
            "golden": self.golden(), **self.memory(), **self.weights(), **self.binding(),
            **self.compute(), **self.dispatch(), "webgl": webgl,
            "asked_threads": self.options.threads, "team": self.team(),
            "state": state_section(program, self.dim_name),
        }
        values["runtime"] = self.runtime(values)
        return values

    def port(self, port: Port) -> dict[str, str]:
        """An input or output: its metadata, and where it lies."""
        bound = {**self.program.state, **{o: i for i, o in self.program.state.items()}}
        state = f", state: {js_string(bound[port.name])}" if port.name in bound else ""
        return {"key": js_string(port.name), "prop": js_key(port.name),
                "member": js_member(port.name), "dtype": port.type.dtype,
                "view": VIEWS[port.type.dtype], "meta": shape_metadata(port.type),
                "state": state, "more": "",
                "at": self.js(element_offset(self.buffers[port.buffer])),
                "size": self.js(port.type.size), "shape": shape_list(port.type, self.dim_name)}

    def output(self, port: Port) -> dict[str, str]:
        """An output: what every port has, and its labels."""
        labels = self.options.page.labels.get(port.name, ())
        return {**self.port(port), "labels": ", ".join(map(js_string, labels))}

    def input(self, index: int, port: Port, webgl: Mapping[str, Any] | None) -> dict[str, Any]:
        """An input: what every port has, and how it takes pictures."""
        layout = picture_layout(port.type)
        more = f", picture: '{layout}'" if layout else ""
        if layout and port.type.dtype == "float32":
            low, high = self.options.page.ranges.get(port.name, (0.0, 1.0))
            more += f", range: [{number(np.float32(low))}, {number(np.float32(high))}]"
        texture = webgl["direct"].get(port.name) if webgl else None
        return {**self.port(port), "index": index, "more": more,
                "source": "" if texture is None else f"sources[{texture}]"}

    def pictures(self, webgl: Mapping[str, Any] | None) -> dict[str, str]:
        """The inputs with pictures among them read, and those that the GPU reads itself."""
        if not any(picture_layout(p.type) for p in self.program.inputs):
            return {"pictures": "", "direct": ""}
        direct = ", ".join(map(js_string, webgl["direct"])) if webgl else ""
        choice = f", gpu && !onCpu ? [{direct}] : []" if direct else ""
        return {"pictures": f"takePictures(inputs, given{choice})", "direct": direct}

    def kernel(self, kernel: Any) -> dict[str, Any]:
        """A kernel's function and the comment above it."""
        name = self.names.get(kernel.name, ("kernel", kernel.name))
        source = self.printer(kernel, name)
        formula, where = comment_text(kernel.formula), comment_text(kernel.where)
        return {"source": source.rstrip() + "\n",
                "comment": [f"{formula:60}  {where}".strip()] if formula or where else []}

    def call(self, call: Call) -> dict[str, str]:
        """A line of `compute`, and its parts."""
        kernel = next(k for k in self.program.kernels if k.name == call.kernel)
        offsets = [self.js(element_offset(self.buffers[a])) for a in call.args]
        dims = [str(call.sizes[d]) if d in call.sizes else self.dim_name(d) for d in kernel.dims]
        name = self.names.get(kernel.name, ("kernel", kernel.name))
        shared = sum(c.kernel == call.kernel for c in self.program.calls) > 1
        comment = comment_text(call.formula if shared and call.formula else call.label)
        text = f"{name}({', '.join(['heap', *offsets, *dims])})"
        # The output; what is written after it is scratch memory.
        written = next(b for b, a in zip(call.args, kernel.args, strict=True) if a.written)
        return {"text": text, "line": f"{text};", "written": written, "name": name,
                "comment": "" if comment == name else comment}

    def compute(self) -> dict[str, str]:
        params = ", ".join(["heap", *self.dims])
        wasm = ["wasm"] if self.wasm else []
        return {"compute_params": params, "compute_args": params,
                "step_params": ", ".join(["heap", *wasm, *self.dims])}

    def dispatch(self) -> dict[str, str]:
        """How a run and the preparation of weights are called: in JS, in wasm, or as it is found.

        WebAssembly has all addresses in its own `run`.
        """
        in_js = self.program.target == "js"
        args = ", ".join(self.dims)
        run = f"compute({self.compute()['compute_args']})"
        prepare = "prepare(heap)"
        if self.wasm:
            fast = self.run_of_threads() if self.threaded else f"wasm.exports.run({args})"
            run = f"if (wasm) {fast};\n    else {run}" if in_js else fast
            made = "wasm.exports.prepare()"
            prepare = f"if (wasm) {made};\n  else {prepare}" if in_js else made
        names = ["auto", *self.targets]
        return {"compute_call": run, "prepare_call": prepare,
                "target_names": "[" + ", ".join(f"'{n}'" for n in names) + "]"}

    @property
    def targets(self) -> list[str]:
        """What `load` takes besides 'auto'."""
        return [*(["js"] if self.program.target == "js" else []), *(["wasm"] if self.wasm else []),
                *(["webgl"] if self.gpu else [])]

    def run_of_threads(self) -> str:
        """The call of a run for however many threads there are, where it is worth it."""
        assert self.threaded
        base = "bytes" if self.dims else str(self.first_bytes())
        work = self.threaded.work
        worth = "true" if isinstance(work, int) else f"{self.js(work)} >= {WORTH_WAKING}"
        return f"runThreads(wasm, [{', '.join([*self.dims, base])}], {worth})"

    def team(self) -> dict[str, Any] | None:
        """What the start of threads needs to know, if they share anything."""
        if self.threaded is None:
            return None
        name = f"{self.program.name} {self.options.content_hash[:16]}".rstrip()
        return {"control": CONTROL, "scratch": self.threaded.scratch,
                "shared_at": self.wasm.index(SHARED_MEMORY) + SHARED_FLAG,
                "grows": "true" if self.dims else "false", "name": js_string(name),
                "type": "module" if self.options.format == "esm" else "classic"}

    def first_bytes(self) -> int:
        """Memory to begin with, in whole cache lines if threads share it."""
        program = self.program
        # A size such as `length - 4` is negative where the name is 1; the weights need room.
        smallest = max(evaluate(program.memory, dict.fromkeys(program.dims, 1)),
                       program.persistent_bytes, program.load_bytes)
        line = 64 if self.threaded else 16
        return max(line, -(-smallest // line) * line)

    def webgl(self) -> dict[str, Any] | None:
        """The WebGL part, if there is one."""
        if self.gpu is None:
            return None
        from transpile.emit.webgl import WebglSection
        from transpile.targets.glsl.programs import plan_webgl
        return WebglSection(plan_webgl(self.gpu.graph, merged=not self.options.debug),
                            self.program, self.dim_name,
                            lambda n: self.names.get(n, ("webgl", n))).values()

    def memory(self) -> dict[str, Any]:
        """Sizes, views, and the table of buffers."""
        program = self.program
        base64 = bool(program.weights) and not is_literal(program)
        views = views_needed(program, base64=base64 or bool(program.state))
        return {"memory": self.js(program.memory), "memory_text": comment_text(str(program.memory)),
                "memory_rows": [comment_text(r) for r in memory_table(program)],
                "heap_views": ", ".join(f"{v}: new {ARRAYS[v]}(buffer)" for v in views),
                "any_view": views[0], "first_bytes": self.first_bytes()}

    def weights(self) -> dict[str, Any]:
        """The weights as lines of numbers, or the length of their base64."""
        program = self.program
        lines = []
        for name, array in program.weights.items() if is_literal(program) else ():
            buffer = self.buffers[name]
            view = VIEWS[buffer.type.dtype]
            lines.append(f"{view}.set([{number_list(array)}], {element_offset(buffer)});"
                         f"  // {comment_text(f'{name} {buffer.type}')}")
        size = 0 if is_literal(program) or self.weights_file else program.weight_bytes
        end = program.weight_offset + program.weight_bytes
        return {"weight_lines": lines, "placeholder": PLACEHOLDER,
                "weights_file": self.weights_file, "weight_end": end,
                "script_url": SCRIPT_URLS[self.options.format],
                "weight_bytes": program.weight_bytes, "weight_offset": program.weight_offset,
                "persistent_bytes": program.persistent_bytes, "base64_length": -(-size // 3) * 4}

    def binding(self) -> dict[str, Any]:
        """How dimensions follow from the shapes of the inputs, and which do not fit."""
        given = [(p, f"values[{i}].shape") for i, p in enumerate(self.program.inputs)
                 if p.name not in self.program.state]
        found = binders(self.program.dims, [p for p, _ in given], [s for _, s in given],
                        self.dim_name)
        limits = [(self.js(size), self.js(most), js_string(str(size)))
                  for size, most in size_limits(self.program.graph)]
        return {"binders": list(zip(self.dims, found, strict=True)), "limits": limits}

    def golden(self) -> dict[str, Any] | None:
        """What `selfTest` runs on, as numbers or as a recipe, and what it compares."""
        golden = self.options.golden
        if golden is None:
            return None
        samples = [_sample(p.name, golden.outputs[p.name]) for p in self.program.outputs]
        return {"inputs": self._golden_inputs(golden), "samples": samples,
                "rtol": number(golden.rtol), "atol": number(golden.atol),
                "half_atol": number(golden.half_atol)}

    def _golden_inputs(self, golden: Golden) -> str:
        ports = self.program.inputs
        values = golden_inputs(ports, golden.seed, golden.dims, golden.ranges)
        if sum(v.size for v in values.values()) <= GOLDEN_NUMBERS:
            return "{ " + ", ".join(f"{js_key(n)}: {_nested(v)}" for n, v in values.items()) + " }"
        return f"goldenInputs({golden.seed}, [{', '.join(self._spec(p, golden) for p in ports)}])"

    def _spec(self, port: Port, golden: Golden) -> str:
        low, high = input_range(port, golden.ranges)
        shape = [evaluate(d, dict(golden.dims)) for d in port.type.shape]
        whole = [] if port.type.dtype == "float32" else ["true"]
        parts = [js_string(port.name), str(shape), number(low), number(high), *whole]
        return f"[{', '.join(parts)}]"

    def runtime(self, values: dict[str, Any]) -> str:
        """The runtime functions that this module reaches."""
        from transpile.emit.module import render
        code = render("module.js.j2", **{**values, "runtime": ""})
        return inline(words(code))


def _sample(name: str, output: np.ndarray) -> str:
    flat = np.ravel(output)
    stride = max(1, -(-flat.size // SAMPLES))
    return f"[{js_string(name)}, {stride}, [{number_list(flat[::stride])}]]"


def _nested(value: np.ndarray) -> str:
    if value.ndim == 0:
        return number(value)
    return "[" + ", ".join(map(_nested, value)) + "]"
