"""The stages of a compilation between a traced graph and a module, timed and reported."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from transpile.errors import ShapeError, UnsupportedError
from transpile.ir.dims import Dim, evaluate
from transpile.ir.graph import all_graphs
from transpile.ir.types import narrow_array
from transpile.report import Progress, Report, silent, sizes_of

if TYPE_CHECKING:
    from transpile.emit.golden import Golden
    from transpile.emit.options import EmitOptions, EmittedModule, PageOptions
    from transpile.ir.graph import Graph
    from transpile.module import Module
    from transpile.passes.compress import Compressed, Storage
    from transpile.passes.manager import PassRecord
    from transpile.program import Program

TARGET_GLOBALS = {"wasm": frozenset({"WebAssembly", "parseInt"}),
                  "webgl": frozenset({"MessageChannel", "OffscreenCanvas", "document",
                                      "performance", "setTimeout"})}
"""What a target's part of a module uses besides the globals of every module."""

FILE_GLOBALS = frozenset({"URL", "__filename", "document", "fetch", "import()", "process"})
"""What reads weights from a file beside the module: nothing else may reach the network."""

THREAD_GLOBALS = frozenset({"Atomics", "SharedArrayBuffer", "URL", "Worker", "__filename",
                            "clearTimeout", "crossOriginIsolated", "document", "import()",
                            "location", "process", "self", "setTimeout"})
"""What starts workers from the module's own file; `import()` is of Node's worker_threads."""

PICTURE_GLOBALS = frozenset({"OffscreenCanvas", "document"})
"""What reads pictures that are given as inputs."""

Ranges = Mapping[str, tuple["float | None", "float | None"]]
Labels = Sequence[str] | Mapping[str, Sequence[str]]


class Stages:
    """Seconds by stage; tells `progress` when one begins."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress: Progress = progress or silent
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.progress(name, 0, 0)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Request:
    """A traced graph and all that is asked for it; `make_module` answers."""

    graph: Graph
    targets: tuple[str, ...]
    format: str
    minify: bool
    labels: Mapping[str, Sequence[str]]
    ranges: Ranges
    original: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]] | None
    content_hash: str
    targets_given: bool = True
    weights: Storage = "float32"
    weights_file: bool = False
    threads: bool = False
    compute: str = "float32"
    winograd: bool = True
    strassen: bool = True
    relaxed_simd: bool = False
    state: Mapping[str, str] = field(default_factory=dict)
    declined: str = ""
    fitted: str = ""


TINY = 2000
"""Operations a run up to which plain JS is as fast as any other target, and much smaller."""


def is_tiny(program: Program) -> bool:
    """True if a run with every named dimension at 1 is too little work for another target."""
    return max(evaluate(program.flops, dict.fromkeys(program.dims, 1)), 0) <= TINY


def request(graph: Graph, model: Any, *, targets: Sequence[str] | None = None,
            weights: str = "float32", weights_file: bool = False, name: str | None = None,
            format: str = "esm", minify: bool = False, labels: Labels | None = None,
            threads: bool = False, compute: str = "float32", winograd: bool = True,
            strassen: bool = True, relaxed_simd: bool = False,
            state: Mapping[str, str] | None = None) -> Request:
    """Check the options, and hash them with the graph.

    Raises:
        ShapeError: labels or state that do not fit the graph.
        UnsupportedError: a target, format or weight dtype that does not exist, or a target that
            lacks what is asked for.
    """
    from transpile.passes.compress import STORAGES
    from transpile.passes.int8 import COMPUTES
    from transpile.state import check_state
    from transpile.targets import TARGETS
    wanted = tuple(targets or (n for n, t in TARGETS.items() if t.cpu))
    if not any(n in TARGETS and TARGETS[n].cpu for n in wanted):
        wanted = ("js", *wanted)  # what a module falls back to
    _known("target", wanted, tuple(TARGETS))
    wanted = tuple(n for n in TARGETS if n in wanted)  # from slow to fast
    _known("weight dtype", (weights,), STORAGES)
    _known("arithmetic", (compute,), COMPUTES)
    _known("format", (format,), ("esm", "cjs", "iife", "html"))
    _check_integers(wanted, compute)
    wanted, declined = _able(graph, wanted)
    graph = replace(graph, name=name) if name else graph
    bound = check_state(graph, state or {})
    by_output = _labels(graph, labels or getattr(model, "labels", None))
    options = {"targets": wanted, "format": format, "minify": minify, "weights": weights,
               "weights_file": weights_file, **({"threads": True} if threads else {}),
               **({"compute": compute} if compute != "float32" else {}),
               **({} if winograd else {"winograd": False}),
               **({} if strassen else {"strassen": False}),
               **({"relaxed_simd": True} if relaxed_simd else {}),
               **({"state": bound} if bound else {}),
               "labels": {k: list(v) for k, v in by_output.items()}}
    return Request(graph, wanted, format, minify, by_output, input_ranges(model),
                   original_outputs(graph, model), hash_graph(graph, options), bool(targets),
                   weights, weights_file, threads,  # type: ignore[arg-type]
                   compute, winograd, strassen, relaxed_simd, bound, declined,
                   getattr(model, "fitted", ""))


def _able(graph: Graph, wanted: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The targets that can run the graph, and why others are left out.

    A GPU's draws are listed before a run: what is decided during it stays on the CPU.
    """
    from transpile.ir.control import REGIONS
    from transpile.targets import TARGETS
    found = [n for n in graph.nodes if n.op in REGIONS]
    able = tuple(t for t in wanted if TARGETS[t].cpu or not found)
    if able == wanted:
        return wanted, ""
    names = dict.fromkeys(n.op for n in found)
    return able, f"left out: the model has a {' and a '.join(names)} that is decided at run time"


