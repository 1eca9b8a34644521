"""Weights in a file beside the module: found, streamed, checked; what is said where that fails."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from benchmarks.browser import served
from transpile import nn
from transpile.api import verify
from transpile.emit.check import GLOBALS, free_names
from transpile.emit.weights import content_digits, file_name
from transpile.errors import SourceError
from transpile.module import files_beside, read_module, stored_as
from transpile.stages import FILE_GLOBALS

RNG = np.random.default_rng(2)
W1 = RNG.standard_normal((64, 48)).astype(np.float32)
W2 = RNG.standard_normal((48, 10)).astype(np.float32)
BIG = RNG.standard_normal((2048, 3072)).astype(np.float32)  # 25 MB


@transpile.model(x=transpile.spec("float32", ("batch", 64)))
def dense(x: Any) -> Any:
    return nn.softmax(np.maximum(x @ W1, 0) @ W2)


@transpile.model(x=transpile.spec("float32", (4, 2048)))
def wide(x: Any) -> Any:
    return x @ BIG


def build(folder: Path, out: str = "m.mjs", **options: Any) -> Path:
    """A built module; its weights lie beside it."""
    path = folder / out
    options = {"weights_file": True, "verify": False, "targets": ("js", "wasm"), **options}
    transpile.build(options.pop("model", dense), path, **options)
    return path


def weights_of(path: Path) -> Path:
    found, = path.parent.glob("*.bin")
    return found


def node_run(node: str, folder: Path, script: str) -> Any:
    """What a script prints as JSON; it may load `./m.mjs`."""
    (folder / "run.mjs").write_text(script)
    done = subprocess.run([node, folder / "run.mjs"], capture_output=True, text=True, check=False,
                          timeout=120, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("options", [{}, {"weights_file": False, "threads": True, "model": wide}])
def test_bundlers_for_browsers_do_not_look_for_node(tmp_path: Path, options: Any) -> None:
    """They follow constants: only an argument's value is unknown to all of them."""
    text = build(tmp_path, **options).read_text()
    found = re.findall(r"^function (\w+)\((\w+)\) \{\n  return import\((.*)\);$", text, re.M)
    assert found == [("nodeModule", "name", "/* webpackIgnore: true */ /* @vite-ignore */ name")]
    assert text.count("import(") == 1
    assert not re.search(r"""\brequire\(|\bfrom ['"]""", text)


FAILS = """
import { load } from './m.mjs';
const options = %s;
load(options).then(() => 'loaded', (error) => error.message)
  .then((text) => console.log(JSON.stringify(text)));
"""


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
@pytest.mark.parametrize("out", ["m.mjs", "m.cjs", "m.html"])
def test_built_verified_and_run(tmp_path: Path, out: str, storage: str) -> None:
    path = build(tmp_path, out, weights=storage, verify=True)
    source, kind = read_module(path)
    assert stored_as(source) == (storage, weights_of(path).name)
    assert len(source) < 60_000
    assert verify(path, dense).verified.keys() == {"js", "wasm"}
    assert list(files_beside(path, source)) == [weights_of(path).name]
    assert kind == {"m.mjs": "esm", "m.cjs": "cjs", "m.html": "iife"}[out]


def test_module_parses_and_uses_little_more(tmp_path: Path) -> None:
    found = free_names(build(tmp_path).read_text())
    plain = free_names(build(tmp_path, "plain.mjs", weights_file=False).read_text())
    assert found - plain - GLOBALS <= FILE_GLOBALS
    assert "fetch" in found
    assert not plain & FILE_GLOBALS


def test_digits_depend_on_every_word_and_its_place() -> None:
    data = RNG.integers(0, 256, 4_300_000, dtype=np.uint8).tobytes()  # more than one block
    changed = [data[:-1] + bytes([data[-1] ^ 1]), data[4:8] + data[:4] + data[8:], data + bytes(4),
               data[:-4]]
    digits = {content_digits([d]) for d in (data, *changed)}
    assert len(digits) == 1 + len(changed)
    name = file_name("../Größe 1", [data[:5], data[5:]])
    assert name == f"Gr-e-1.{content_digits([data])}.bin"


