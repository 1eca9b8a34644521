"""The html page in a real browser: controls that suit the inputs, and live results."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from emit_programs import Builder, copies, emit, line, program, weighted

import transpile
from transpile.emit.options import PageOptions
from transpile.emit.page import control
from transpile.ir.dims import Dim, dim
from transpile.ir.types import TensorType
from transpile.lower.stmt import Kernel
from transpile.program import Port, Program

if TYPE_CHECKING:
    from conftest import FilePage

BATCH = dim("batch")


@pytest.mark.parametrize(("dtype", "shape", "kind"), [
    ("float32", (BATCH, 1), "numbers"), ("float32", (), "numbers"), ("bool", (4, 4), "numbers"),
    ("float32", (BATCH, 1, 28, 28), "drawing"), ("float32", (BATCH, 8, 8, 1), "drawing"),
    ("uint8", (16, 16), "drawing"), ("float32", (BATCH, 3, 224, 224), "picture"),
    ("float32", (1, 96, 96, 3), "picture"), ("uint8", (3, 32, 32), "picture"),
    ("uint8", (dim("H"), dim("W"), 4), "picture"), ("uint8", (40, 50, 4), "picture"),
    ("float32", (BATCH, 3, dim("H"), dim("W")), "picture"),
    ("uint8", (dim("H"), 48, 3), "picture"), ("float32", (dim("H"), dim("W"), 4), "numbers"),
    ("int32", (BATCH, 64), "list"), ("int32", (dim("n"),), "list"), ("float32", (20,), "list"),
    ("float32", (BATCH, 100, 200), "list"), ("float32", (3, 5), "numbers"),
])
def test_controls(dtype: str, shape: tuple[Dim, ...], kind: str) -> None:
    assert control(Port("x", TensorType(dtype, shape), "x"))["kind"] == kind


def echo(dtype: str, shape: tuple[Dim, ...], take: int = 6) -> Program:
    """Gives the first six elements of an input."""
    builder = Builder()
    builder.add("x", "input", TensorType(dtype, shape))
    builder.add("y", "output", TensorType(dtype, (take,)))
    names = ("batch",) if any(not isinstance(d, int) for d in shape) else ()
    args = (builder.argument("x"), builder.argument("y", True))
    return program("echo", builder, [("x", "x")], [("y", "y")],
                   [Kernel("y", args, names, (), "copy")], names)


def open_page(file_page: FilePage, folder: Path, model: Program, **page: Any) -> Any:
    path = folder / "page.html"
    path.write_text(emit(model, format="html", page=PageOptions(**page)).code, encoding="ascii")
    opened = file_page.open(path)
    opened.wait_for_selector("body[data-ready]")
    assert file_page.errors == []
    return opened


@pytest.mark.browser
def test_number_boxes(file_page: FilePage, tmp_path: Path) -> None:
    page = open_page(file_page, tmp_path, line(), title="A <line>", text="y = 3x - 1 & so on")
    assert page.title() == "A <line>"
    assert page.text_content("#output-0") == "2"
    page.fill("#input-0 input", "10")
    page.click("#predict")
    page.wait_for_selector("#output-0[data-best='29']")
    page.fill("#input-0 input", "-0.5")  # live, without the button
    page.wait_for_selector("#output-0[data-best='-2.5']")
    assert "ms on js" in page.text_content("#status")


@pytest.mark.browser
def test_bars_and_labels(file_page: FilePage, tmp_path: Path) -> None:
    page = open_page(file_page, tmp_path, copies(("float32",)), labels={
        "float32_out": ["a", "b", "c", "d", "e", "f"]},
        examples={"float32": [[0.1, 0.1, 0.2], [0.5, 0.05, 0.05]]})
    assert page.get_attribute("#output-0", "data-best") == "d"
    assert page.locator("#output-0 .bar").count() == 6
    assert page.text_content(".bar.best .value") == "50.0 %"


@pytest.mark.browser
def test_drawing(file_page: FilePage, tmp_path: Path) -> None:
    page = open_page(file_page, tmp_path, echo("float32", (BATCH, 1, 6, 6)),
                     ranges={"x": (0, 16)})

    def values() -> list[float]:
        return [float(v) for v in page.locator("#output-0 .value").all_text_contents()]

    assert values() == [0] * 6
    box = page.locator("#input-0 canvas").bounding_box()
    page.mouse.move(box["x"], box["y"] + box["height"] / 12)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 12, steps=5)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#output-0').dataset.best !== '0' || "
                           "document.querySelector('.best .value').textContent !== '0'")
    page.click("#predict")
    drawn = values()
    assert min(drawn[:3]) > 8
    assert drawn[4:] == [0, 0]
    assert max(drawn) <= 16
    page.click("text=Clear")
    page.wait_for_function("document.querySelector('.best .value').textContent === '0'")


@pytest.mark.browser
def test_number_list(file_page: FilePage, tmp_path: Path) -> None:
    page = open_page(file_page, tmp_path, echo("int32", (BATCH, 20)))
    page.fill("#input-0 textarea", "3, 1, 40")
    page.wait_for_selector("#output-0[data-best='2']")
    page.fill("#input-0 textarea", "3, 1.5")
    page.wait_for_selector("#status.error")
    assert "here [1, 20], got the value 1.5" in page.text_content("#status")


@pytest.mark.browser
def test_a_script_under_a_strict_policy(file_page: FilePage) -> None:
    """`default-src 'none'; script-src 'self'`: no violation, and the weights arrive."""
    program_ = weighted(20_000)
    script = emit(program_, format="iife").code + """
      weighted.predict(2).then((out) => { document.title = out.y.data[0]; });"""
    page = file_page.page
    headers = {"Content-Security-Policy": "default-src 'none'; script-src 'self'"}
    page.route("https://app.test/*", lambda route: route.fulfill(
        headers=headers, content_type="text/javascript" if route.request.url.endswith("js") else
        "text/html", body=script if route.request.url.endswith("js") else
        "<!doctype html><title></title><link rel=icon href=data:,><script src=m.js></script>"))
    file_page.errors.clear()
    page.goto("https://app.test/")
    page.wait_for_function("document.title")
    assert float(page.title()) == 2 * float(program_.weights["w"].sum())
    assert not [e for e in file_page.errors if "icon" not in e and "img-src" not in e]


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """A file with pixels uint8[height, width, 4]."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(b"\x89PNG\r\n\x1a\n"
                     + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


