"""Pictures as inputs: from bytes under Node, from whatever a page draws in a browser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from transpile.emit.pictures import picture_layout
from transpile.image import image
from transpile.ir.types import TensorType
from transpile.module import Module
from transpile.verify.browser import BrowserHost

POLICY = {"Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
                                     "img-src data:"}
TARGETS = ("js", "wasm", "webgl")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("type_", "layout"), [
    ("uint8[height, width, 4]", "HWC"), ("uint8[5, 7, 4]", "HWC"), ("uint8[1, 5, 7, 4]", "NHWC"),
    ("float32[1, 3, 224, 224]", "NCHW"), ("float32[batch, 3, H, W]", "NCHW"),
    ("float32[batch, 64, 48, 3]", "NHWC"), ("uint8[h, w, 3]", "HWC"), ("float32[3, 9, 9]", "CHW"),
    ("float32[batch, 1, 28, 28]", ""), ("uint8[1, 28, 28, 1]", "NHWC"),
    ("float32[height, width, 4]", ""), ("float32[batch, length, 3]", ""), ("float32[28, 28]", ""),
    ("float32[2, 3, 224, 224]", ""), ("int32[1, 3, 224, 224]", ""), ("float32[1, 28, 28]", ""),
    ("float32[1, 3, 4, 9]", ""), ("float32[1, 1, 128]", ""), ("float32[batch, 64]", "")])
def test_which_inputs_are_pictures(type_: str, layout: str) -> None:
    assert picture_layout(TensorType.parse(type_)) == layout


def identity(type_: str, **limits: float) -> transpile.Model:
    """A model that gives its input back, in float32."""
    parsed = TensorType.parse(type_)

    def same(x: Any) -> Any:
        return x.astype(np.float32) * np.float32(1)

    return transpile.Model(same, {"x": transpile.spec(parsed.dtype, parsed.shape, **limits)},
                           outputs=("y",))


def expected(pixels: np.ndarray, layout: str, channels: int, low: float, high: float,
             whole: bool) -> np.ndarray:
    """What a model with this layout must see, written in NumPy."""
    x = pixels[:, :, :3].astype(np.float64)
    if channels == 1:
        x = (x @ [0.299, 0.587, 0.114])[:, :, None]
    x = np.floor(x + 0.5) if whole else low + (high - low) * x / 255
    x = x if layout.endswith("HWC") else x.transpose(2, 0, 1)
    return x[None] if layout.startswith("N") else x


@pytest.mark.parametrize(("type_", "limits"), [
    ("float32[1, 3, 6, 8]", {}), ("float32[batch, 3, H, W]", {"low": -1, "high": 1}),
    ("float32[batch, 6, 8, 3]", {"low": 0, "high": 255}), ("uint8[h, w, 3]", {}),
    ("uint8[3, 6, 8]", {}), ("uint8[batch, 1, 6, 8]", {}), ("uint8[1, 6, 8, 1]", {})])
def test_bytes_in_every_layout(node: str, tmp_path: Path, type_: str, limits: Any) -> None:
    module = transpile.compile(identity(type_, **limits), targets=["js"])
    pixels = RNG.integers(0, 256, (6, 8, 4)).astype(np.uint8)
    parsed = TensorType.parse(type_)
    layout = picture_layout(parsed)
    wanted = expected(pixels, layout, int(parsed.shape[layout.index("C")]), limits.get("low", 0),
                      limits.get("high", 1), parsed.dtype == "uint8")
    for given in ("{ x: picture }", "picture"):
        found = run_node(node, tmp_path, module, pixels, f"({given}, model.run({given}))")
        assert found["shape"] == list(wanted.shape)
        np.testing.assert_allclose(found["data"], wanted.ravel(), atol=0.51 if
                                   parsed.dtype == "uint8" else 1e-5)


@pytest.mark.parametrize("size", [(3, 4), (12, 9), (6, 8)])
def test_scaling_is_that_of_transpile_image(node: str, tmp_path: Path,
                                            size: tuple[int, int]) -> None:
    pixels = RNG.integers(0, 256, (6, 8, 4)).astype(np.uint8)
    rows = [n * 5 for n in size]
    colours = transpile.compile(identity(f"float32[1, 3, {rows[0]}, {rows[1]}]"), targets=["js"])
    found = run_node(node, tmp_path, colours, pixels, "model.run(picture)")
    np.testing.assert_allclose(found["data"], image(rows)(pixels).ravel(), atol=1e-5)
    rgba = transpile.compile(identity(f"uint8[{rows[0]}, {rows[1]}, 4]"), targets=["js"])
    found = run_node(node, tmp_path, rgba, pixels, "model.run(picture)")
    wanted = image(rows, scale=1, layout="HWC")(pixels)
    np.testing.assert_allclose(np.reshape(found["data"], (*rows, 4))[:, :, :3], wanted, atol=0.51)


def run_node(node: str, folder: Path, module: Module, pixels: np.ndarray, call: str) -> Any:
    module.save(folder / "model.mjs")
    (folder / "main.mjs").write_text(f"""
