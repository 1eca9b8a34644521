"""Which convolutions become Winograd's: the option, and the error that is accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import transpile
from transpile import nn
from transpile.cli import cli
from transpile.module import Module
from transpile.ops.contract import conv
from transpile.ops.winograd import cut_of, starts
from transpile.passes import winograd_error
from transpile.passes.winograd import CONVOLUTIONS
from transpile.passes.winograd_error import BOUNDS, Error, accurate_tile, error, winograd

RNG = np.random.default_rng(2)


def weights(channels: int, filters: int, taps: int = 3) -> np.ndarray:
    return RNG.standard_normal((taps, taps, channels, filters)).astype(np.float32)


def built(scale: float = 1.0, **options: Any) -> Module:
    weight = (weights(16, 16) * scale).transpose(3, 2, 0, 1)

    @transpile.model(x=transpile.spec("float32", (1, 16, 26, 26)))
    def model(x: Any) -> Any:
        wide = nn.conv2d(x, weight)  # 24 x 24
        return nn.conv2d(nn.max_pool2d(wide, 4), weight)[:, :, :2]
    return transpile.compile(model, targets=("js", "wasm"), **options)


def tiles(module: Module) -> list[int]:
    return [n.attrs["tile"] for n in module.programs[0].graph.nodes if n.op in CONVOLUTIONS]


def test_the_option_turns_it_off() -> None:
    fast, direct = built(), built(winograd=False)
    assert tiles(fast) == [4]
    assert tiles(direct) == []
    assert fast.report.winograd == "convolutions: 1 with F(4x4)"
    assert direct.report.winograd == ""
    assert fast.content_hash != direct.content_hash
    for module in (fast, direct):
        module.verify().check("model")


def test_a_layer_beyond_its_bound_takes_a_smaller_tile_or_none(
        monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Error(0.0, 0.0)
    monkeypatch.setattr(winograd_error, "BOUNDS", {**BOUNDS, 6: nothing})
    assert built().report.winograd == "convolutions: 1 with F(2x2)"
    monkeypatch.setattr(winograd_error, "BOUNDS", {4: nothing, 6: nothing})
    module = built()
    assert tiles(module) == []
    assert module.report.winograd.startswith("convolutions: too far off, so direct: ")


@pytest.mark.parametrize(("scale", "tile"), [(1e-3, 4), (1.0, 4), (1e4, 4), (1e-43, 0)])
def test_weights_whose_products_underflow_stay_direct(scale: float, tile: int) -> None:
    assert accurate_tile(weights(8, 8) * np.float32(scale), [4, 2]) == tile


@pytest.mark.parametrize(("taps", "tile", "stride", "points"), [
    (3, 2, 1, 4), (3, 4, 1, 6), (4, 3, 1, 6), (5, 2, 1, 6), (3, 2, 2, 3), (3, 3, 2, 4)])
@pytest.mark.parametrize("channels", [4, 32, 256])
def test_errors_are_those_of_float32(taps: int, tile: int, stride: int, points: int,
                                     channels: int) -> None:
    weight = weights(channels, 7, taps)
    side = 12 * stride + taps - stride
    image = RNG.standard_normal((1, side, side, channels)).astype(np.float32)
    exact = conv(image.astype(np.float64), weight.astype(np.float64), stride=(stride, stride),
                 dilation=(1, 1), groups=1)
    got = winograd(image, weight, tile, stride)
    assert got.dtype == np.float32
    rms = np.linalg.norm(got - exact) / np.linalg.norm(exact)
    assert 1e-8 < rms < 3e-6  # the order in which NumPy adds depends on its build
    found = error(weight, tile, stride)
    assert rms / 4 < found.rms < rms * 4
    assert found.within(BOUNDS[points])
    assert not Error(found.rms, 1.0).within(BOUNDS[points])
    assert not Error(1.0, found.largest).within(BOUNDS[points])


SHAPES = [  # batch, channels, height, width, filters, window, stride, padding: operator
    ((1, 3, 96, 96, 32, 7, 2, 3), "winograd_bands"),  # four phases of 4 x 4 taps
    ((2, 5, 61, 87, 40, 7, 2, 0), "winograd_bands"),
    ((1, 16, 31, 29, 24, 5, 2, 2), "winograd_output"),  # four phases of 3 x 3 taps
    ((1, 20, 17, 17, 24, 5, 1, 2), "winograd_output"),
    ((1, 32, 57, 56, 32, 3, 1, 1), "winograd_bands"),
    ((1, 256, 7, 7, 128, 3, 1, 1), "winograd_panels"),
    ((1, 256, 14, 13, 128, 3, 1, 1), "winograd_panels"),  # sixteen tiles
    ((1, 320, 9, 10, 128, 3, 1, 1), "winograd_panels"),  # 4 + 4 + 1 by 4 + 3 + 3 outputs
    ((1, 512, 5, 6, 128, 3, 1, 1), "winograd_panels"),  # 2 + 2 + 1 by 2 + 2 + 2
    ((17, 256, 7, 7, 128, 3, 1, 1), "winograd_output"),  # 68
    (("batch", 256, 7, 7, 128, 3, 1, 1), "winograd_output"),
    (("batch", 3, 96, 96, 32, 7, 2, 3), "winograd_bands"),
    ((1, 32, 56, 57, 64, 3, 2, 1), "winograd_bands"),  # two phases in each direction
    ((2, 128, 28, 27, 96, 3, 2, 1), "winograd_output"),
    ((1, 256, 13, 14, 128, 3, 2, 1), "winograd_panels"),
    (("batch", 64, 31, 32, 64, 3, 2, 0), "winograd_output"),
]


@pytest.mark.parametrize(("sizes", "op"), SHAPES)
def test_every_form_gives_what_numpy_gives(sizes: tuple[Any, ...], op: str) -> None:
    batch, channels, height, width, filters, window, stride, padding = sizes
    weight = weights(channels, filters, window).transpose(3, 2, 0, 1) * np.float32(0.1)

    @transpile.model(x=transpile.spec("float32", (batch, channels, height, width)))
    def model(x: Any) -> Any:
        return nn.relu(nn.conv2d(x, weight, stride=stride, padding=padding) + 0.5)
    for storage in ("float32", "float16"):
        module = transpile.compile(model, targets=("js", "wasm"), weights=storage)
        found = [n.op for n in module.programs[0].graph.nodes if n.op in CONVOLUTIONS]
        assert found == [op]
        module.verify().check("model")


@pytest.mark.parametrize(("side", "stride", "products"), [
    (7, 1, (6 + 5)**2), (14, 1, (6 + 6 + 5 + 5)**2), (13, 1, (6 + 5 + 5 + 5)**2), (8, 1, 12**2),
    (13, 2, (5 + 5 + 5 + 3)**2), (15, 2, 20**2)])
def test_tiles_at_the_edge_take_no_more_products_than_they_need(
        side: int, stride: int, products: int) -> None:
    weight = weights(256, 128).transpose(3, 2, 0, 1)

    @transpile.model(x=transpile.spec("float32", (1, 256, side, side)))
    def model(x: Any) -> Any:
        return nn.conv2d(x, weight, stride=stride, padding=1)
    module = transpile.compile(model, targets=("wasm",))
    nodes = [n for n in module.programs[0].graph.nodes if n.op == "winograd_input"]
    assert [n.shape for n in nodes] == [(products, 256)]


@given(size=st.integers(2, 80), tile=st.integers(2, 4))
def test_shorter_tiles_cover_a_side_without_gaps(size: int, tile: int) -> None:
    count, cut = -(-size // tile), cut_of(size, tile)
    first = starts(count, tile, cut)
    ends = [at + tile - (r >= count - cut) for r, at in enumerate(first)]
    assert first == [0, *ends[:-1]]
    assert first[-1] < size <= ends[-1]
    assert 0 <= cut < max(count, 2)


def test_the_build_prints_the_choice(tmp_path: Path) -> None:
    source = tmp_path / "m.py"
    source.write_text(
        "import numpy as np, transpile\nfrom transpile import nn\n"
        "W = np.random.default_rng(0).standard_normal((16, 16, 3, 3)).astype('float32')\n"
        "@transpile.model(x=transpile.spec('float32', (1, 16, 26, 26)))\n"
        "def f(x):\n    return nn.conv2d(x, W)\n")
    for flags, text in (((), "1 with F(4x4)"), (("--no-winograd",), "")):
        built = CliRunner().invoke(cli, ["build", f"{source}:f", "-o", str(tmp_path / "m.mjs"),
                                         *flags])
        assert built.exit_code == 0, built.output
        assert ("winograd" in built.output) == bool(text)
        assert text in built.output
