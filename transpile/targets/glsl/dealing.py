"""How many rows of its result an invocation computes: one, four or eight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from transpile.ir.dims import evaluate, names, product
from transpile.lower.expr import Load
from transpile.lower.legalize import Gather
from transpile.lower.stmt import For, Stmt
from transpile.lower.walk import children, own_exprs, parts
from transpile.targets.glsl.points import has_neighbours
from transpile.targets.glsl.shader import Shader, build_shader
from transpile.targets.glsl.textures import Layout, enough_rows, is_natural, layout_of

FEW, MANY = 4, 8
"""Render targets: what WebGL2 promises, and what most drivers take; see
`runtime_js/webgl_targets.js` for the others."""

WORTHWHILE = 1e8
"""Steps of a model's reductions from which it may use `MANY` targets: such shaders are longer, take
longer to compile, and the module must be able to divide them."""

LESS = 0.8
"""A longer shader must read less than this part of what the shorter one reads."""

LONG = 256
"""Steps that a loop over a named size is taken to have."""


def most_targets(found: Iterable[Gather]) -> int:
    """The number of targets that the passes of a model may use."""
    steps = 0
    for gather in found:
        reds = gather.nest.reds if gather.nest is not None else ()
        count = product(a.extent for a in (*gather.axes, *reds))
        steps += evaluate(count, dict.fromkeys(names(count), 1))
    return MANY if steps >= WORTHWHILE else FEW


def best_shader(gather: Gather, known: Mapping[str, Layout], most: int) -> Shader:
    """The shader of a pass and with it the layout of its result.

    Several rows where they share what they read, which is most of the time: contractions gain a
    quarter and more by `MANY`. These are taken also where `FEW` would read a little less, since
    layers share programs only if their operands lie alike. Several rows, too, where one layer has
    no room for a pixel in each row.
    """
    type_ = gather.output.type
    flat = layout_of(type_)
    layouts = [layout for layout in (layout_of(type_, n) for n in (FEW, MANY) if n <= most)
               if layout.layers > 1 and is_natural(layout, type_) and enough_rows(layout)
               and can_deal(gather, layout)]
    one = build_shader(gather, {**known, gather.out.name: flat})
    if not layouts:
        return one
    few, *many = (_shader(gather, known, layout) for layout in layouts)
    if is_natural(flat, type_) and _reads(few) > LESS * _reads(one):
        return one
    return many[0] if many and _reads(many[0]) < LESS * _reads(one) else few


def _shader(gather: Gather, known: Mapping[str, Layout], layout: Layout) -> Shader:
    """With the taps of a row written out where that saves reads."""
    layouts = {**known, gather.out.name: layout}
    written = build_shader(gather, layouts, sliding=True)
    if has_neighbours(gather.axes, layout):
        return written
    plain = build_shader(gather, layouts)
    return written if _reads(written) < LESS * _reads(plain) else plain


def can_deal(gather: Gather, layout: Layout) -> bool:
    """True if several rows can be computed at once: the innermost axis is a run of whole texels."""
    if gather.nest is None or not gather.axes:
        return False
    inner = gather.axes[-1].extent
    return (isinstance(inner, int) and inner == 4 * layout.width) or len(gather.axes) == 1


def texel_reads(body: Sequence[Stmt]) -> int:
    """Texels that an invocation reads; a loop of unknown length counts as a long one."""
    count = sum(isinstance(p, Load) for s in body for e in own_exprs(s) for p in parts(e))
    for stmt in body:
        steps = stmt.stop - stmt.start if isinstance(stmt, For) else 1
        count += texel_reads(children(stmt)) * (steps if isinstance(steps, int) else LONG)
    return count


def _reads(shader: Shader) -> float:
    """Texels read for each row of the result."""
    return texel_reads(shader.body) / shader.layouts[shader.out.name].layers
