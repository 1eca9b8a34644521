"""Pictures in front of a model: RGBA bytes, as a canvas gives them, to what the model was fed.

    prepare = transpile.image((224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    net = prepare.before(model)          # takes uint8[height, width, 4] of any size

`prepare(pixels)` is plain NumPy, and may stand inside of a traced function as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.graph import Graph, Node, input_node
from transpile.model import Model, Spec, spec

Layout = str
"""A permutation of N, C, H, W, in which N may be left out: "NCHW", "NHWC", "CHW", "HWC"."""


@dataclass(frozen=True)
class ImageInput:
    """How pixels become a model's input; see `image`."""

    size: tuple[int, int] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Layout
    resize: str
    channels: str
    scale: float

    def __call__(self, pixels: Any) -> Any:
        """float32 in the layout, from pixels uint8[height, width, 4]."""
        x = pixels[:, :, :3].astype(np.float32)
        if self.size is not None:
            x = _resized(_resized(x, self.size[0], 0, self.resize), self.size[1], 1, self.resize)
        x = x * np.float32(self.scale)
        if self.channels == "BGR":
            x = x[:, :, ::-1]
        if self.channels == "GRAY":  # the weights of ITU-R BT.601
            x = x @ np.array([[0.299], [0.587], [0.114]], np.float32)
        x = (x - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        order = self.layout.replace("N", "")
        x = np.transpose(x, ["HWC".index(axis) for axis in order])
        return np.expand_dims(x, self.layout.index("N")) if "N" in self.layout else x

    def before(self, model: Any, name: str = "pixels") -> Model:
        """A model with one input of pixels, any size, in front of one with one input.

        Args:
            model: of any front end; its own input must have the layout's shape.
            name: of the new input.
        """
        from transpile.frontends.foreign import adopt
        known = adopt(model)
        inner = known if isinstance(known, Model) else Model(known, {})
        return _Prepared(self, inner, name)


class _Prepared(Model):
    """A model behind an `ImageInput`."""

    def __init__(self, prepare: ImageInput, inner: Model, name: str) -> None:
        pixels: dict[str, Spec] = {name: spec("uint8", ("height", "width", 4))}
        super().__init__(self._run, pixels, labels=inner.labels)
        self.prepare, self.inner, self.name = prepare, inner, inner.name

    def _run(self, pixels: Any) -> Any:
        return self.inner(self.prepare(np.asarray(pixels)))

    def trace(self, inputs: Mapping[str, Any] | None = None) -> Graph:
        """The graph; the inner model's input becomes a fixed size where the pixels give one."""
        from transpile.frontends.tracer import Tracer
        from transpile.model import as_spec
        self.specs.update({n: as_spec(v) for n, v in (inputs or {}).items()})
        (name, only), = self.specs.items()
        pixels = input_node(name, only.type)
        ready = self.prepare(Tracer(pixels)).node
        first = next(iter(self.inner.specs), None) or next(
            n.name for n in self.inner.trace().inputs)
        graph = self.inner.trace({first: ready.type})
        self.labels = self.labels or self.inner.labels
        if len(graph.inputs) != 1:
            raise ShapeError(f"{self.inner.name} has {len(graph.inputs)} inputs",
                             fix="prepare pixels in a function around it")
        return _joined(graph, pixels, ready)


def _joined(graph: Graph, pixels: Node, ready: Node) -> Graph:
    """The graph with its input computed from pixels."""
    old = graph.inputs[0]
    done: dict[Node, Node] = {old: ready}
    from dataclasses import replace
    for node in graph.nodes:
        if node not in done:
            done[node] = replace(node, inputs=tuple(done[i] for i in node.inputs))
    return Graph(graph.name, (pixels,), tuple((n, done[v]) for n, v in graph.outputs),
                 graph.origin)


def image(size: tuple[int, int] | int | None = None, mean: Sequence[float] | float = 0.0,
          std: Sequence[float] | float = 1.0, layout: Layout = "NCHW", resize: str = "bilinear",
          *, channels: str = "RGB", scale: float = 1 / 255) -> ImageInput:
    """How pixels become a model's input: resized, scaled, `(x - mean) / std`, laid out.

    Args:
        size: (height, width) of the model's input; None keeps the picture's.
        mean, std: after `scale`, one number or one for each channel.
        layout: "NCHW", "NHWC", "CHW" or "HWC".
        resize: "bilinear" (corners not aligned, no smoothing: torch's interpolate) or "nearest".
        channels: "RGB", "BGR" or "GRAY".
        scale: what bytes are multiplied by first.

    Raises:
        ShapeError: an unknown layout, resize or order of channels.
    """
    if sorted(layout.replace("N", "")) != list("CHW") or layout.count("N") > 1:
        raise ShapeError(f"there is no layout {layout!r}", fix="use NCHW, NHWC, CHW or HWC")
    if resize not in ("bilinear", "nearest") or channels not in ("RGB", "BGR", "GRAY"):
        raise ShapeError(f"resize={resize!r} with channels={channels!r} is not known",
                         fix="use bilinear or nearest, and RGB, BGR or GRAY")
    both = (size, size) if isinstance(size, int) else size
    return ImageInput(both, _numbers(mean), _numbers(std), layout, resize, channels, scale)


def _numbers(value: Sequence[float] | float) -> tuple[float, ...]:
    return (float(value),) if isinstance(value, (int, float)) else tuple(map(float, value))


def _resized(x: Any, size: int, axis: int, how: str) -> Any:
    """`x` with `size` elements along an axis; the axis may have a size known at run time."""
    have = x.shape[axis]
    if isinstance(have, int):
        if have == size:
            return x
        ratio: Any = np.float32(have / size)
    else:
        from transpile.frontends.tracer import cast
        ratio = cast(have, "float32") / np.float32(size)
    steps = np.arange(size, dtype=np.float32)
    if how == "nearest":
        return np.take(x, _index(np.floor(steps * ratio), have), axis=axis)
    place = np.maximum((steps + np.float32(0.5)) * ratio - np.float32(0.5), np.float32(0))
    low = np.floor(place)
    part = np.reshape(place - low, (size, 1, 1) if axis == 0 else (1, size, 1))
    before = np.take(x, _index(low, have), axis=axis)
    after = np.take(x, _index(low + np.float32(1), have), axis=axis)
    return before + (after - before) * part


def _index(place: Any, size: Any) -> Any:
    """Whole numbers as indices, the last one for those beyond."""
    if isinstance(place, np.ndarray):
        return np.minimum(place.astype(np.int32), size - 1)
    return np.minimum(place.astype(np.int32), np.int32(size - 1) if isinstance(size, int)
                      else size - 1)


def top_k(scores: Any, count: int) -> tuple[Any, Any]:
    """(scores, indices) of the `count` largest along the last axis, largest first."""
    order = np.flip(np.argsort(scores, axis=-1), axis=-1)[..., :count]
    return np.take_along_axis(scores, order, axis=-1), order
