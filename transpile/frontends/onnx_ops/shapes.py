"""Operators that rearrange, join, split and fill tensors."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_protos import inner_dtype
from transpile.frontends.onnx_values import Site, Tensor, sizes_array
from transpile.frontends.tracer import Tracer, apply, cast, dim_of
from transpile.ir.dims import Dim, Poly, product
from transpile.ir.types import broadcast


def axis_attr(n: Site, rank: int, default: int = 0) -> int:
    """The attribute `axis`, counted from the front."""
    axis = int(n.attr("axis", default))
    if not -rank <= axis < max(rank, 1):
        raise n.refuse(f"the axis {axis} does not exist in a tensor of {rank} dimensions")
    return axis % max(rank, 1)


def axes_of(n: Site, index: int) -> tuple[int, ...] | None:
    """Axes from the attribute or an operand; None where neither is given."""
    given = n.attr("axes")
    if given is None and n.has(index):
        given = n.ints(index, "the axes")
    return None if given is None else tuple(int(a) for a in given)


@onnx_op("Identity")
def identity(n: Site) -> Any:
    return n.inputs[0]


@onnx_op("Constant")
def constant(n: Site) -> Any:
    if "value" in n.attrs:
        return n.attrs["value"]
    kinds = {"value_float": np.float32, "value_int": np.int64, "value_floats": np.float32,
             "value_ints": np.int64}
    for name, kind in kinds.items():
        if name in n.attrs:
            return np.asarray(n.attrs[name], kind)
    raise n.refuse("only tensors and numbers are supported", "it holds a string or sparse tensor")


@onnx_op("ConstantOfShape")
def constant_of_shape(n: Site) -> Any:
    value = np.asarray(n.attr("value", np.zeros(1, np.float32))).reshape(())
    return apply("broadcast_to", value, shape=n.sizes(0, "the shape"))


@onnx_op("Shape")
def shape(n: Site) -> Any:
    sizes = n[0].shape
    return sizes_array(sizes[slice(n.attr("start", 0), n.attr("end"))])


@onnx_op("Size")
def size(n: Site) -> Any:
    return sizes_array([product(n[0].shape)]).reshape(())


@onnx_op("Reshape")
def reshape(n: Site) -> Any:
    x = n[0]
    wanted = tuple(n.attr("shape", ())) if n.version < 5 else n.sizes(1, "the new shape")
    if not n.attr("allowzero", 0):
        wanted = tuple(x.shape[k] if d == 0 else d for k, d in enumerate(wanted))
    return x.reshape(wanted)


@onnx_op("Flatten")
def flatten(n: Site) -> Any:
    x, axis = n[0], int(n.attr("axis", 1))
    axis = axis + n[0].ndim if axis < 0 else axis
    return x.reshape((product(x.shape[:axis]), product(x.shape[axis:])))


@onnx_op("Transpose")
def transpose(n: Site) -> Any:
    return np.transpose(n[0], n.attr("perm"))


@onnx_op("Squeeze")
def squeeze(n: Site) -> Any:
    axes = axes_of(n, 1)
    return np.squeeze(n[0], axes)


@onnx_op("Unsqueeze")
def unsqueeze(n: Site) -> Any:
    return np.expand_dims(n[0], axes_of(n, 1) or ())


@onnx_op("Concat")
def concat(n: Site) -> Any:
    axis = axis_attr(n, n[0].ndim, 1)
    parts = [x for x in n.all() if x.shape[axis] != 0] or [n[0]]
    return np.concatenate(parts, axis=axis)


@onnx_op("Split")
def split(n: Site) -> Any:
    x = n[0]
    axis = axis_attr(n, x.ndim)
    given = n.attr("split")
    if given is None and n.has(1):
        given = n.sizes(1, "the sizes of the parts")
    parts = split_sizes(n, x.shape[axis]) if given is None else tuple(given)
    bounds: list[Dim] = [0, *accumulate(parts, lambda a, b: a + b)]
    before = (slice(None),) * axis
    keys = [(*before, slice(a, b)) for a, b in pairwise(bounds)]
    return tuple(x[key] for key in keys)


def split_sizes(n: Site, total: Dim) -> tuple[Dim, ...]:
    """Equal parts; the last is smaller where they do not divide the size."""
    count = int(n.attr("num_outputs", len(n.outputs)))
    each = -(-total // count)
    rest = total - each * (count - 1)
    return (each,) * (count - 1) + (rest,)


@onnx_op("Expand")
def expand(n: Site) -> Any:
    x = n[0]
    shape: Any = broadcast(x.shape, n.sizes(1, "the shape"))
    return np.broadcast_to(x, shape)


@onnx_op("Tile")
def tile(n: Site) -> Any:
    return tiled(n[0], n.sizes(1, "the repeats"))


@onnx_op("Tile", since=1)
def tile_old(n: Site) -> Any:
    return tile(n)


def tiled(x: Tensor, repeats: tuple[Dim, ...]) -> Tensor:
    """`x` repeated along each axis."""
    pairs = [d for s in x.shape for d in (1, s)]
    wide: Any = tuple(d for r, s in zip(repeats, x.shape, strict=True) for d in (r, s))
    total = tuple(r * s for r, s in zip(repeats, x.shape, strict=True))
    return np.broadcast_to(x.reshape(pairs), wide).reshape(total)


@onnx_op("Slice")
def slice_attributes(n: Site) -> Any:
    starts, ends = n.required("starts"), n.required("ends")
    axes = n.attr("axes", tuple(range(len(starts))))
    return sliced(n[0], starts, ends, axes, (1,) * len(starts))


@onnx_op("Slice", since=10)
def slice_operands(n: Site) -> Any:
    starts, ends = n.sizes(1, "the starts"), n.sizes(2, "the ends")
    axes = n.ints(3, "the axes") if n.has(3) else tuple(range(len(starts)))
    steps = n.ints(4, "the steps") if n.has(4) else (1,) * len(starts)
    return sliced(n[0], starts, ends, axes, steps)


ENDLESS = 1 << 28
"""Bounds of slices from here on are beyond any tensor that fits into memory."""


def sliced(x: Tensor, starts: Any, ends: Any, axes: Any, steps: Any) -> Any:
    """`x[start:end:step]` along each of `axes`, with the bounds of `cut`."""
    key: list[Any] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        key[axis] = cut(start, end, int(step), x.shape[axis])
    return x[tuple(key)]


def cut(start: Dim, end: Dim, step: int, size: Dim) -> slice:
    """The slice of Python that Slice means: bounds beyond either side are cut there.

    Going back, a start before the first element means that element, where Python finds none; and
    the largest integer as an end means "to the end" in either direction, as onnxruntime reads it.
    """
    if step < 0 and isinstance(end, int) and end in (2**31 - 1, 2**63 - 1):
        end = -2**63
    if isinstance(start, int) and isinstance(end, int) and isinstance(size, int):
        low, high = (0, size) if step > 0 else (-1, size - 1)
        first, last = (min(max(v + size if v < 0 else v, low), high) for v in (start, end))
        if step < 0 and size:
            first = max(first, 0)
        return slice(first, None if last < 0 else last, step) if (
            last - first) * step > 0 else slice(0, 0)
    behind, before = (start, end) if step > 0 else (end, start)
    if _far(behind) > 0 or _far(before) < 0:  # from beyond an end, away from the elements
        return slice(0, 0)
    return slice(_bound(start), None if end == size and step > 0 else _bound(end), step)


def _far(value: Dim) -> int:
    """1 or -1 for a number that no size reaches, before or behind; else 0."""
    return 0 if not isinstance(value, int) or abs(value) < ENDLESS else 1 if value > 0 else -1


def _bound(value: Dim) -> Dim | None:
    """None for a number that no size reaches: it only means "as far as there is"."""
    return None if _far(value) else value


PAD_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


@onnx_op("Pad")
def pad_attributes(n: Site) -> Any:
    pads = n.attr("pads") or n.required("paddings")
    return padded(n, n[0], tuple(pads), float(n.attr("value", 0.0)), None)


@onnx_op("Pad", since=11)
def pad_operands(n: Site) -> Any:
    axes = n.ints(3, "the axes") if n.has(3) else None
    if n.has(2) and n.known(2) is None and n.attr("mode", "constant") == "constant":
        return _pad_with(n, axes)
    value = n.array(2, "the value").ravel()[:1].tolist() if n.has(2) and n.attr(
        "mode", "constant") == "constant" else []
    return padded(n, n[0], n.sizes(1, "the pads"), float(value[0] if value else 0), axes)


def _pad_with(n: Site, axes: Any) -> Any:
    """Padding with a value that is computed at run time: a mask chooses."""
    pads = n.sizes(1, "the pads")
    ones = apply("broadcast_to", np.bool_(True), shape=n[0].shape)
    mask = padded(n, ones, pads, 0.0, axes)
    return np.where(mask, padded(n, n[0], pads, 0.0, axes), n[2].reshape(()))


def padded(n: Site, x: Tensor, pads: tuple[Dim, ...], value: float, axes: Any) -> Any:
    """More elements at both ends; negative amounts cut."""
    mode = n.attr("mode", "constant")
    if mode not in PAD_MODES:
        raise n.refuse(f"there is no mode {mode!r}")
    low: list[Dim] = [0] * x.ndim
    high: list[Dim] = [0] * x.ndim
    places = range(x.ndim) if axes is None else [int(a) % x.ndim for a in axes]
    count = len(pads) // 2
    for k, axis in enumerate(places):
        low[axis], high[axis] = pads[k], pads[k + count]
    cut = [[-p if isinstance(p, int) and p < 0 else 0 for p in side] for side in (low, high)]
    if any(map(any, cut)):
        x = x[tuple(slice(a, d - b) for a, b, d in zip(*cut, x.shape, strict=True))]
    ends = [tuple(0 if isinstance(p, int) and p < 0 else p for p in side) for side in (low, high)]
    if not any(p != 0 for side in ends for p in side):
        return x
    return apply("pad", x, low=ends[0], high=ends[1], mode=mode, value=value)


@onnx_op("DepthToSpace")
def depth_to_space(n: Site) -> Any:
    x, b = n[0], int(n.required("blocksize"))
    count, depth, height, width = x.shape
    rest = depth // (b * b)
    if n.attr("mode", "DCR") == "CRD":
        split, order = (count, rest, b, b, height, width), (0, 1, 4, 2, 5, 3)
    else:
        split, order = (count, b, b, rest, height, width), (0, 3, 4, 1, 5, 2)
    return x.reshape(split).transpose(order).reshape((count, rest, height * b, width * b))


@onnx_op("SpaceToDepth")
def space_to_depth(n: Site) -> Any:
    x, b = n[0], int(n.required("blocksize"))
    count, depth, height, width = x.shape
    split = x.reshape((count, depth, height // b, b, width // b, b))
    order = (0, 1, 3, 5, 2, 4) if n.attr("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return split.transpose(order).reshape((count, depth * b * b, height // b, width // b))


@onnx_op("EyeLike")
def eye_like(n: Site) -> Any:
    x, k = n[0], int(n.attr("k", 0))
    dtype = inner_dtype(int(n.attr("dtype", n.elems[0])), "the result of EyeLike")
    rows, columns = (apply("iota", shape=x.shape, axis=a, dtype="int32") for a in (0, 1))
    return cast(columns - rows == np.int32(k), dtype)


@onnx_op("Trilu")
def trilu(n: Site) -> Any:
    x = n[0]
    k: Any = n[1].reshape(()) if n.has(1) else np.int32(0)
    rows, columns = (apply("iota", shape=x.shape[-2:], axis=a, dtype="int32") for a in (0, 1))
    distance = columns - rows
    keep = distance >= k if n.attr("upper", 1) else distance <= k
    return np.where(keep, x, np.zeros((), x.dtype))


@onnx_op("Range")
def range_(n: Site) -> Any:
    known = [bound(n, i) for i in range(3)]
    missing = next((i for i, v in enumerate(known) if v is None), None)
    if missing is not None:
        raise n.needs(missing, "the bounds")
    start, limit, delta = (v.item() for v in known if v is not None)
    if not any(isinstance(v, Poly) for v in (start, limit, delta)):
        kind = known[0].dtype if known[0] is not None else None
        count = max(int(np.ceil((limit - start) / delta)), 0)
        if count >= ENDLESS:
            raise n.refuse(f"{count} numbers are more than memory holds")
        return (start + np.arange(count) * delta).astype(kind)
    if any(isinstance(v, float) and v != int(v) for v in (start, delta)):
        raise n.refuse("a symbolic number of steps that are not whole")
    start, delta = (v if isinstance(v, Poly) else int(v) for v in (start, delta))
    count = -(-(limit - start) // delta)
    steps = apply("iota", shape=(count,), axis=0, dtype="int32")
    steps = steps if delta == 1 else steps * np.int32(delta)
    return cast(steps if start == 0 else steps + start, n[1].node.dtype)


def bound(n: Site, index: int) -> np.ndarray | None:
    """An operand of Range, also where it is a symbolic size as a float."""
    known, value = n.known(index), n.inputs[index]
    size = dim_of(value.node) if known is None and isinstance(value, Tracer) else None
    return known if size is None else np.asarray(size, object)


@onnx_op("CenterCropPad")
def center_crop_pad(n: Site) -> Any:
    x, wanted = n[0], n.sizes(1, "the shape")
    axes = [int(a) % x.ndim for a in n.attr("axes", range(x.ndim))]
    low, high = [0] * x.ndim, [0] * x.ndim
    for axis, goal in zip(axes, wanted, strict=True):
        if not isinstance(goal, int) or not isinstance(x.shape[axis], int):
            raise n.refuse("it needs fixed sizes")
        change = goal - int(x.shape[axis])
        low[axis] = change // 2 if change >= 0 else -(-change // 2)
        high[axis] = change - low[axis]
    return padded(n, x, (*low, *high), 0.0, None)


@onnx_op("CumSum")
def cumsum(n: Site) -> Any:
    return cumulated(n, "cumsum")


@onnx_op("CumProd")
def cumprod(n: Site) -> Any:
    return cumulated(n, "cumprod")


def cumulated(n: Site, op: str) -> Any:
    """A running sum or product along the axis in the second operand."""
    axis = n.ints(1, "the axis")[0] % n[0].ndim
    return cast(apply(op, n[0], axis=axis, exclusive=bool(n.attr("exclusive", 0)),
                      reverse=bool(n.attr("reverse", 0))), n[0].node.dtype)