import {{ load }} from './model.mjs';
const model = await load();
const picture = {{ data: new Uint8Array({pixels.ravel().tolist()}), width: {pixels.shape[1]},
  height: {pixels.shape[0]} }};
try {{
  const {{ data, shape }} = (await {call}).y;
  console.log(JSON.stringify({{ data: Array.from(data), shape }}));
}} catch (error) {{ console.log(JSON.stringify(error.message)); }}
""")
    done = subprocess.run([node, "main.mjs"], cwd=folder, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_pixels_go_to_the_model_as_they_are(node: str, tmp_path: Path) -> None:
    prepare = image(5, mean=0.5, std=0.25, channels="BGR")
    module = transpile.compile(prepare.before(identity("float32[1, 3, 5, 5]")), targets=["js"])
    pixels = RNG.integers(0, 256, (9, 7, 4)).astype(np.uint8)
    found = run_node(node, tmp_path, module, pixels, "model.run({ pixels: picture })")
    np.testing.assert_allclose(found["data"], np.ravel(prepare(pixels)), atol=1e-5)
    for wrong, text in (("{ data: picture.data.slice(4), width: 7, height: 9 }", "got Uint8Array"),
                        ("{ data: picture.data, width: 7, height: 0 }", "is not loaded")):
        assert text in run_node(node, tmp_path, module, pixels,
                                f"model.run({{ pixels: {wrong} }})")


def test_other_inputs_take_no_pictures(node: str, tmp_path: Path) -> None:
    module = transpile.compile(identity("float32[batch, 4]"), targets=["js"])
    assert "Picture" not in module.source + module.dts
    assert "| Picture" in transpile.compile(identity("uint8[h, w, 4]"), targets=["js"]).dts
    assert "got Object[]" in run_node(
        node, tmp_path, module, np.zeros((1, 1, 4)), "model.run({ x: picture })")


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost(headers=POLICY, timeout=300) as host:
        yield host


SOURCES = """
// Flat blocks: video has fewer colours than pixels.
function drawnCanvas(width, height, make) {
  const canvas = make ? make(width, height) : document.createElement('canvas');
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  for (let y = 0; y < height; y += 20) {
    for (let x = 0; x < width; x += 20) {
      const hue = x * 7 + y * 13;
      context.fillStyle = `rgb(${hue % 256}, ${(hue * 3) % 256}, ${(255 - hue % 256)})`;
      context.fillRect(x, y, 20, 20);
    }
  }
  return canvas;
}

export const kinds = {
  canvas: async (width, height) => drawnCanvas(width, height),
  'ImageData': async (width, height) =>
    drawnCanvas(width, height).getContext('2d').getImageData(0, 0, width, height),
  'OffscreenCanvas': async (width, height) =>
    drawnCanvas(width, height, (w, h) => new OffscreenCanvas(w, h)),
  'ImageBitmap': async (width, height) => createImageBitmap(drawnCanvas(width, height)),
  'VideoFrame': async (width, height) =>
    new VideoFrame(drawnCanvas(width, height), { timestamp: 0 }),
  img: async (width, height) => {
    const image = new Image(3, 3);
    image.src = drawnCanvas(width, height).toDataURL();
    await image.decode();
    return image;
  },
  video: async (width, height) => {
    const canvas = drawnCanvas(width, height);
    const video = document.createElement('video');
    video.muted = true;
    video.srcObject = canvas.captureStream();
    const timer = setInterval(() => canvas.getContext('2d').fillRect(0, 0, 0, 0), 20);
    await video.play();
    clearInterval(timer);
    video.pause();
    return video;
  }
};

