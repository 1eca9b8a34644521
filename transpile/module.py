"""A compiled model in memory: its source, what is known of it, and how to run it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transpile.errors import SourceError
from transpile.report import Report

if TYPE_CHECKING:
    from transpile.emit.options import EmitOptions
    from transpile.emit.weights import Text
    from transpile.ir.graph import Graph
    from transpile.passes.compress import Compressed
    from transpile.program import Program
    from transpile.verify.check import VerificationReport

BROWSER_TARGETS = ("webgl", "webgpu")
MODULES = (".js", ".mjs", ".cjs", ".html", ".htm")

HEADER_LINES, LAST_LINE = 4000, "// content "
"""The comment at the top of a module ends with this line; in a page it comes after the styles."""

OWN_FILE = re.compile(r"[\w-]+\.[0-9a-f]{16}\.bin", re.ASCII)
"""What the file of weights beside a module is called."""

DECLARATIONS = {".js": ".d.ts", ".mjs": ".d.mts", ".cjs": ".d.cts"}


@dataclass(frozen=True)
class Module:
    """What `transpile.compile` returns.

    Attributes:
        text: the whole file: JavaScript, or an html page; `source` is it as a string.
        dts: TypeScript declarations of it.
        format: `esm`, `cjs`, `iife` or `html`.
        report: sizes, memory and work.
        content_hash: of the graph, the weights and the options; also in the file's header.
        graph: the model as traced.
        programs: one for each target.
        beside: what must lie beside it, by name, in pieces: the weights, if they were built as a
            file; `files` is it as bytes.
        stored: how weights are stored, where that is not simply float32.
        node_flags: further flags for Node.
    """

    name: str
    text: Text
    dts: str
    format: str
    report: Report
    content_hash: str
    graph: Graph = field(repr=False)
    programs: tuple[Program, ...] = field(repr=False)
    options: EmitOptions = field(repr=False)
    node: str | None = None
    original: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]] | None = field(
        default=None, repr=False)
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict,
                                                                    repr=False)
    beside: Mapping[str, Iterable[bytes]] = field(default_factory=dict, repr=False)
    stored: Compressed | None = field(default=None, repr=False)
    node_flags: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(p.target for p in self.programs)

    @property
    def source(self) -> str:
        """The whole file, made anew: of a large model it is larger than the weights."""
        return str(self.text)

    @property
    def files(self) -> dict[str, bytes]:
        """What must lie beside the module, by name, made anew."""
        return {name: b"".join(pieces) for name, pieces in self.beside.items()}

    @cached_property
    def debug_source(self) -> str:
        """The same module as esm, its `model.debug(inputs)` giving each kernel's output."""
        from transpile.emit.module import emit_module
        options = replace(self.options, format="esm", debug=True, minify=False,
                          weights_file=False, threads=False)
        return emit_module(self.programs, options).code

    def run(self, inputs: Mapping[str, object], target: str = "js", *,
            precision: str = "float32") -> dict[str, np.ndarray]:
        """The outputs by name, in the model's order, computed by the module itself.

        Args:
            inputs: arrays by name.
            target: under Node, or in a Chromium for `webgl` and `webgpu`.
            precision: what webgl keeps values in, "float32" or "half".

        Raises:
            JavaScriptError: the module refuses the inputs or lacks the target.
            DependencyError: Node or the browser is missing.
        """
        source, kind = runnable(self.source, self.format)
        found = run_source(source, kind, inputs, target, self.files, self.node, self.node_flags,
                           precision)
        order = [name for name, _ in self.graph.outputs]  # JavaScript puts names like "10" first
        return {name: found[name] for name in (*filter(found.__contains__, order), *found)}

    def steps(self, inputs: Mapping[str, object], target: str = "js"
              ) -> list[tuple[str, np.ndarray]]:
        """The label and output of every kernel call of a debug build, in order.

        Raises:
            JavaScriptError, DependencyError: see `run`.
        """
        if target in BROWSER_TARGETS:
            from transpile.verify.browser import shared_browser
            return shared_browser().debug(self.debug_source, inputs, target)
        from transpile.verify.node import shared_host
        return shared_host(self.node).debug(self.debug_source, inputs, target)

    def verify(self, samples: object = None, *, targets: Sequence[str] | None = None,
               rtol: float | None = None, atol: float | None = None,
               progress: Callable[[str, int, int], None] | None = None) -> VerificationReport:
        """Run the module against the graph and the Python model; see `verify_module`.

        Where weights are stored in fewer bits, the module is compared with the graph that has
        these weights, and what they cost is reported as `loss`.
        """
        from transpile.verify.check import verify_module

        def verified(module: Module, targets: Sequence[str] | None) -> VerificationReport:
            return verify_module(module, self.graph, samples, targets=targets, rtol=rtol, atol=atol,
                                 ranges=self.ranges, original=self.original, progress=progress,
                                 stored=self.stored)
        found = verified(self, targets)
        if found.ok and "webgl" in found.targets:
            from transpile.verify.half import HALF, half_result
            found = replace(found, targets={**found.targets, HALF: half_result(self, samples)})
        relaxed = self._relaxed() if "wasm" in found.targets else None
        if relaxed is None or not found.ok:
            return found
        more = verified(relaxed, ("wasm",))
        return replace(found, failures=more.failures, targets={
            **found.targets, "wasm, relaxed SIMD": more.targets["wasm"]})

    def _relaxed(self) -> Module | None:
        """The module under a Node with relaxed SIMD, where its own has that only when told so."""
        if not self.options.relaxed_simd or self.node_flags:
            return None
        from transpile.verify.node import relaxed_simd_flags
        flags = relaxed_simd_flags(self.node)
        return replace(self, node_flags=flags) if flags else None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the module, its declarations and files beside it; whole or not at all.

        The file of weights of a module that was there before goes, unless another module has it.
        """
        path = Path(path)
        former = _file_of_weights(path)
        for name, pieces in self.beside.items():
            write_atomically(path.with_name(name), pieces)
        declarations = declarations_path(path)
        if declarations and self.format != "html":
            write_atomically(declarations, [self.dts.encode()])
        write_atomically(path, self.text)
        if former and not any(_file_of_weights(p) == former for p in path.parent.iterdir()
                              if p.suffix in MODULES):
            former.unlink(missing_ok=True)


def _file_of_weights(path: Path) -> Path | None:
    """The file of weights that the module at `path` names as its own, if there is one."""
    try:
        with path.open(encoding="utf-8") as file:
            header = "".join(takewhile(lambda line: not line.startswith(LAST_LINE),
                                       islice(file, HEADER_LINES)))
    except (OSError, UnicodeDecodeError):
        return None
    name = stored_as(header)[1] if "made by transpile" in header else ""
    return path.with_name(name) if OWN_FILE.fullmatch(name) else None


def declarations_path(path: Path) -> Path | None:
    """Where TypeScript looks for the declarations of `path`; None if it has none."""
    suffix = DECLARATIONS.get(path.suffix)
    return path.with_suffix(suffix) if suffix else None


def write_atomically(path: Path, pieces: Iterable[bytes]) -> None:
    """Write beside `path` first, then rename: readers see the old file or the new one.

    Raises:
        SourceError: the folder is missing or cannot be written.
    """
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise SourceError(f"{path} cannot be written", why=error.strerror or str(error)) from None


def read_module(path: Path) -> tuple[str, str]:
    """The source and format of a built file, ready for Node; of a page its script.

    Raises:
        SourceError: it cannot be read, or transpile did not make it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read", why=str(error)) from None
    if "made by transpile" not in text:
        raise SourceError(f"{path} is not a module that transpile made",
                          fix="build one with transpile build")
    return runnable(text, _format(path, text))


