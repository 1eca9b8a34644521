"""How a tensor lies in a texture: texels of four elements, in rows, rows dealt to layers.

Element `e` is lane `e % 4` of texel `e // 4`; texel `t` stands at column `t % width` of row
`t // width`. With one layer, row r is row r of the texture. With n (4 or 8), row r is row `r // n`
of layer `r % n`, so that one invocation writes n neighbouring rows to n render targets. Where
the last dimension C is a multiple of four, `width` is C / 4: a row is a pixel with its channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from transpile.errors import UnsupportedError
from transpile.ir.dims import Dim, ceildiv, floordiv, nonnegative, product
from transpile.ir.types import TensorType

LARGEST = 4096
"""Textures of this side work wherever WebGL2 does, nearly."""

FLAT = 256
"""Texels in a row where a tensor has no natural rows; a power of two."""


@dataclass(frozen=True)
class Layout:
    """Texels in a row, rows, and layers (1, 4 or 8), which rows are dealt to in turn."""

    width: int
    rows: Dim
    layers: int = 1

    @property
    def height(self) -> Dim:
        """Rows of the texture: of each layer."""
        return ceildiv(self.rows, self.layers)


@dataclass(frozen=True)
class Placed:
    """A tensor in a texture; weights may lie in panels of so many columns."""

    name: str
    type: TensorType
    texture: int
    layout: Layout
    panel: int = 0


def fits(size: Dim, most: int) -> bool:
    """True if a size is at most `most`, or is known only at run time."""
    return not isinstance(size, int) or size <= most


def natural_width(type_: TensorType) -> int:
    """Texels in a pixel; 0 where the last dimension is no multiple of four."""
    last = type_.shape[-1] if type_.shape else 1
    if isinstance(last, int) and last % 4 == 0 and 0 < last <= 4 * LARGEST:
        return last // 4
    return 0


def picture_width(type_: TensorType) -> int:
    """Texels in a row of pixels; 0 where such rows do not fit."""
    *outer, x, channels = (1, 1, *type_.shape)
    run, rows = floordiv(x * channels, 4), product(outer)
    if not isinstance(run, int) or not isinstance(rows, int):
        return 0
    return run if run <= LARGEST and rows <= LARGEST else 0


def layout_of(type_: TensorType, layers: int = 1) -> Layout:
    """The layout of a tensor with so many layers, or with one where its rows are not natural.

    Raises:
        UnsupportedError: it has more elements than a texture holds.
    """
    texels = ceildiv(type_.size, 4)
    width = natural_width(type_)
    narrow = width == 1 and is_area(texels)
    if width and not narrow and fits(ceildiv(ceildiv(texels, width), layers), LARGEST):
        return Layout(width, ceildiv(texels, width), layers)
    picture = picture_width(type_)
    if width and picture:
        return Layout(picture, ceildiv(texels, picture), 1)
    for width in (FLAT, 1024, LARGEST):
        if (width > FLAT or not is_area(texels)) and fits(ceildiv(texels, width), LARGEST):
            return Layout(width, ceildiv(texels, width), 1)
    raise UnsupportedError(f"a tensor {type_} does not fit in a texture",
                           why=f"{LARGEST} x {LARGEST} texels hold {16 * LARGEST ** 2} elements")


def is_area(texels: Dim) -> bool:
    """True if it grows with a product of named sizes, as the pixels of a picture do."""
    return not isinstance(texels, int) and any(len(m) > 1 for m, _ in texels.terms)


def panel_layout(type_: TensorType) -> Layout:
    """The layout of a matrix in panels of four columns: a panel is a row, or a few of them."""
    rows = product(type_.shape[:-1])
    columns = type_.shape[-1]
    assert isinstance(rows, int) and isinstance(columns, int)
    # Powers of two first: long sums are cut into so many parts, which then end where rows end.
    for split in (*(2**n for n in range(12)), *range(3, rows + 1)):
        if rows % split == 0 and rows // split <= LARGEST and columns // 4 * split <= LARGEST:
            return Layout(rows // split, columns // 4 * split)
    return layout_of(type_)


def is_natural(layout: Layout, type_: TensorType) -> bool:
    return layout.width == natural_width(type_)


def enough_rows(layout: Layout) -> bool:
    """True if all layers would be used."""
    return nonnegative(layout.rows - layout.layers)