def _known(kind: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    for one in wanted:
        if one not in known:
            raise UnsupportedError(f"there is no {kind} {one!r}",
                                   fix=f"use {' or '.join(known)}")


def _check_integers(targets: Sequence[str], compute: str) -> None:
    from transpile.targets import TARGETS
    narrow = [t for t in targets if not TARGETS[t].cpu]
    if compute == "int8" and narrow:
        raise UnsupportedError(
            f"{narrow[0]} does not compute in int8",
            why="its textures hold float32, which has no room for packed integers",
            fix="leave the target out, or store weights as int8 and compute in float32")


def _labels(graph: Graph, labels: Labels | None) -> Mapping[str, Sequence[str]]:
    if labels is None:
        return {}
    names = [name for name, _ in graph.outputs]
    by_output = labels if isinstance(labels, Mapping) else {names[0]: tuple(labels)}
    for name, given in by_output.items():
        if name not in names:
            raise ShapeError(f"labels are given for {name!r}, which is no output",
                             fix=f"the outputs are {', '.join(names)}")
        type_ = dict(graph.outputs)[name].type
        last = type_.shape[-1] if type_.shape else 1
        if type_.dtype == "float32" and isinstance(last, int) and given and len(given) != last:
            raise ShapeError(f"{len(given)} labels are given for {name}, which is {type_}",
                             fix=f"give {last}, one for each element of the last axis")
    return by_output


def hash_graph(graph: Graph, options: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of the graph's text, its constants, options and our version."""
    from transpile import __version__
    digest = hashlib.sha256(f"transpile {__version__}\n{graph}\n".encode())
    digest.update(json.dumps(options, sort_keys=True).encode())
    for node in dict.fromkeys(n for one in all_graphs(graph) for n in one.constants):
        digest.update(f"\n{node.name} {node.type} ".encode())
        digest.update(np.ascontiguousarray(node.value).data)
    return digest.hexdigest()


def input_ranges(model: Any) -> Ranges:
    """(low, high) by input name from the specs of a model; empty where it has none."""
    specs = getattr(model, "specs", None) or {}
    return {name: (spec.low, spec.high) for name, spec in specs.items()
            if getattr(spec, "low", None) is not None or getattr(spec, "high", None) is not None}


def original_outputs(graph: Graph, model: Any
                     ) -> Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]] | None:
    """The Python model as a function from arrays by input name to arrays by output name."""
    if not callable(model):
        return None

    def call(inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        with np.errstate(all="ignore"):
            result = model(*(inputs[node.name] for node in graph.inputs))
        arrays = (list(result.values()) if isinstance(result, Mapping) else list(result)
                  if isinstance(result, (tuple, list)) else [result])
        names = [name for name, _ in graph.outputs]
        return {n: narrow_array(a, n) for n, a in zip(names, arrays, strict=True)}
    return call


def make_module(asked: Request, stages: Stages) -> Module:
    """Lower `asked.graph` for each target and print the module."""
    from transpile.compile import lower_compressed
    from transpile.emit.check import check_module
    from transpile.emit.module import emit_module
    from transpile.module import Module
    from transpile.passes import run_pipeline
    from transpile.passes.int8 import quantise
    removed: Counter[str] = Counter()

    def observe(record: PassRecord, before: Graph, after: Graph) -> None:
        stages.progress(f"pass {record.name}", 0, 0)
        removed[record.name] += max(0, len(before.nodes) - len(after.nodes))

    with stages("lower"):
        integers = quantise(run_pipeline(asked.graph, observe)[0], asked.compute)
        stored = integers.stored(asked.weights)
        lower = partial(lower_compressed, stored, reuse=not asked.state, lasting=asked.state,
                        without=[n for n in ("winograd", "strassen") if not getattr(asked, n)])
        programs = lower(asked.targets, observe)
        if not asked.targets_given and is_tiny(programs[0]):
            asked = replace(asked, targets=asked.targets[:1])
            programs = lower(asked.targets)
        programs = tuple(replace(p, state=asked.state) for p in programs)
    with stages("golden values"):
        golden = golden_values(asked, programs[0], stored)
    options = emit_options(asked, golden)
    with stages("emit"):
        emitted = emit_module(programs, options)
    with stages("check"):
        code = emitted.code_without_weights
        check_module(code,
                     frozenset().union(*(TARGET_GLOBALS.get(t, ()) for t in asked.targets),
                                       FILE_GLOBALS if emitted.files else (),
                                       PICTURE_GLOBALS if "picture:" in code else (),
                                       THREAD_GLOBALS if asked.threads else ()))
    report = replace(_report(asked, programs, emitted, removed, stored, stages),
                     compute=integers.summary)
    return Module(asked.graph.name, emitted.text, emitted.dts, asked.format, report,
                  asked.content_hash, asked.graph, tuple(programs), options,
                  original=asked.original, ranges=asked.ranges, beside=emitted.files,
                  stored=stored if stored.changed else None)


def emit_options(asked: Request, golden: Golden) -> EmitOptions:
    """What `emit` needs to know besides the programs."""
    from transpile import __version__
    from transpile.emit.options import EmitOptions
    return EmitOptions(format=asked.format,  # type: ignore[arg-type]
                       content_hash=asked.content_hash, version=__version__, golden=golden,
                       minify=asked.minify, page=_page(asked), weights=asked.weights,
                       weights_file=asked.weights_file, threads=asked.threads,
                       compute=asked.compute, relaxed_simd=asked.relaxed_simd)


def _page(asked: Request) -> PageOptions:
    from transpile.emit.options import PageOptions
    ranges = {name: (low, high) for name, (low, high) in asked.ranges.items()
              if low is not None and high is not None}
    return PageOptions(title=asked.graph.name, labels=asked.labels, ranges=ranges)


def golden_values(asked: Request, program: Program, stored: Compressed) -> Golden:
    """Inputs for `selfTest` and what the reference gives for them."""
    from transpile.emit.golden import Golden, golden_inputs
    from transpile.verify.check import expected_outputs
    from transpile.verify.samples import random_inputs, sample_sizes
    sizes = sample_sizes(asked.graph, program.flops)[0]
    ranges = _golden_ranges(next(random_inputs(asked.graph, asked.ranges)))
    inputs = golden_inputs(program.inputs, 1, sizes, ranges)
    expected = expected_outputs(stored.rounded if stored.changed else asked.graph, inputs)
    floats = [e for e in expected.values() if e.wide.dtype.kind == "f"]
    return Golden({name: e.single for name, e in expected.items()}, 1, sizes, ranges,
                  rtol=max([1e-5, *(_one_digit(e.allowed.relative) for e in floats)]),
                  atol=max([1e-6, *(_one_digit(e.allowed.absolute) for e in floats)]))


def _golden_ranges(sample: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """[low, high) of each input; floats that have no range of their own lie in [-1, 1)."""
    return {name: (float(np.floor(a.min())), float(a.max()) + 1.0)
            for name, a in sample.items() if a.size and a.dtype.kind in "iu"}


def _one_digit(value: float) -> float:
    """`value` rounded up to one digit: short in the module, and the same on every machine."""
    if value <= 0 or not np.isfinite(value):
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(f"{np.ceil(value / power) * power:.0e}")


def winograd_summary(graph: Graph) -> str:
    """How many convolutions are Winograd's, by tile, and how many it would be too far off for."""
    from transpile.passes.winograd import CONVOLUTIONS, wanted_tiles
    tiles = Counter((n.attrs["stride"], n.attrs["tile"]) for n in graph.nodes
                    if n.op in CONVOLUTIONS)
    counts = [f"{count} with F({t}x{t})" + (f" and stride {stride}" if stride > 1 else "")
              for (stride, t), count in sorted(tiles.items())]
    refused = [n.name for n in graph.nodes if wanted_tiles(n)]
    counts += [f"too far off, so direct: {', '.join(refused)}"] if refused else []
    return _listed("convolutions", counts)


def strassen_summary(graph: Graph) -> str:
    """How many products multiply 49 pairs of blocks instead of 64, and what stayed as it is."""
    from transpile.passes.strassen import suits
    made = sum(n.op == "strassen_product" for n in graph.nodes)
    direct = [n.name for n in graph.nodes if suits(n)]
    counts = [f"{made} at 49/64 of the multiplications"] if made else []
    counts += [f"direct: {', '.join(direct)}"] if direct else []
    return _listed("products", counts)


def _listed(what: str, counts: Sequence[str]) -> str:
    return f"{what}: {', '.join(counts)}" if counts else ""


def _report(asked: Request, programs: Sequence[Program], emitted: EmittedModule,
            removed: Mapping[str, int], stored: Compressed, stages: Stages) -> Report:
    from transpile.emit.weights import Text
    first = programs[0]
    code, code_gzip = sizes_of(Text(emitted.code_without_weights))
    total, total_gzip = sizes_of(emitted.text)
    return Report(
        name=asked.graph.name, targets=asked.targets, code_bytes=code, code_gzip=code_gzip,
        weight_bytes=emitted.weight_bytes, total_bytes=total, total_gzip=total_gzip,
        memory=_plain(first.memory), flops=_plain(first.flops),
        kernels=sum(len(p.kernels) for p in programs), calls=sum(len(p.calls) for p in programs),
        removed={name: count for name, count in removed.items() if count},
        files=dict.fromkeys(emitted.files, emitted.weight_bytes),
        webgl=emitted.webgl or asked.declined, fitted=asked.fitted,
        winograd=winograd_summary(first.graph) if asked.winograd else "",
        strassen=strassen_summary(first.graph) if asked.strassen else "",
        stored=stored.bytes_by_storage, refused=tuple(t.name for t in stored.refused),
        seconds=dict(stages.seconds))


def _plain(value: Dim) -> int | str:
    return value if isinstance(value, int) else str(value)
