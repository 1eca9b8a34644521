"""The library: `compile`, `build`, `verify`, `trace`. Nothing here prints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transpile.depfile import write_depfile
from transpile.errors import SourceError, UnsupportedError, VerificationError
from transpile.frontends.foreign import adopt
from transpile.report import Progress
from transpile.stages import Stages, make_module, request

if TYPE_CHECKING:
    from transpile.ir.graph import Graph
    from transpile.module import Module
    from transpile.report import Report
    from transpile.stages import Request

FORMATS = {".js": "esm", ".mjs": "esm", ".cjs": "cjs", ".html": "html", ".htm": "html"}
"""The format that a file's suffix asks for."""


def trace(model: Any, inputs: Mapping[str, Any] | None = None) -> Graph:
    """The IR of `model`.

    Args:
        inputs: completes or overrides input types: `transpile.spec(...)`, `TensorType`, text
            such as `"float32[batch, 784]"`, or an example array, by input name.

    Raises:
        TraceError: the function does what cannot be compiled.
    """
    from transpile.model import trace as trace_model
    return trace_model(model, _typed(inputs))


def _typed(inputs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    from transpile.ir.types import TensorType
    if inputs is None:
        return None
    return {name: TensorType.parse(value) if isinstance(value, str) else value
            for name, value in inputs.items()}


def compile(model: Any, inputs: Mapping[str, Any] | None = None,  # noqa: A001
            targets: Sequence[str] | None = None, weights: str = "float32",
            name: str | None = None, *, format: str = "esm", minify: bool = False,
            weights_file: bool = False, threads: bool = False, compute: str = "float32",
            winograd: bool = True, strassen: bool = True, relaxed_simd: bool = False,
            state: Mapping[str, str] | None = None,
            labels: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
            node: str | None = None, progress: Progress | None = None) -> Module:
    """Compile `model` in memory, without running it.

    Args:
        model: a `transpile.model`, a function or object whose `inputs` are given, a model of
            PyTorch, Keras, scikit-learn or ONNX, or a path such as "net.onnx" or "app.py:net".
        inputs: see `trace`.
        targets: default: all there are.
        weights: how they are stored: "float32", "float16" or "int8". int8 is symmetric with a
            scale per output channel; what it would change too much is stored in float16.
        weights_file: put the weights into a file beside the module, which reads it at `load`.
        threads: `load({threads: n})` may share the work of a run among workers on wasm: under Node,
            and in pages that are crossOriginIsolated. Results do not depend on it.
        compute: "float32", or "int8": products with constant weights in integers, the weights int8
            and the rows int16; what that would change too much stays in float32. Not on webgl.
        winograd: False for direct 3x3 convolutions, which are slower and as accurate.
        strassen: False for direct products of large matrices, which are slower, and a few times
            as accurate.
        relaxed_simd: add a second wasm binary with fused multiply-adds, used where the engine has
            them; the last bits of results then depend on the processor.
        state: outputs by the input that they are bound to: what a run gives for the output, the
            next run finds in the input. It starts at zero, and stays in the module's memory.
        name: default: the model's Python name.
        format: "esm", "cjs", "iife" or "html".
        minify: comments and white space out.
        labels: names of the classes, for the first output or by output name: results hold the best
            of each row by name, and the html page shows them.
        node: the Node for `module.run`; default: see `transpile.verify.node.find_node`.
        progress: called with a stage, and how much of how much is done.

    Raises:
        TranspileError: any of the tree; see `transpile.errors`.
    """
    stages = Stages(progress)
    _, asked = _requested(
        model, inputs, stages, targets=targets, weights=weights, name=name, format=format,
        minify=minify, labels=labels, weights_file=weights_file, threads=threads,
        compute=compute, winograd=winograd, strassen=strassen, relaxed_simd=relaxed_simd,
        state=state)
    return replace(make_module(asked, stages), node=node)


def build(model: Any, out: str | os.PathLike[str], inputs: Mapping[str, Any] | None = None,
          targets: Sequence[str] | None = None, weights: str = "float32",
          format: str | None = None, verify: bool = True, samples: object = None,
          rtol: float | None = None, atol: float | None = None, minify: bool = False,
          labels: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
          depfile: str | os.PathLike[str] | None = None, node: str | None = None,
          progress: Progress | None = None, *, name: str | None = None, cache: bool = False,
          weights_file: bool = False, threads: bool = False, compute: str = "float32",
          winograd: bool = True, strassen: bool = True, relaxed_simd: bool = False,
          state: Mapping[str, str] | None = None,
          depends: Iterable[str | os.PathLike[str]] = (), verify_browser: bool = False
          ) -> Module | None:
    """Compile `model`, verify the module against it, and write it to `out`.

    The file appears whole and verified or not at all; declarations (`.d.ts`) lie beside it.

    Args:
        out: the format follows from its suffix unless `format` is given.
        verify: run the module under Node on random inputs and on `samples`.
        verify_browser: run targets such as webgl, too, in a Chromium or Chrome found here.
        samples: arrays by input name, the path of an `.npz`, or a list of these.
        rtol, atol: instead of the tolerance that follows from the model.
        depfile: where to write a Makefile rule with the files that `out` depends on.
        cache: leave `out` alone if its header carries the same content hash.
        depends: further files for the depfile.
        inputs, targets, weights, weights_file, threads, compute, winograd, strassen,
            relaxed_simd, state, minify, labels, node, progress, name: see `compile`.

    Returns:
        the module with its report, or None if `cache` found `out` up to date.

    Raises:
        VerificationError: the module disagrees with Python; there is no file at `out` then.
        TranspileError: any other of the tree.
    """
    path, stages = _place(out), Stages(progress)
    model, asked = _requested(
        model, inputs, stages, targets=targets, weights=weights, name=name, minify=minify,
        format=format or _format_of(path), labels=labels, weights_file=weights_file, state=state,
        threads=threads, compute=compute, winograd=winograd, strassen=strassen,
        relaxed_simd=relaxed_simd)
    if depfile is not None:
        write_depfile(Path(depfile), path, model, depends, samples)
    if cache and _carries(path, asked.content_hash):
        return None
    module = replace(make_module(asked, stages), node=node)
    if verify:
        module = _verified(module, path, stages, samples, rtol, atol, in_browser=verify_browser)
    module.save(path)
    return module


def _verified(module: Module, path: Path, stages: Stages, samples: object, rtol: float | None,
              atol: float | None, *, in_browser: bool) -> Module:
    """`module` with what verification found in its report; else nothing is left at `path`."""
    from transpile.verify.node import JavaScriptError
    try:
        with stages("verify"):
            found = module.verify(samples, targets=module.targets if in_browser else None,
                                  rtol=rtol, atol=atol, progress=stages.progress)
            found.check(module.name)
    except VerificationError:
        _remove(path)
        raise
    except JavaScriptError as error:
        _remove(path)
        raise VerificationError(f"{module.name} fails when it runs: {error.what}",
                                where=error.where, why=error.why) from error
    return replace(module, report=replace(module.report, verified=found.targets, loss=found.loss,
                                          seconds=stages.seconds))


def _remove(path: Path) -> None:
    """An older module would pass for the new one."""
    from transpile.module import declarations_path
    for old in filter(None, (path, declarations_path(path))):
        old.unlink(missing_ok=True)


def verify(out: str | os.PathLike[str], model: Any, inputs: Mapping[str, Any] | None = None,
           targets: Sequence[str] | None = None, samples: object = None,
           rtol: float | None = None, atol: float | None = None, node: str | None = None,
           progress: Progress | None = None) -> Report:
    """Run a module that was built before against its Python original again.

    Raises:
        VerificationError: they disagree.
        TranspileError: any other of the tree.
    """
    from transpile.emit.weights import Text
    from transpile.module import computed_as, files_beside, read_module, stored_as
    source, kind = read_module(Path(out))
    module = compile(model, inputs, targets, stored_as(source)[0], compute=computed_as(source),
                     node=node, progress=progress)
    module = replace(module, text=Text(source), format=kind,
                     beside={n: [data] for n, data in files_beside(Path(out), source).items()})
    stages = Stages(progress)
    with stages("verify"):
        found = module.verify(samples, targets=targets, rtol=rtol, atol=atol,
                              progress=stages.progress)
    found.check(str(out))
    return replace(module.report, verified=found.targets, loss=found.loss, seconds=stages.seconds)


def content_hash(model: Any, inputs: Mapping[str, Any] | None = None, **options: Any) -> str:
    """The hash that a module of `model` would carry in its header, for a build system's cache.

    It covers the traced graph, the weights, the options of `compile`, and transpile's version.
    """
    return _requested(model, inputs, Stages(None), **options)[1].content_hash


def _requested(model: Any, inputs: Mapping[str, Any] | None, stages: Stages,
               **options: Any) -> tuple[Any, Request]:
    """The model as one of ours, and what is asked for it, its graph traced."""
    with stages("trace"):
        model = adopt(model)
        graph = trace(model, inputs)
    return model, request(graph, model, **options)


def _place(out: str | os.PathLike[str]) -> Path:
    path = Path(out)
    if not path.parent.is_dir():
        raise SourceError(f"{path} cannot be written", why=f"there is no folder {path.parent}")
    return path


def _format_of(path: Path) -> str:
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise UnsupportedError(f"the format of {path} is unclear from its suffix",
                               fix=f"use one of {', '.join(FORMATS)}, or give the format"
                               ) from None


def _carries(path: Path, digest: str) -> bool:
    """True if the file at `path` was built from the same."""
    from transpile.module import stored_as
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    _, file = stored_as(text)
    return digest in text and (not file or path.with_name(file).is_file())


