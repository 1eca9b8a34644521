"""A graph as draws: shaders shared between layers, textures planned and reused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import numpy as np

from transpile.fuse import Group, fuse
from transpile.ir.dims import Dim
from transpile.ir.graph import Graph, Node
from transpile.lower.legalize import Gather, NotGatherError, gathers
from transpile.lower.stmt import Kernel
from transpile.lower.storage import ROW_MAJOR, Storage
from transpile.targets.glsl.cpu import CpuCall, cpu_call, in_parts, tail_of
from transpile.targets.glsl.dealing import best_shader, most_targets
from transpile.targets.glsl.printer import HOLE, Source, print_shader
from transpile.targets.glsl.textures import Layout, Placed, layout_of, panel_layout

root = ROW_MAJOR.root

MOST_INPUTS = 16
"""Textures that a shader may read wherever WebGL2 works."""


@dataclass(frozen=True)
class Texture:
    """A 2D array texture of RGBA32F, or of RGBA32I for integers and bools."""

    is_float: bool
    width: Dim
    height: Dim
    layers: int


@dataclass(frozen=True)
class Draw:
    """One draw call.

    Attributes:
        program: number of the shader.
        inputs: texture numbers, in the order of the shader's samplers.
        written: where the result lies; all layers of its texture are drawn to.
        uniforms: the values of `u`.
        width, height: of the viewport.
    """

    program: int
    inputs: tuple[int, ...]
    written: Placed
    uniforms: tuple[Dim, ...]
    width: Dim
    height: Dim
    label: str
    formula: str = ""
    where: str = ""

    @property
    def output(self) -> int:
        return self.written.texture


@dataclass(frozen=True)
class WebglPlan:
    """Everything that the WebGL part of a module consists of.

    Attributes:
        shaders: fragment shaders without version line and precisions.
        textures: all that are ever allocated.
        weights: constants, uploaded once; `arrays` holds all constants by name.
        results: pairs of output name and where it lies, for those that draws make; see `tail`.
    """

    shaders: tuple[str, ...]
    textures: tuple[Texture, ...]
    weights: tuple[Placed, ...]
    arrays: dict[str, np.ndarray]
    inputs: tuple[Placed, ...]
    results: tuple[tuple[str, Placed], ...]
    draws: tuple[Draw | CpuCall, ...]

    @property
    def written(self) -> frozenset[int]:
        """Textures that are drawn to or read back: half floats, where nothing better is there."""
        drawn = [d.output for d in self.draws if isinstance(d, Draw)]
        made = [p.texture for d in self.draws if isinstance(d, CpuCall) for p, _ in d.written]
        return frozenset([*drawn, *made, *(p.texture for _, p in self.results)])

    @property
    def tail(self) -> CpuCall | None:
        """A call on the CPU after all draws, which gives results itself."""
        last = self.draws[-1] if self.draws else None
        return last if isinstance(last, CpuCall) and last.results else None

    @property
    def summary(self) -> str:
        """For reports: how much there is, and what runs on the CPU between draws."""
        calls = [d for d in self.draws if isinstance(d, CpuCall)]
        text = (f"{len(self.draws) - len(calls)} draws, {len(self.shaders)} programs, "
                f"{len(self.textures)} textures")
        texels = sum((t.width * t.height * t.layers for t in self.textures), 0)
        if isinstance(texels, int):
            text += f" of {texels * 16 / 1e6:.1f} MB"
        return text + (f"; in order: {', '.join(self.partition)}" if calls else "")

    @property
    def partition(self) -> list[str]:
        """In words, how many draws there are between calls on the CPU, and what these compute."""
        parts: list[str] = []
        for on_cpu, some in groupby(self.draws, lambda d: isinstance(d, CpuCall)):
            labels = [d.label for d in some]
            draws = f"{len(labels)} draw{'s' * (len(labels) > 1)}"
            parts += [f"{label} on the CPU" for label in labels] if on_cpu else [draws]
        return parts

    def stored(self, placed: Placed) -> np.ndarray:
        """A weight's values in the order in which they are uploaded."""
        value: np.ndarray = self.arrays[placed.name]
        if not placed.panel:
            return value
        columns = value.shape[-1]
        split = value.reshape(-1, columns // placed.panel, placed.panel)
        panels: np.ndarray = split.swapaxes(0, 1)
        return panels


@dataclass
class _Pass:
    """A pass before textures and programs are numbered."""

    output: Node
    reads: tuple[Node, ...]
    layout: Layout
    formula: str
    source: Source | None = None
    kernel: Kernel | None = None


def plan_webgl(graph: Graph, *, merged: bool = True) -> WebglPlan:
    """The draws of an optimised graph whose nodes have unique names.

    Args:
        merged: what runs on the CPU shares calls, and small last kernels run there; otherwise each
            kernel there has a call of its own, as those want who look at single steps.
    """
    from transpile.compile import panels_of
    from transpile.regions import Part
    from transpile.targets.webgl import WEBGL
    layouts: dict[Node, Layout] = {}
    groups = fuse(graph, pads_inside=True)
    panels = {n: w for n, w in panels_of(Part(graph, groups), WEBGL).items() if n.is_constant}
    for node in (*graph.inputs, *graph.constants):
        layouts[node] = panel_layout(node.type) if node in panels else layout_of(node.type)
    storage = Storage(panels)
    tail = tail_of(groups, lambda g: _on_cpu(g, layouts)) if merged else []
    found = [(g, _gathers(g, storage)) for g in groups[:len(groups) - len(tail)]]
    most = most_targets(g for _, some in found for g in some)
    passes = [p for group, some in found for p in _passes(group, some, layouts, most)] + tail
    shaders, *shared = share_programs([p.source for p in passes if p.source is not None])
    textures = _Textures()
    fixed = _used_constants(passes, graph)
    weights = tuple(replace(textures.add(n, layouts[n]), panel=panels.get(n, 0)) for n in fixed)
    inputs = tuple(textures.add(n, layouts[n]) for n in graph.inputs)
    draws = _draws(in_parts(passes, merged=merged), graph, textures, zip(*shared, strict=True),
                   direct=merged)
    results = tuple((name, textures.of[root(n)]) for name, n in graph.outputs
                    if root(n) in textures.of)
    values = {n.name: n.value for n in graph.constants}
    return WebglPlan(shaders, tuple(textures.slots), weights, values, inputs, results, draws)


def _draws(parts: Sequence[Sequence[_Pass]], graph: Graph, textures: _Textures,
           programs: Iterator[tuple[int, tuple[Dim, ...]]], *, direct: bool
           ) -> tuple[Draw | CpuCall, ...]:
    """Draws and calls with their textures; with `direct` a last call gives outputs itself."""
    draws: list[Draw | CpuCall] = []
    last = _last_reads(parts, graph)
    for step, part in enumerate(parts):
        on_cpu = part[0].kernel is not None
        outputs = _outputs_of(part, graph) if direct and on_cpu and part is parts[-1] else []
        written = [p for p in part if not on_cpu or (
            last.get(p.output, step) > step and not outputs)]
        for one in written:
            textures.reuse(one.output, one.layout)
        draws.append(cpu_call(part, textures.of, [p.output for p in written], outputs) if on_cpu
                     else _draw(part[0], textures.of, *next(programs)))
        for node in dict.fromkeys(n for p in part for n in (*p.reads, p.output)):
            if last.get(node, step) == step and not node.is_constant and node.op != "input":
                textures.release(node)
    return tuple(draws)


def _draw(one: _Pass, places: Mapping[Node, Placed], program: int, sizes: tuple[Dim, ...]) -> Draw:
    return Draw(program, tuple(places[n].texture for n in one.reads), places[one.output], sizes,
                one.layout.width, one.layout.height, one.output.name, one.formula,
                str(replace(one.output.where, part_of="")))


def _gathers(group: Group, storage: Storage) -> Sequence[Gather]:
    """The draws of a group; none where it must run on the CPU."""
    try:
        found = gathers(group, storage)
    except NotGatherError:
        return ()
    return found if all(len(g.inputs) <= MOST_INPUTS for g in found) else ()


def _passes(group: Group, found: Sequence[Gather], layouts: dict[Node, Layout], most: int
            ) -> Iterable[_Pass]:
    if not found:
        yield _on_cpu(group, layouts)
    for gather in found:
        reads = tuple(root(n) for n in gather.reads)
        known = {a.name: layouts[n] for a, n in zip(gather.inputs, reads, strict=True)}
        shader = best_shader(gather, known, most)
        layout = layouts[gather.output] = shader.layouts[gather.out.name]
        yield _Pass(gather.output, reads, layout, gather.formula, print_shader(shader))


def _on_cpu(group: Group, layouts: dict[Node, Layout]) -> _Pass:
    """The group as a kernel of the target js, on values row by row."""
    from transpile.compile import build_kernel
    from transpile.targets.js import JS
    kernel, nodes = build_kernel(group, JS, ROW_MAJOR)
    layouts[group.output] = layout_of(group.output.type)
    return _Pass(group.output, tuple(map(root, nodes)), layouts[group.output], kernel.formula,
                 kernel=kernel)


def _used_constants(passes: Sequence[_Pass], graph: Graph) -> list[Node]:
    read = dict.fromkeys(n for p in passes for n in p.reads
                         if n.is_constant and p.kernel is None)
    read.update(dict.fromkeys(root(n) for _, n in graph.outputs if root(n).is_constant))
    return list(read)


def _outputs_of(part: Sequence[_Pass], graph: Graph) -> list[tuple[str, Node]]:
    """The model's outputs that a part makes."""
    made = {p.output for p in part}
    return [(name, root(n)) for name, n in graph.outputs if root(n) in made]


def _last_reads(parts: Sequence[Sequence[_Pass]], graph: Graph) -> dict[Node, int]:
    last = {n: step for step, part in enumerate(parts) for p in part for n in p.reads}
    last.update({root(n): len(parts) for _, n in graph.outputs})
    return last


@dataclass
class _Textures:
    """Textures by number; a free one is reused by what fits, or grows for it."""

    slots: list[Texture] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    of: dict[Node, Placed] = field(default_factory=dict)

    def add(self, node: Node, layout: Layout) -> Placed:
        """A texture of its own."""
        self.slots.append(_texture(node, layout))
        return self._place(node, layout, len(self.slots) - 1)

    def reuse(self, node: Node, layout: Layout) -> Placed:
        """The free texture that has to grow least, if one is not much too large."""
        wanted = _texture(node, layout)
        found = [(g, n) for n in self.free if (g := _growth(self.slots[n], wanted)) is not None]
        if not found:
            return self.add(node, layout)
        number = min(found)[1]
        self.free.remove(number)
        self.slots[number] = _union(self.slots[number], wanted)
        return self._place(node, layout, number)

    def release(self, node: Node) -> None:
        if node in self.of:  # what stays on the CPU has none
            self.free.append(self.of[node].texture)

    def _place(self, node: Node, layout: Layout, number: int) -> Placed:
        self.of[node] = Placed(node.name, node.type, number, layout)
        return self.of[node]


def _texture(node: Node, layout: Layout) -> Texture:
    return Texture(node.dtype == "float32", layout.width, layout.height, layout.layers)


def _growth(old: Texture, wanted: Texture) -> int | None:
    """How many texels a texture must grow by to hold another one; None where it cannot."""
    if old.is_float != wanted.is_float or old.layers != wanted.layers:
        return None
    if (old.width, old.height) == (wanted.width, wanted.height):
        return -1
    both = _union(old, wanted)
    sizes = [t.width * t.height for t in (old, wanted, both)]
    if not all(isinstance(s, int) for s in sizes):
        return None
    before, needed, after = sizes
    assert isinstance(before, int) and isinstance(needed, int) and isinstance(after, int)
    return after - before if after <= before + needed else None


def _union(a: Texture, b: Texture) -> Texture:
    if (a.width, a.height) == (b.width, b.height):
        return a
    if not all(isinstance(d, int) for t in (a, b) for d in (t.width, t.height)):
        return a
    return replace(a, width=max(a.width, b.width),  # type: ignore[type-var]
                   height=max(a.height, b.height))  # type: ignore[type-var]


def share_programs(sources: Sequence[Source]
                   ) -> tuple[tuple[str, ...], list[int], list[tuple[Dim, ...]]]:
    """One shader for all sources of one form.

    Returns:
        the shaders, and for each source its shader's number and the values of `u`.
    """
    forms: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for k, source in enumerate(sources):
        forms.setdefault((source.text, source.functions), []).append(k)
    shaders: list[str] = []
    numbers = [0] * len(sources)
    uniforms: list[tuple[Dim, ...]] = [()] * len(sources)
    for (text, functions), members in forms.items():
        columns = list(zip(*(sources[k].holes for k in members), strict=True))
        names, kept = _uniform_names(columns)
        filled = tidied(HOLE.sub(partial(_filled, names), text))
        head = [f"uniform int u[{len(kept)}];"] if kept else []
        shaders.append("\n".join([*head, *_with_functions(filled, functions)]))
        for position, k in enumerate(members):
            numbers[k] = len(shaders) - 1
            uniforms[k] = tuple(column[position] for column in kept)
    return tuple(shaders), numbers, uniforms


def tidied(text: str) -> str:
    """Sums with a number that turned out to be negative or zero, as one writes them."""
    return re.sub(r" \+ 0(?=,)", "", re.sub(r"\+ -(?=\d)", "- ", text))


def _filled(names: Sequence[str], hole: re.Match[str]) -> str:
    return names[int(hole[1])]


def _uniform_names(columns: Sequence[tuple[Dim, ...]]) -> tuple[list[str], list[tuple[Dim, ...]]]:
    """What stands in each hole: a number that all draws share, or an element of `u`."""
    names: list[str] = []
    kept: list[tuple[Dim, ...]] = []
    for column in columns:
        if isinstance(column[0], int) and all(v == column[0] for v in column):
            names.append(str(column[0]))
            continue
        if column not in kept:
            kept.append(column)
        names.append(f"u[{kept.index(column)}]")
    return names, kept


def _with_functions(text: str, functions: Sequence[str]) -> list[str]:
    """The functions go between the declarations and the rest."""
    match = re.search(r"\n\n", text)
    assert match is not None
    return [text[:match.start()], *functions, text[match.end():]]