export function bytesOf(source, width, height) {
  if (source instanceof ImageData && source.width === width) return Array.from(source.data);
  const context = drawnCanvas(width, height).getContext('2d');
  context.drawImage(source, 0, 0, width, height);
  return Array.from(context.getImageData(0, 0, width, height).data);
}
"""

MAIN = """
import * as api from './model.js';
import { kinds, bytesOf } from './sources.js';
globalThis.ready = { api, kinds, bytesOf };
"""


def opened(host: BrowserHost, module: Module) -> Any:
    page = host.open({"index.html": "<!doctype html><script type=module src=main.js></script>",
                      "main.js": MAIN, "sources.js": SOURCES, "model.js": module.source})
    page.wait_for_function("() => globalThis.ready")
    return page


@pytest.fixture(scope="module")
def pixels_module() -> Module:
    return transpile.compile(identity("uint8[height, width, 4]"), targets=TARGETS)


@pytest.mark.browser
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["canvas", "ImageData", "OffscreenCanvas", "ImageBitmap",
                                  "VideoFrame", "img", "video"])
def test_whatever_a_page_draws(host: BrowserHost, pixels_module: Module, target: str,
                               kind: str) -> None:
    found = opened(host, pixels_module).evaluate(f"""async () => {{
      const {{ api, kinds, bytesOf }} = ready;
      const model = await api.load({{ target: '{target}' }});
      let reads = 0;
      for (const {{ prototype }} of [CanvasRenderingContext2D,
        OffscreenCanvasRenderingContext2D]) {{
        const {{ getImageData }} = prototype;
        prototype.getImageData = function (...args) {{
          reads++;
          return getImageData.apply(this, args);
        }};
      }}
      const results = [];
      for (const [width, height] of [[300, 200], [37, 23]]) {{
        const source = await kinds['{kind}'](width, height);
        const wanted = bytesOf(source, width, height);
        reads = 0;
        const {{ y }} = await model.run(width === 37 ? source : {{ x: source }});
        const errors = wanted.map((byte, i) => Math.abs(byte - y.data[i]));
        const off = errors.reduce((most, error) => Math.max(most, error), 0);
        const varied = new Set(wanted).size;
        results.push([y.shape, off, varied > 3, reads]);
      }}
      const {{ target }} = model;
      model.dispose();
      return [results, target, model.skipped];
    }}""")
    results, on, skipped = found
    assert (on, skipped) == (target, [])
    sizes = [200, 300, 4], [23, 37, 4]
    for (shape, off, varied, reads), size in zip(results, sizes, strict=True):
        assert shape == size
        assert varied
        assert off <= (1 if kind == "video" else 0)
        assert reads == (0 if target == "webgl" or kind == "ImageData" else 1)
    assert host.messages == []


@pytest.mark.browser
@pytest.mark.parametrize("target", TARGETS)
def test_fixed_sizes_scale_the_picture(host: BrowserHost, target: str) -> None:
    module = transpile.compile(identity("float32[1, 3, 40, 60]", low=-1, high=1), targets=TARGETS)
    bytes_, values = opened(host, module).evaluate(f"""async () => {{
      const {{ api, kinds, bytesOf }} = ready;
      const model = await api.load({{ target: '{target}' }});
      const all = [];
      const wanted = bytesOf(await kinds.canvas(130, 90), 130, 90);
      for (const kind of ['canvas', 'ImageData', 'ImageBitmap', 'img']) {{
        const source = await kinds[kind](130, 90);
        all.push(Array.from((await model.run({{ x: source }})).y.data));
      }}
      return [wanted, all];
    }}""")
    pixels = np.reshape(bytes_, (90, 130, 4)).astype(np.uint8)
    wanted = image((40, 60), mean=0.5, std=0.5)(pixels)
    for one in values:
        np.testing.assert_allclose(np.reshape(one, (1, 3, 40, 60)), wanted, atol=1e-4)
    assert host.messages == []


@pytest.mark.browser
@pytest.mark.parametrize("target", TARGETS)
def test_pictures_in_a_worker(host: BrowserHost, pixels_module: Module, target: str) -> None:
    worker = f"""
      import {{ load }} from './model.js';
      const draw = () => {{
        const canvas = new OffscreenCanvas(30, 20);
        const context = canvas.getContext('2d');
        context.fillStyle = '#204080';
        context.fillRect(10, 0, 20, 20);
        context.fillStyle = '#fff';
        context.fillRect(0, 0, 10, 20);
        return canvas;
      }};
      load({{ target: '{target}' }}).then(async (model) => {{
        const results = [];
        for (const x of [draw(), draw().transferToImageBitmap()]) {{
          const {{ y }} = await model.run({{ x }});
          results.push([y.shape, Array.from(y.data.slice(0, 4)), Array.from(y.data.slice(-4))]);
        }}
        postMessage([results, model.target]);
      }}, (error) => postMessage(error.message));
    """
    page = host.open({"index.html": "<!doctype html>", "model.js": pixels_module.source,
                      "worker.js": worker})
    results, on = page.evaluate("""() => new Promise((resolve, reject) => {
      const worker = new Worker('worker.js', { type: 'module' });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    })""")
    assert on == target
    assert results == [[[20, 30, 4], [255] * 4, [32, 64, 128, 255]]] * 2


@pytest.mark.browser
def test_pictures_that_the_gpu_cannot_take(host: BrowserHost, pixels_module: Module) -> None:
    found = opened(host, pixels_module).evaluate("""async () => {
      const { api, kinds } = ready;
      const canvas = document.createElement('canvas');
      const model = await api.load({ target: 'webgl', canvas, debug: true });
      const source = await kinds.canvas(60, 40);
      const wanted = String((await model.run(source)).y.data);
      const same = async (one) => String((await one).y.data) === wanted;
      const results = [await same(model.runSync(source))];
      const lose = canvas.getContext('webgl2').getExtension('WEBGL_lose_context');
      const running = model.run(source);
      await null;
      lose.loseContext();
      setTimeout(() => lose.restoreContext(), 100);
      results.push(await same(running), await same(model.run(source)));
      const { texImage2D } = WebGL2RenderingContext.prototype;
      WebGL2RenderingContext.prototype.texImage2D = () => { throw new Error('not today'); };
      results.push(await same(model.run(source)));
      WebGL2RenderingContext.prototype.texImage2D = texImage2D;
      const bitmap = await kinds.ImageBitmap(60, 40);
      bitmap.close();
      const closed = await model.run(bitmap).catch((error) => error.message);
      results.push(await same(model.run(source)));
      const bytes = source.getContext('2d').getImageData(0, 0, 60, 40).data;
      results.push(await same(model.run({ x: { data: bytes, shape: [40, 60, 4] } })));
      return [results, closed, model.target, model.skipped, (await model.selfTest()).ok];
    }""")
    assert found == [[True] * 6, "input 'x': the picture is not loaded", "webgl", [], True]


@pytest.mark.browser
def test_nothing_of_a_picture_stays(host: BrowserHost, pixels_module: Module) -> None:
    found = opened(host, pixels_module).evaluate("""async () => {
      const { api, kinds } = ready;
      const live = new Set();
      const proto = WebGL2RenderingContext.prototype;
      for (const kind of ['Texture', 'Framebuffer', 'Program', 'Shader']) {
        const create = proto['create' + kind], remove = proto['delete' + kind];
        proto['create' + kind] = function (...args) {
          const made = create.apply(this, args);
          live.add(made);
          return made;
        };
        proto['delete' + kind] = function (one) {
          live.delete(one);
          return remove.call(this, one);
        };
      }
      const model = await api.load({ target: 'webgl' });
      const source = await kinds.canvas(60, 40);
      await model.run(source);
      const first = live.size;
      await model.run(source);
      const second = live.size;
      model.dispose();
      return [first === second, live.size];
    }""")
    assert found == [True, 0]


@pytest.mark.browser
def test_a_prepared_model_sees_what_python_sees(host: BrowserHost) -> None:
    prepare = image((6, 5), mean=(0.4, 0.5, 0.6), std=0.25, layout="NHWC")
    module = transpile.compile(prepare.before(identity("float32[1, 6, 5, 3]")), targets=TARGETS)
    page = opened(host, module)
    for target in TARGETS:
        bytes_, values = page.evaluate(f"""async () => {{
          const {{ api, kinds, bytesOf }} = ready;
          const model = await api.load({{ target: '{target}' }});
          const source = await kinds.canvas(64, 48);
          return [bytesOf(source, 64, 48), Array.from((await model.run(source)).y.data)];
        }}""")
        pixels = np.reshape(bytes_, (48, 64, 4)).astype(np.uint8)
        np.testing.assert_allclose(values, prepare(pixels).ravel(), atol=1e-4)