def test_progress_and_other_ways_in(tmp_path: Path, node: str) -> None:
    path = build(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    weights = weights_of(path)
    x = RNG.standard_normal((2, 64)).astype(np.float32)
    found = node_run(node, tmp_path, f"""
import fs from 'fs';
import {{ load }} from './m.mjs';
const x = {{ data: {x.ravel().tolist()}, shape: [2, 64] }};
const bytes = fs.readFileSync({str(weights)!r});
const seen = [];
const results = [];
const place = {str(tmp_path / 'elsewhere' / 'w.bin')!r};
fs.renameSync({str(weights)!r}, place);
for (const options of [{{ weights: bytes }}, {{ weights: new Uint8Array(bytes).buffer }},
  {{ weightsUrl: place, onProgress: (p) => seen.push(p) }}, {{ weightsUrl: 'file://' + place }}]) {{
  const model = await load(options);
  results.push(Array.from(model.runSync({{ x }}).output.data));
}}
console.log(JSON.stringify({{ seen, results }}));
""")
    for result in found["results"]:
        np.testing.assert_allclose(np.reshape(result, (2, 10)), dense(x), rtol=1e-4, atol=1e-6)
    size = (tmp_path / "elsewhere" / "w.bin").stat().st_size
    assert found["seen"][-1] == {"stage": "weights", "done": size, "total": size}


@pytest.mark.parametrize("sizes", [(13, 5), (33, 7), (9, 50)])
def test_any_number_of_weights_is_checked_alike_in_js_and_wasm(tmp_path: Path, node: str,
                                                               sizes: tuple[int, int]) -> None:
    """They are hashed four words at a time in wasm, and the file is as long as that needs."""
    matrix, bias = (RNG.standard_normal(s).astype(np.float32) for s in (sizes, sizes[1:]))

    @transpile.model(x=transpile.spec("float32", sizes[:1]))
    def model(x: Any) -> Any:
        return x @ matrix + bias
    path = build(tmp_path, model=model)
    assert weights_of(path).stat().st_size % 16 == 0
    load = "load({{ target: '{}' }}).then((m) => m.target, (e) => e.message)"
    both = ", ".join(load.format(target) for target in ("js", "wasm"))
    script = f"""
import {{ load }} from './m.mjs';
console.log(JSON.stringify(await Promise.all([{both}])));
"""
    assert node_run(node, tmp_path, script) == ["js", "wasm"]
    damage(weights_of(path), "changed")
    assert all("not the weights of" in told for told in node_run(node, tmp_path, script))


def damage(path: Path, options: str) -> str:
    """What is done to the file of weights before it is loaded."""
    data = path.read_bytes()
    changed = {"missing": None, "changed": data[:99] + bytes([data[99] ^ 4]) + data[100:],
               "short": data[:-16]}.get(options, data)
    path.unlink()
    if changed is not None:
        path.write_bytes(changed)
    return "{ weights: new ArrayBuffer(32) }" if options == "given" else "{}"


@pytest.mark.parametrize(("what", "told"), [
    ("missing", "no such file"), ("changed", "not the weights of this module"),
    ("short", "it ends after"), ("given", "32 bytes instead of")])
def test_what_is_wrong_is_told(tmp_path: Path, node: str, what: str, told: str) -> None:
    path = build(tmp_path)
    name = weights_of(path).name
    found = node_run(node, tmp_path, FAILS % damage(weights_of(path), what))
    assert told in found
    assert f"put {name} beside the module, or give load({{ weightsUrl }})" in found


def test_verify_says_that_the_file_is_missing(tmp_path: Path) -> None:
    path = build(tmp_path)
    weights_of(path).unlink()
    with pytest.raises(SourceError, match="beside the module"):
        verify(path, dense)


@pytest.mark.parametrize("out", ["m.mjs", "m.cjs", "m.html"])
def test_building_again_takes_the_former_file_away(tmp_path: Path, out: str) -> None:
    path = build(tmp_path, out)
    former, other = weights_of(path), tmp_path / "other.0123456789abcdef.bin"
    other.write_bytes(b"not ours")
    build(tmp_path, out)
    assert former.exists()
    build(tmp_path, out, weights="float16")
    assert not former.exists()
    assert other.exists()
    assert files_beside(path, path.read_text())
    build(tmp_path, out, weights_file=False)
    assert list(tmp_path.glob("*.bin")) == [other]


def test_a_file_that_another_module_reads_stays(tmp_path: Path) -> None:
    first, second = build(tmp_path, "a.mjs"), build(tmp_path, "b.cjs")
    shared = weights_of(first)
    build(tmp_path, "a.mjs", weights="float16")
    assert shared.exists()
    assert files_beside(second, second.read_text())


@pytest.mark.parametrize("name", ["../precious.0123456789abcdef.bin", "precious.bin"])
def test_only_what_a_module_would_call_its_file_goes(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "built"
    folder.mkdir()
    precious = folder / name
    precious.touch()
    (folder / "m.mjs").write_text(f"// m: made by transpile 0.1.0\n// weights  float32 {name}\n")
    build(folder)
    assert precious.exists()


def test_cache_looks_for_the_file(tmp_path: Path) -> None:
    path = build(tmp_path)
    assert transpile.build(dense, path, weights_file=True, cache=True, targets=("js", "wasm")
                           ) is None
    weights_of(path).unlink()
    assert transpile.build(dense, path, weights_file=True, cache=True, verify=False,
                           targets=("js", "wasm")) is not None
    assert weights_of(path).is_file()


MEMORY = """
import { performance } from 'perf_hooks';
const before = process.resourceUsage().maxRSS;
const { load } = await import('./m.mjs');
const start = performance.now();
const model = await load();
const ms = performance.now() - start;
const x = { data: new Float32Array(4 * 2048).fill(1), shape: [4, 2048] };
const first = model.runSync({ x }).output.data[0];
console.log(JSON.stringify([process.resourceUsage().maxRSS - before, first, ms, model.target]));
"""


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_memory_at_the_peak(tmp_path: Path, node: str, storage: str) -> None:
    module = transpile.compile(wide, weights=storage, weights_file=True, targets=("js", "wasm"))
    module.save(tmp_path / "m.mjs")
    kilobytes, first, _, target = node_run(node, tmp_path, MEMORY)
    assert target == "wasm"
    assert first == pytest.approx(BIG[:, 0].sum(), abs=0.1)
    memory = module.report.memory
    assert isinstance(memory, int)
    weights = module.report.weight_bytes
    arena = memory - weights  # what is made of weights included
    assert kilobytes * 1024 <= weights + 1.3 * arena + 10e6


@pytest.mark.browser
def test_browser_finds_the_file_beside_the_module(tmp_path: Path) -> None:
    """A module, a script and a page; page and module lie in different folders."""
    from transpile.verify.browser import launch
    (tmp_path / "js").mkdir()
    build(tmp_path / "js")
    build(tmp_path / "js", "m.js", format="iife")
    build(tmp_path, "page.html")
    (tmp_path / "index.html").write_text("<script src=js/m.js></script>")
    x = RNG.standard_normal((1, 64)).astype(np.float32)
    given = {"data": x.ravel().tolist(), "shape": [1, 64]}
    browser = launch()
    page = browser.new_page()
    with served(tmp_path) as address:
        page.goto(f"{address}/index.html")
        for api in ("import('./js/m.mjs')", "dense"):
            got = page.evaluate(f"async (x) => {{ const api = await {api};"
                                " const { output } = await (await api.load()).run({ x });"
                                " return Array.from(output.data); }", given)
            np.testing.assert_allclose(got, dense(x)[0], rtol=1e-4, atol=1e-6)
        page.goto(f"{address}/page.html")
        page.wait_for_function("document.querySelector('#status').textContent !== 'Loading'")
        assert "no weights" not in page.inner_text("body")
    page.goto((tmp_path / "page.html").as_uri())  # where nothing may be fetched
    page.wait_for_function("document.body.innerText.includes('beside the module')")
    browser.close()


@pytest.mark.browser
def test_shaders_compile_while_the_weights_come(tmp_path: Path) -> None:
    """The file comes only when all programs are there, or far too late."""
    from transpile.verify.browser import launch
    build(tmp_path, targets=("js", "webgl"), model=wide)
    x = RNG.standard_normal((4, 2048)).astype(np.float32)
    script = """async (x) => {
      const own = window.fetch;
      let open;
      let late = false;
      const compiled = new Promise((resolve) => { open = resolve; });
      setTimeout(() => { late = true; open(); }, 60000);
      window.fetch = (...args) => compiled.then(() => own(...args));
      const onProgress = ({ stage, done, total }) => {
        if (stage === 'programs' && done === total) open();
      };
      const api = await import('/m.mjs');
      const model = await api.load({ target: 'webgl', onProgress });
      const { output } = await model.run({ x: { data: Float32Array.from(x), shape: [4, 2048] } });
      return [late, model.target, ...output.data];
    }"""
    browser = launch()
    with served(tmp_path) as address:
        page = browser.new_page()
        page.goto(address)
        late, target, *got = page.evaluate(script, x.ravel().tolist())
    browser.close()
    assert (late, target) == (False, "webgl")
    np.testing.assert_allclose(got, np.ravel(wide(x)), rtol=1e-4, atol=1e-3)