def stored_as(source: str) -> tuple[str, str]:
    """How a built module stores its weights, and the name of their file or nothing."""
    found = re.search(r"^// weights +(\w+)(?: (\S+))?$", source, re.MULTILINE)
    return (found[1], found[2] or "") if found else ("float32", "")


def computed_as(source: str) -> str:
    """The arithmetic of a built module's products."""
    found = re.search(r"^// compute +(\w+)$", source, re.MULTILINE)
    return found[1] if found else "float32"


def files_beside(path: Path, source: str) -> dict[str, bytes]:
    """The files that a built module needs beside it.

    Raises:
        SourceError: one is missing.
    """
    _, name = stored_as(source)
    try:
        return {name: path.with_name(name).read_bytes()} if name else {}
    except OSError as error:
        raise SourceError(f"{path.with_name(name)} cannot be read", where=str(path),
                          why=error.strerror or str(error),
                          fix="put the file of weights beside the module, or build it again"
                          ) from None


def run_source(source: str, format: str, inputs: Mapping[str, object], target: str,
               files: Mapping[str, bytes], node: str | None = None,
               node_flags: tuple[str, ...] = (), precision: str = "float32"
               ) -> dict[str, np.ndarray]:
    """The outputs by name of a module's source, where its target runs; see `Module.run`.

    Args:
        format: `esm`, `cjs` or `iife`.
        files: what lies beside it, by name.
        node_flags: further flags for Node.
        precision: what webgl keeps values in, "float32" or "half".
    """
    if target in BROWSER_TARGETS:
        from transpile.verify.browser import shared_browser
        return shared_browser().run(as_es_module(source, format), inputs, target,
                                    files=files, precision=precision)
    from transpile.verify.node import shared_host
    return shared_host(node, node_flags).run(source, inputs, target, format, files=files)


def as_es_module(source: str, format: str) -> str:
    """A module of any format as one that a browser imports; its own text stays as it is."""
    if format == "esm":
        return source
    if format == "cjs":
        return f"const module = {{}};\n{source}\nexport {{ load, predict, inputs, outputs }};\n"
    found = re.search(r"^(?:const|let|var)\s+([\w$]+)\s*=", source, re.MULTILINE)
    name = found[1] if found else "undefined"
    return f"{source}\nexport const {{ load, predict, inputs, outputs }} = {name};\n"


def _format(path: Path, text: str) -> str:
    if path.suffix in (".html", ".htm"):
        return "html"
    tail = text[-400:]
    if re.search(r"\bexport\s*\{", tail):
        return "esm"
    return "cjs" if "module.exports" in tail else "iife"


def runnable(source: str, format: str) -> tuple[str, str]:
    """`source` as Node runs it: a page's own script, all else as it is."""
    if format != "html":
        return source, format
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", source, re.DOTALL)
    found = next((s for s in scripts if "load" in s and "predict" in s), None)
    if found is None:
        raise SourceError("the page holds no module")
    return found, "iife"
