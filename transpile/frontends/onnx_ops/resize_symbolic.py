"""Resize along axes of symbolic sizes: places are computed at run time, in integers.

A place is a fraction of two integers, so that one that lies on an element is exactly there.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops.sampling import cubic_weights
from transpile.frontends.onnx_values import Site, Tensor, f32
from transpile.frontends.tracer import apply, as_tracer, cast
from transpile.ir.dims import Dim


@dataclass(frozen=True)
class SymbolicAxis:
    """Sizes before and after, and the scale as the ratio `up / down`."""

    before: Dim
    after: Dim
    up: Dim
    down: Dim


def scaled_axis(n: Site, before: Dim, scale: float) -> SymbolicAxis:
    """The axis that a scale gives; UnsupportedError where it is no ratio of small numbers."""
    ratio = Fraction(float(scale)).limit_denominator(64)
    if abs(float(ratio) - scale) > 1e-6 * scale:
        raise n.refuse(f"a symbolic size is not resized by {scale}",
                       "fix the size with --input NAME=DTYPE[SIZES]")
    up, down = ratio.numerator, ratio.denominator
    return SymbolicAxis(before, before * up // down, up, down)


def place(n: Site, how: str, a: SymbolicAxis) -> tuple[Any, Any]:
    """Where in the input each output element lies: numerators `[after]` and a denominator.

    The standard's table of coordinate transformations, times the denominator.
    """
    i = apply("iota", shape=(a.after,), axis=0, dtype="int32")
    if how == "asymmetric":
        return i * a.down, a.up
    if how == "tf_half_pixel_for_nn":
        return (i * 2 + 1) * a.down, 2 * a.up
    if how == "align_corners":
        return i * (a.before - 1), np.maximum(as_tracer(a.after - 1), np.int32(1))
    if how not in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        raise n.refuse(f"a symbolic size is not resized by {how}",
                       "fix the size with --input NAME=DTYPE[SIZES]")
    middle = (i * 2 + 1) * a.down - a.up
    if how == "pytorch_half_pixel":
        middle = np.where(np.equal(as_tracer(a.after), np.int32(1)), np.int32(0), middle)
    return middle, 2 * a.up


def nearest(rule: str, top: Any, bottom: Any) -> Any:
    """The element next to `top / bottom`."""
    if rule == "floor":
        return top // bottom
    if rule == "ceil":
        return -(-top // bottom)
    half = (top * 2 + bottom) // (bottom * 2)
    return half if rule == "round_prefer_ceil" else -((bottom - top * 2) // (bottom * 2))


def resample(n: Site, x: Tensor, axis: int, a: SymbolicAxis, mode: str, how: str,
             rule: str) -> Any:
    """One axis resized: `mode` is nearest, linear or cubic, `how` a transformation."""
    if (mode == "cubic" and n.attr("cubic_coeff_a", -0.75) != -0.75) or any(
            n.attr(name, 0) for name in ("antialias", "exclude_outside")):
        raise n.refuse("a symbolic size is resized with the usual weights only",
                       "fix the size with --input NAME=DTYPE[SIZES]")
    if a.before == 1:
        return apply("broadcast_to", x, shape=(*x.shape[:axis], a.after, *x.shape[axis + 1:]))
    top, bottom = place(n, how, a)
    last = as_tracer(a.before - 1)

    def element(index: Any) -> Any:
        return apply("take", x, np.minimum(np.maximum(index, np.int32(0)), last), axis=axis)
    if mode == "nearest":
        return element(nearest(rule, top, bottom))
    base = top // bottom
    part = cast(top - base * bottom, "float32") / cast(as_tracer(bottom), "float32")
    weights = [f32(1) - part, part] if mode == "linear" else cubic_weights(part)
    shape = (a.after, *(1,) * (x.ndim - 1 - axis))
    first = 0 if mode == "linear" else -1
    total: Any = None
    for k, weight in enumerate(weights):
        share = element(base + np.int32(first + k)) * weight.reshape(shape)
        total = share if total is None else total + share
    return total