@pytest.mark.browser
def test_picture(file_page: FilePage, tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0], pixels[..., 3] = 255, 255  # red all over
    page = open_page(file_page, tmp_path, echo("float32", (1, 8, 8, 3)))
    page.set_input_files("#input-0 input[type=file]", write_png(tmp_path / "red.png", pixels))
    page.wait_for_function("document.querySelector('.best .value').textContent === '1'")
    values = page.locator("#output-0 .value").all_text_contents()
    assert values == ["1", "0", "0", "1", "0", "0"]


def double(x: Any) -> Any:
    return x.astype(np.float32) * 2


@pytest.mark.browser
@pytest.mark.parametrize(("type_", "scaled"), [
    ("uint8[H, W, 4]", (15, 25)), ("uint8[1, 3, H, W]", (15, 25)), ("uint8[H, 50, 4]", (30, 50)),
    ("uint8[40, 60, 4]", (40, 60))])
def test_pictures_of_their_own_size(file_page: FilePage, tmp_path: Path, type_: str,
                                    scaled: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (15, 25, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    path = tmp_path / "page.html"
    transpile.build(double, path, {"x": type_}, ["js"], verify=False)
    page = file_page.open(path)
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#input-0 input[type=file]", write_png(tmp_path / "some.png", pixels))
    height, width = scaled
    shape = f"1, 3, {height}, {width}" if "3" in type_ else f"{height}, {width}, 4"
    page.wait_for_function("text => document.querySelector('.values')?.innerText.includes(text)",
                           arg=f"[{shape}]")
    values = page.text_content(".values").split("]: ")[1].split(", ")[:20]
    if scaled == (15, 25):
        seen = pixels[0, :20, 0] if "3" in type_ else pixels.ravel()[:20]
        assert [float(v) for v in values] == [2.0 * v for v in seen]
    assert page.evaluate("c => [c.height, c.width]", page.query_selector("canvas")) == [*scaled]
    assert file_page.errors == []


@pytest.mark.browser
def test_a_lost_canvas_gets_its_picture_back(file_page: FilePage, tmp_path: Path) -> None:
    """Browsers may lose canvases with the WebGL contexts that measuring gives back."""
    page = open_page(file_page, tmp_path, echo("uint8", (1, 8, 8, 4)))
    pixels = np.full((8, 8, 4), 255, np.uint8)
    page.set_input_files("#input-0 input[type=file]", write_png(tmp_path / "white.png", pixels))
    page.wait_for_function("document.querySelector('.best .value').textContent === '255'")
    corner = """() => {
      const canvas = document.querySelector('canvas');
      if (!%d) canvas.width = canvas.width;  // empties it
      else canvas.dispatchEvent(new Event('contextrestored'));
      return canvas.getContext('2d').getImageData(0, 0, 1, 1).data[0];
    }"""
    assert page.evaluate(corner % 0) == 0
    page.click("#predict")
    assert page.locator("#output-0 .value").first.text_content() == "255"
    assert page.evaluate(corner % 1) == 255


@pytest.mark.browser
def test_a_file_that_is_no_picture(file_page: FilePage, tmp_path: Path) -> None:
    page = open_page(file_page, tmp_path, echo("float32", (1, 8, 8, 3)))
    (tmp_path / "notes.txt").write_text("no picture")
    page.set_input_files("#input-0 input[type=file]", tmp_path / "notes.txt")
    page.wait_for_selector("#status.error")
    assert "notes.txt is no image" in page.text_content("#status")


@transpile.model(x=transpile.spec("float32", (2,)), h=transpile.spec("float32", (2,)),
                 outputs=("total", "hn"))
def running(x: Any, h: Any) -> Any:
    """The sum of all that was given so far."""
    hn = x + h
    return hn.sum(), hn


@pytest.mark.browser
@pytest.mark.parametrize("target", ["js", "wasm"])
def test_reset_of_a_state(file_page: FilePage, tmp_path: Path, target: str) -> None:
    path = tmp_path / "page.html"
    transpile.build(running, path, targets=[target], state={"h": "hn"}, verify=False)
    page = file_page.open(path)
    page.wait_for_selector("body[data-ready]")
    for total in ("2", "4", "6"):
        page.wait_for_selector(f"#output-0[data-best='{total}']")
        page.click("#predict")
    page.wait_for_selector("#output-0[data-best='8']")
    page.click("#reset")
    assert page.text_content("#status") == "Reset: the next run begins with a state of zeros"
    assert page.text_content("#output-0") == "8"
    page.click("#predict")
    page.wait_for_selector("#output-0[data-best='2']")
    assert f"ms on {target}" in page.text_content("#status")
    assert file_page.errors == []


def test_only_a_state_has_a_reset() -> None:
    assert 'id="reset"' not in emit(line(), format="html").code
