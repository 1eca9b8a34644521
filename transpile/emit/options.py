"""What the caller of `emit_module` decides, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from transpile.emit.golden import Golden
from transpile.emit.weights import Text
from transpile.lower.stmt import Kernel

Format = Literal["esm", "cjs", "iife", "html"]

KernelPrinter = Callable[[Kernel, str], str]
"""`print_kernel(kernel, name)`: a function of the heap's views, the offsets, the dimensions."""


@dataclass(frozen=True)
class PageOptions:
    """What an html page shows besides what follows from the model.

    Attributes:
        title: default: the model's name.
        text: a paragraph below the title.
        labels: names of the elements of an output, by output name.
        ranges: [low, high] of the values of an input, by input name.
        examples: inputs to start with, by input name: nested lists or numbers.
    """

    title: str = ""
    text: str = ""
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    examples: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class EmitOptions:
    """How a module is written.

    Attributes:
        format: `esm`, `cjs`, `iife` (a classic script that sets one global), or `html`.
        source: `file.py:line` for the header; default: the program's origin.
        licence: of the model, for the header; left out if empty.
        content_hash: of the source graph and its weights, for the header.
        version: of transpile, for the header.
        golden: what `selfTest` compares; without it `selfTest` throws.
        debug: `model.debug(inputs)` exposes every kernel's output. Debug builds and pages have
            `model.steps(inputs)` and `model.memory`, to time single kernels.
        minify: comments and white space out; the weights stay as they are.
        global_name: of an iife; default: the model's name.
        page: for html.
        weights: how they are stored, for the header.
        weights_file: put them into a file beside the module.
        threads: `load({threads: n})` shares the work of a run; not in a debug build.
        compute: the arithmetic of products, for the header.
        relaxed_simd: a second wasm binary with the instructions of that proposal.
        printers: by target; default: those of `transpile.targets`.
    """

    format: Format = "esm"
    source: str = ""
    licence: str = ""
    content_hash: str = ""
    version: str = ""
    golden: Golden | None = None
    debug: bool = False
    minify: bool = False
    global_name: str = ""
    page: PageOptions = field(default_factory=PageOptions)
    weights: str = "float32"
    weights_file: bool = False
    threads: bool = False
    compute: str = "float32"
    relaxed_simd: bool = False
    printers: Mapping[str, KernelPrinter] = field(default_factory=dict)

    @property
    def steps(self) -> bool:
        """Whether the calls of a run can be made one by one."""
        return self.debug or self.format == "html"


@dataclass(frozen=True)
class EmittedModule:
    """A module as text, pure ASCII.

    Attributes:
        text: the whole file; for html the page.
        dts: TypeScript declarations; they fit esm and cjs, and the global of an iife.
        weight_bytes: size of the weights in memory.
        code_without_weights: JS for a parser: the script with the base64 chunks left out.
        global_name: what an iife or page declares.
        files: what must lie beside the module, by name, in pieces.
        webgl: the WebGL part in a few words; empty if there is none.
    """

    text: Text
    dts: str
    weight_bytes: int
    code_without_weights: str
    global_name: str
    files: Mapping[str, Iterable[bytes]] = field(default_factory=dict)
    webgl: str = ""

    @property
    def code(self) -> str:
        """The whole text, made anew."""
        return str(self.text)
