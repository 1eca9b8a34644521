"""Resize and Upsample: along each axis a few weighted elements, chosen early if that can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import static_sizes
from transpile.frontends.onnx_ops.resize_symbolic import SymbolicAxis, scaled_axis
from transpile.frontends.onnx_ops.resize_symbolic import resample as symbolic_axis
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply, cast
from transpile.ir.dims import Dim


def transformation(n: Site) -> str:
    """The coordinate transformation; until opset 10 there is only one."""
    fixed = n.op == "Upsample" or n.version < 11
    return "asymmetric" if fixed else str(n.attr("coordinate_transformation_mode", "half_pixel"))


def nearest_rule(n: Site, shrinks: bool = False) -> str:
    """How a coordinate becomes an element; until opset 10 that depends on the scale alone."""
    if n.op == "Upsample" or n.version < 11:
        return "ceil" if shrinks else "floor"
    return str(n.attr("nearest_mode", "round_prefer_floor"))


@dataclass(frozen=True)
class Axis:
    """One axis that changes: sizes before and after, the scale, and the region (0 to 1)."""

    before: int
    after: int
    scale: float
    start: float = 0.0
    end: float = 1.0


def coordinates(mode: str, a: Axis) -> np.ndarray:
    """Where in the input each output element lies (the table of the standard's Resize).

    In float32, like every other runtime: in the midst of two elements the last bit decides.
    """
    i = np.arange(a.after, dtype=np.float32)
    half, scale = np.float32(0.5), np.float32(a.scale)
    wide = a.scale * a.before
    if mode == "align_corners":
        last = np.float32(wide - 1 if wide != 1 else np.inf)
        return np.asarray(i * np.float32(a.before - 1) / last)
    if mode == "asymmetric":
        return np.asarray(i / scale)
    if mode == "tf_crop_and_resize":
        start, end = (np.float32(v) * np.float32(a.before - 1) for v in (a.start, a.end))
        step = (end - start) / np.float32(max(a.after - 1, 1))
        return np.asarray(start + i * step if a.after > 1 else np.full(1, half * (start + end)))
    if mode == "tf_half_pixel_for_nn":
        return np.asarray((i + half) / scale)
    if mode == "pytorch_half_pixel" and a.after == 1:
        return i * 0
    shift = a.before / 2 * (1 - a.after / wide) if mode == "half_pixel_symmetric" else 0.0
    return np.asarray(np.float32(shift) + (i + half) / scale - half)


NEAREST: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5), "floor": np.floor, "ceil": np.ceil}


def cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' kernel, 1981."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def taps(n: Site, mode: str, places: np.ndarray, a: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights `[after, taps]`."""
    if mode == "nearest":
        rule = NEAREST[nearest_rule(n, a.scale < 1)]
        index = np.clip(rule(places), 0, a.before - 1)[:, None]
        return index.astype(np.int32), np.ones_like(index)
    reach = 1 if mode == "linear" else 2
    scale = min(a.scale, 1.0) if n.attr("antialias", 0) else 1.0
    first = int(np.floor(-reach / scale)) + 1
    offsets = np.arange(first, 2 - first)[:len(range(first, 2 - first))]
    base = np.floor(places)
    distance = (offsets - (places - base)[:, None]) * scale
    weight = (np.clip(1 - np.abs(distance), 0, 1) if mode == "linear"
              else cubic(distance, n.attr("cubic_coeff_a", -0.75)))
    index = base[:, None] + offsets
    if n.attr("exclude_outside", 0):
        weight = np.where((index >= 0) & (index < a.before), weight, 0.0)
    weight = weight / weight.sum(axis=1, keepdims=True)
    return np.clip(index, 0, a.before - 1).astype(np.int32), weight


def resample(n: Site, x: Tensor, axis: int, mode: str, a: Axis) -> tuple[Tensor, np.ndarray]:
    """One axis resized, and which of its elements lie outside of the input."""
    how = transformation(n)
    places = coordinates(how, a)
    outside = (places < 0) | (places > a.before - 1) if how == "tf_crop_and_resize" else (
        np.zeros(a.after, bool))
    if not a.after:
        nothing = (*(slice(None),) * axis, slice(0, 0))
        return x[nothing], outside
    index, weight = taps(n, mode, places, a)
    used = [k for k in range(weight.shape[1]) if np.any(weight[:, k] != 0)]
    shape = (-1,) + (1,) * (x.ndim - 1 - axis)
    total: Any = None
    for k in used:
        part = apply("take", x, index[:, k], axis=axis)
        if np.any(weight[:, k] != 1):
            part = part * weight[:, k].astype(np.float32).reshape(shape)
        total = part if total is None else total + part
    return total, outside


def resized(n: Site, x: Tensor, axes: dict[int, Axis]) -> Any:
    """All axes resized, one after the other."""
    mode = n.attr("mode", "nearest")
    mode = "linear" if mode in ("bilinear", "linear") else mode
    kind = x.node.dtype
    y = x if mode == "nearest" else cast(x, "float32")
    for axis, a in axes.items():
        y, outside = resample(n, y, axis, mode, a)
        if outside.any():
            mask = outside.reshape((-1,) + (1,) * (y.ndim - 1 - axis))
            y = np.where(mask, np.float32(n.attr("extrapolation_value", 0.0)), y)
    return cast(y, kind)


@onnx_op("Upsample")
def upsample(n: Site) -> Any:
    if n.version < 7:
        scales = [1.0, 1.0, n.required("height_scale"), n.required("width_scale")]
    else:
        scales = n.attr("scales") or n.array(1, "the scales").tolist()
    return _scaled(n, n[0], dict(enumerate(scales)), {})


@onnx_op("Resize", since=10)
def resize_10(n: Site) -> Any:
    return _scaled(n, n[0], dict(enumerate(n.array(1, "the scales").tolist())), {})


@onnx_op("Resize", since=11)
def resize(n: Site) -> Any:
    x = n[0]
    places = [int(a) % x.ndim for a in n.attr("axes", range(x.ndim))]
    region: dict[int, tuple[float, float]] = {}
    if n.attr("coordinate_transformation_mode") == "tf_crop_and_resize":
        roi = n.array(1, "the region").tolist()
        region = {a: (roi[k], roi[k + len(places)]) for k, a in enumerate(places)}
    if n.has(2) and (known := n.known(2)) is not None and known.size == 0:
        n.inputs[2] = None
    if n.has(2):
        return _scaled(n, x, dict(zip(places, n.array(2, "the scales").tolist(), strict=True)),
                       region)
    return _sized(n, x, dict(zip(places, n.sizes(3, "the sizes"), strict=True)), region)


def _scaled(n: Site, x: Tensor, scales: dict[int, float],
            region: dict[int, tuple[float, float]]) -> Any:
    symbolic = {a: s for a, s in scales.items() if s != 1 and not isinstance(x.shape[a], int)}
    if symbolic:
        x = _grown(n, x, symbolic)
    axes = {}
    for a, scale in scales.items():
        if a in symbolic or (scale == 1 and a not in region):
            continue
        before = static_sizes(n, [x.shape[a]], "Resize")[0]
        after = int(np.float32(before) * np.float32(scale))  # 10 * 0.7 is 7 in float32 alone
        if transformation(n) == "align_corners" and n.importer.producer == "pytorch":
            scale = after / before  # the standard means the size before it is cut off
        axes[a] = Axis(before, after, scale, *region.get(a, (0.0, 1.0)))
    return resized(n, x, axes)


def _grown(n: Site, x: Tensor, scales: dict[int, float]) -> Tensor:
    """Symbolic sizes resized: by whole factors without any gathering, if that is the same."""
    how, rule = transformation(n), nearest_rule(n)
    mode = n.attr("mode", "nearest")
    linear = mode in ("bilinear", "linear") and x.node.dtype == "float32"
    halves = how in ("half_pixel", "pytorch_half_pixel")
    repeats = mode == "nearest" and (how == "half_pixel" or (how == "asymmetric"
                                                             and rule == "floor"))
    for axis, scale in scales.items():
        if scale != int(scale) or not (repeats or (linear and (halves or how == "asymmetric"))):
            before = x.shape[axis]
            a = scaled_axis(n, before, scale)
            if how == "align_corners" and n.importer.producer != "pytorch":
                raise n.refuse("a symbolic size is not resized by a scale and aligned corners",
                               "fix the size with --input NAME=DTYPE[SIZES]")
            x = _symbolic(n, x, {axis: a}, shrinks=scale < 1)
        elif linear:
            x = _phases(x, axis, int(scale), 0 if how == "asymmetric" else 0.5)
        else:
            x = np.repeat(x, int(scale), axis=axis)
    return x


def _symbolic(n: Site, x: Tensor, axes: dict[int, SymbolicAxis], *, shrinks: bool = False) -> Any:
    """Axes whose sizes are known at run time only, one after the other."""
    mode = {"bilinear": "linear"}.get(n.attr("mode", "nearest"), n.attr("mode", "nearest"))
    y = x if mode == "nearest" else cast(x, "float32")
    for axis, a in axes.items():
        y = symbolic_axis(n, y, axis, a, mode, transformation(n), nearest_rule(n, shrinks))
    return cast(y, x.node.dtype)


def _phases(x: Tensor, axis: int, scale: int, centre: float) -> Tensor:
    """Linear interpolation by a whole factor: element `scale*i + r` lies at `i` and an offset."""
    edge = np.pad(x, [(1, 1) if a == axis else (0, 0) for a in range(x.ndim)], mode="edge")
    before = (slice(None),) * axis
    parts = []
    for r in range(scale):
        offset = (r + centre) / scale - centre
        at = (*before, slice(0, -2) if offset < 0 else slice(2, None))
        beside = edge[at]
        part = np.float32(abs(offset))
        parts.append(x * (1 - part) + beside * part if part else x)
    size = x.shape[axis] * scale
    return np.stack(parts, axis=axis + 1).reshape(
        (*x.shape[:axis], size, *x.shape[axis + 1:]))


def _sized(n: Site, x: Tensor, sizes: dict[int, Dim],
           region: dict[int, tuple[float, float]]) -> Any:
    changed = {a: s for a, s in sizes.items() if s != x.shape[a] or a in region}
    policy = n.attr("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        open_axes = {a: SymbolicAxis(x.shape[a], s, s, x.shape[a]) for a, s in changed.items()
                     if not (isinstance(s, int) and isinstance(x.shape[a], int))}
        x = _symbolic(n, x, open_axes)
        changed = {a: s for a, s in changed.items() if a not in open_axes}
    befores = static_sizes(n, [x.shape[a] for a in changed], "Resize to sizes")
    goals = static_sizes(n, list(changed.values()), "Resize")
    if policy == "stretch":
        return resized(n, x, {a: Axis(b, g, g / b, *region.get(a, (0.0, 1.0)))
                              for a, b, g in zip(changed, befores, goals, strict=True)})
    every = static_sizes(n, [x.shape[a] for a in sizes], "Resize to sizes")
    ratios = [g / b for g, b in zip(static_sizes(n, list(sizes.values()), "Resize"), every,
                                    strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return resized(n, x, {a: Axis(b, int(np.floor(b * scale + 0.5)), scale)
                          for a, b in zip(sizes, every, strict=True)})
