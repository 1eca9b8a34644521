"""Which inputs take pictures, and how their axes are laid out."""

from __future__ import annotations

from transpile.ir.types import TensorType

LEAST_SIDE = 5
"""Fewer rows or columns are no picture."""


def picture_layout(type_: TensorType) -> str:
    """The axes of an input that takes pictures: NCHW, NHWC, CHW or HWC; empty if it takes none.

    RGBA bytes may have any size (`transpile.image`); colours, which also look like a sequence or
    a table, need the axes of one picture. One float32 channel may just as well be a spectrogram:
    a net for grey pictures says so with `transpile.image`, and others stay without the code.
    """
    shape = type_.shape
    if type_.dtype not in ("uint8", "float32") or len(shape) not in (3, 4):
        return ""
    if len(shape) == 4 and isinstance(shape[0], int) and shape[0] != 1:
        return ""
    for order in ("HWC", "CHW"):
        sizes = dict(zip(order, shape[-3:], strict=True))
        sides = [s for s in (sizes["H"], sizes["W"]) if isinstance(s, int)]
        named = len(sides) < 2
        rgba = order == "HWC" and type_.dtype == "uint8" and sizes["C"] == 4
        colours = sizes["C"] == 3 and not (named and len(shape) == 3 and type_.dtype != "uint8")
        grey = (sizes["C"] == 1 and len(shape) == 4 and not named
                and type_.dtype == "uint8")
        if (rgba or colours or grey) and min(sides, default=LEAST_SIDE) >= LEAST_SIDE:
            return "N" * (len(shape) - 3) + order
    return ""
