"""Convolutions over three spatial dimensions, in PyTorch's layout."""

from __future__ import annotations

from functools import partial

from transpile.ops import conv
from transpile.ops.composite import composite
from transpile.ops.registry import sample

composite("conv3d", partial(conv._conv, rank=3), conv.conv, [
    sample("float32[1,2,4,5,3]", "float32[3,2,2,3,1]", "float32[3]", padding=1),
    sample("float32[2,4,3,4,4]", "float32[4,2,1,2,2]", stride=(1, 2, 1), groups=2)])
composite("conv_transpose3d", partial(conv._conv_transpose, rank=3), conv.conv_transpose, [
    sample("float32[1,2,3,2,2]", "float32[2,3,2,1,3]", "float32[3]"),
    sample("float32[1,4,2,3,2]", "float32[4,1,3,2,2]", stride=2, padding=(1, 0, 1), groups=2)])
