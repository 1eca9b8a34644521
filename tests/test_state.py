"""Outputs bound to inputs: the state stays inside the module from one run to the next."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import transpile
from transpile.errors import ShapeError
from transpile.module import Module
from transpile.sources import resolve

SIZE = 6
STEPS = 7
WEIGHTS = [np.random.default_rng(1).uniform(-0.4, 0.4, shape).astype(np.float32)
           for shape in ((3 * SIZE, 4), (3 * SIZE, SIZE), (3 * SIZE,), (3 * SIZE,))]
W_X, W_H, B_X, B_H = WEIGHTS
SIGNAL = np.random.default_rng(0).standard_normal((3, STEPS, 4)).astype(np.float32)
CPU = ("js", "wasm")


def gates(x: Any, h: Any) -> Any:
    """One step of torch's GRU, on rows."""
    a, b = x @ W_X.T + B_X, h @ W_H.T + B_H
    both = transpile.nn.sigmoid(a[:, :2 * SIZE] + b[:, :2 * SIZE])
    r, z = both[:, :SIZE], both[:, SIZE:]
    n = np.tanh(a[:, 2 * SIZE:] + r * b[:, 2 * SIZE:])
    return (1 - z) * n + z * h


@transpile.model(x=transpile.spec("float32", (1, 4)), h=transpile.spec("float32", (1, SIZE)),
                 outputs=("y", "hn"))
def one(x: Any, h: Any) -> Any:
    hn = gates(x, h)
    return hn * 2, hn


@transpile.model(x=transpile.spec("float32", ("batch", 4)),
                 h=transpile.spec("float32", ("batch", SIZE)), outputs=("y", "hn"))
def rows(x: Any, h: Any) -> Any:
    hn = gates(x, h)
    return hn * 2, hn


@transpile.model(x=transpile.spec("float32", (2,)), a=transpile.spec("float32", (2,)),
                 b=transpile.spec("float32", (2,)), outputs=("y", "a2", "b2"))
def shift(x: Any, a: Any, b: Any) -> Any:
    """A shift register: the new `b` is nothing but `a`."""
    return x + 10 * a + 100 * b, x + 0, a


@transpile.model(n=transpile.spec("int32", ()), seen=transpile.spec("uint8", (300,)),
                 any=transpile.spec("bool", (2,)), outputs=("total", "seen2", "any2"))
def counts(n: Any, seen: Any, any: Any) -> Any:
    marked = seen | (np.arange(300) == n).astype(np.uint8)
    return marked.astype(np.int32).sum(), marked, any | (n == 7)


@transpile.model(x=transpile.spec("float32", ("length",)), last=transpile.spec("float32", (1,)),
                 outputs=("y", "end"))
def running(x: Any, last: Any) -> Any:
    """A running sum over chunks of any length."""
    y = np.cumsum(x) + last
    return y, y[-1:]


def whole(signal: np.ndarray = SIGNAL) -> np.ndarray:
    """What torch gives for the whole of a signal, [row, step, feature]."""
    torch = pytest.importorskip("torch")
    gru = torch.nn.GRU(4, SIZE, batch_first=True)
    with torch.no_grad():
        for parameter, weight in zip(gru.parameters(), WEIGHTS, strict=True):
            parameter.copy_(torch.from_numpy(weight))
        result: np.ndarray = 2 * gru(torch.from_numpy(signal))[0].numpy()
    return result


def run_script(node: str, folder: Path, module: Module, script: str) -> Any:
    """What `script` gives to `show(value)`; `api` is the module."""
    module.save(folder / "model.mjs")
    (folder / "main.mjs").write_text(f"""
import * as api from './model.mjs';
const show = (value) => console.log(JSON.stringify(value, (key, item) =>
  ArrayBuffer.isView(item) ? Array.from(item) : item));
const message = async (action) => {{
  try {{ await action(); return null; }} catch (error) {{ return error.message; }}
}};
const signal = {json.dumps(SIGNAL.tolist())};
{script}
""")
    done = subprocess.run([node, "main.mjs"], cwd=folder, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("target", CPU)
def test_steps_equal_the_whole_sequence_of_torch(node: str, tmp_path: Path, target: str) -> None:
    module = transpile.compile(one, targets=CPU, state={"h": "hn"})
    first, tested, again = run_script(node, tmp_path, module, f"""
      const model = await api.load({{ target: '{target}' }});
      const stream = async (each) => {{
        const results = [];
        for (const x of signal[0]) {{
          results.push(await model.run({{ x }}));
          if (each) each(await model.selfTest());
        }}
        return results;
      }};
      const first = await stream();
      model.reset();
      const tests = [];
      const tested = await stream((test) => tests.push(test.ok));
      model.reset();
      show([first, [tested, tests], await stream()]);""")
    assert [sorted(r) for r in first] == [["y"]] * STEPS
    np.testing.assert_allclose([r["y"]["data"] for r in first], whole()[0], atol=1e-6)
    assert again == first
    assert tested == [first, [True] * STEPS]


LSTM = """<ir_version: 10, opset_import: ["": 18]>
lstm (float[T, 1, 4] x, float[1, 1, 5] h, float[1, 1, 5] c)
    => (float[T, 1, 1, 5] y, float[1, 1, 5] hn, float[1, 1, 5] cn)
    <float[1, 20, 4] w, float[1, 20, 5] r>
{ y, hn, cn = LSTM <hidden_size: int = 5> (x, w, r, , , h, c) }"""


def lstm() -> onnx.ModelProto:
    rng = np.random.default_rng(1)
    proto = onnx.parser.parse_model(LSTM)
    for name, shape in (("w", (1, 20, 4)), ("r", (1, 20, 5))):
        values = rng.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return proto


@pytest.mark.parametrize("chunks", [(1,) * STEPS, (3, 1, 2, 1)])
@pytest.mark.parametrize("target", CPU)
def test_chunks_equal_the_whole_sequence_of_onnxruntime(node: str, tmp_path: Path, target: str,
                                                        chunks: tuple[int, ...]) -> None:
    proto = lstm()
    zeros = np.zeros((1, 1, 5), np.float32)
    session = onnxruntime.InferenceSession(proto.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    x = SIGNAL[0][:, None]
    wanted, *_ = session.run(None, {"x": x, "h": zeros, "c": zeros})
    onnx.save(proto, tmp_path / "lstm.onnx")
    module = transpile.compile(resolve(str(tmp_path / "lstm.onnx")),
                               targets=CPU, state={"h": "hn", "c": "cn"})
    assert module.verify().ok
    found = run_script(node, tmp_path, module, f"""
      const model = await api.load({{ target: '{target}' }});
      const results = [];
      let at = 0;
      for (const length of {list(chunks)}) {{
        const x = signal[0].slice(at, at += length).map((row) => [row]);
        results.push(...model.runSync(x).y.data);
      }}
      show(results);""")
    np.testing.assert_allclose(found, wanted.ravel(), atol=1e-6)


@pytest.mark.parametrize("options", [
    {}, {"weights_file": True}, {"threads": True}, {"minify": True}, {"weights": "float16"}])
def test_rows_have_states_of_their_own(node: str, tmp_path: Path, options: dict[str, Any]) -> None:
    module = transpile.compile(rows, targets=CPU, state={"h": "hn"}, **options)
    found = run_script(node, tmp_path, module, """
      const model = await api.load({ threads: 2 });
      const step = (rows, t) => model.runSync({ x: rows.map((row) => signal[row][t]) }).y.data;
      const results = signal[0].map((_, t) => step([0, 1, 2], t));
      const refused = await message(() => step([0, 1, 2, 0, 1, 2, 0, 1, 2], 0));
      const later = step([0, 1, 2], 0);
      model.reset();
      const more = [0, 1].map((t) => step([2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0], t));
      model.dispose();
      show([results, refused, later, more]);""")
    results, refused, later, more = found
    loose = 1e-2 if options.get("weights") else 1e-6
    np.testing.assert_allclose(np.reshape(results, (STEPS, 3, SIZE)).swapaxes(0, 1), whole(),
                               atol=loose)
    assert refused == ("the state is that of batch = 3, here it is 9: call reset() first, or give "
                       "the state")
    beginning = np.concatenate([SIGNAL, SIGNAL[:, :1]], axis=1)
    after = whole(beginning)[:, -1]
    np.testing.assert_allclose(later, after.ravel(), atol=loose)
    np.testing.assert_allclose(np.reshape(more, (2, 12, SIZE)).swapaxes(0, 1),
                               np.tile(whole()[::-1, :2], (4, 1, 1)), atol=loose)


@pytest.mark.parametrize("target", CPU)
def test_a_state_is_given_once_and_handed_out_on_request(node: str, tmp_path: Path,
                                                         target: str) -> None:
    module = transpile.compile(one, targets=CPU, state={"h": "hn"})
    found = run_script(node, tmp_path, module, f"""
      const model = await api.load({{ target: '{target}', returnState: true }});
      const other = await api.load({{ target: '{target}', reuse: true }});
      const [a, b, c, d] = signal[0];
      const kept = [a, b].map((x) => model.runSync(x))[1];
      other.runSync({{ x: d }});
      other.runSync({{ x: c, h: kept.hn }});
      model.runSync(c);
      const wrong = [await message(() => model.run({{ h: kept.hn }})),
        await message(() => model.run({{ x: a, hn: kept.hn }})),
        await message(() => model.run({{ x: a, h: [[1]] }}))];
      show([model.runSync(d).y.data, other.runSync(d).y.data, Object.keys(kept), wrong,
        api.inputs[1], api.outputs[1]]);
      other.dispose();
      other.reset();
      """)
    ours, others, keys, wrong, given, result = found
    np.testing.assert_allclose(ours, whole()[0, 3], atol=1e-6)
    assert others == ours
    assert keys == ["y", "hn"]
    assert wrong == ["expected the inputs {x, h}, got {h}", "expected the inputs {x}, got {x, hn}",
                     "input 'h': expected float32[1, 6], got Array[1, 1]"]
    assert given == {"name": "h", "dtype": "float32", "shape": [1, SIZE], "state": "hn"}
    assert result == {"name": "hn", "dtype": "float32", "shape": [1, SIZE], "state": "h"}


@pytest.mark.parametrize("target", CPU)
@pytest.mark.parametrize("state", [{"a": "a2", "b": "b2"}, {"b": "b2", "a": "a2"}])
def test_a_shift_register(node: str, tmp_path: Path, target: str, state: dict[str, str]) -> None:
    module = transpile.compile(shift, targets=CPU, state=state)
    assert module.verify().ok
    found = run_script(node, tmp_path, module, f"""
      const model = await api.load({{ target: '{target}' }});
      show([1, 2, 3, 4].map((x) => model.runSync([x, -x]).y.data[0]));""")
    assert found == [1, 12, 123, 234]


@pytest.mark.parametrize("target", CPU)
def test_integers_and_bools(node: str, tmp_path: Path, target: str) -> None:
    module = transpile.compile(counts, targets=CPU,
                               state={"seen": "seen2", "any": "any2"})
    found = run_script(node, tmp_path, module, f"""
      const model = await api.load({{ target: '{target}', returnState: true }});
      show([3, 299, 3, 7, 7].map((n) => model.runSync(n)).map((r) =>
        [r.total.data[0], r.any2.data]));""")
    assert found == [[1, [0, 0]], [2, [0, 0]], [2, [0, 0]], [3, [1, 1]], [3, [1, 1]]]


@pytest.mark.parametrize("target", CPU)
def test_memory_that_grows_keeps_the_state(node: str, tmp_path: Path, target: str) -> None:
    module = transpile.compile(running, targets=CPU, state={"last": "end"})
    found = run_script(node, tmp_path, module, f"""
      const model = await api.load({{ target: '{target}' }});
      const lengths = [1, 40000, 3, 90000, 2];
      show(lengths.map((n) => model.runSync(new Float32Array(n).fill(1)).y.data[n - 1]));""")
    assert found == np.cumsum([1, 40000, 3, 90000, 2]).tolist()


@transpile.model(h=transpile.spec("float32", (2,)), outputs=("hn",))
def clock(h: Any) -> Any:
    return h + 1


def test_a_model_of_nothing_but_state(node: str, tmp_path: Path) -> None:
    module = transpile.compile(clock, state={"h": "hn"})
    assert run_script(node, tmp_path, module, """
      const model = await api.load({ returnState: true });
      show([await model.run(), model.runSync({}), await api.predict()].map((r) => r.hn &&
        r.hn.data));""") == [[1, 1], [2, 2], None]
    assert "run(given?: Given)" in module.dts


def test_python_runs_begin_at_zero() -> None:
    module = transpile.compile(one, targets=CPU, state={"h": "hn"})
    for target in CPU:
        for _ in range(2):
            got = module.run({"x": SIGNAL[0, :1]}, target)
            np.testing.assert_allclose(got["y"][0], whole()[0, 0], atol=1e-6)
            np.testing.assert_allclose(2 * got["hn"], got["y"], atol=1e-6)
    assert module.verify().ok


@pytest.mark.parametrize(("model", "state", "text"), [
    (one, {"g": "hn"}, "'g' is no input"),
    (one, {"h": "gn"}, "'gn' is no output"),
    (one, {"x": "hn"}, r"x is float32\[1, 4\], hn is float32\[1, 6\]"),
    (shift, {"a": "a2", "b": "a2"}, "a2 is bound to more than one"),
    (counts, {"any": "seen2"}, r"any is bool\[2\], seen2 is uint8\[300\]"),
    (clock, {"h": "hn"}, "")])
def test_wrong_bindings_are_refused(model: Any, state: dict[str, str], text: str) -> None:
    if not text:
        with pytest.raises(ShapeError, match="the size n of the state h follows from no other"):
            transpile.compile(clock, {"h": transpile.spec("float32", ("n",))}, state=state)
        return
    with pytest.raises(ShapeError, match=text):
        transpile.compile(model, state=state)


def test_without_state_nothing_is_different() -> None:
    plain = transpile.compile(one)
    assert plain.source == transpile.compile(one, state={}).source
    assert "reset" not in plain.source + plain.dts
    bound = transpile.compile(one, state={"h": "hn"})
    assert bound.content_hash != plain.content_hash
    assert "// state    h = hn" in bound.source
    assert '"h"?: Value' in bound.dts
    assert '"hn"?: {' in bound.dts


def test_the_command_line(node: str, tmp_path: Path) -> None:
    import sys
    (tmp_path / "model.py").write_text(
        "import transpile\n"
        "@transpile.model(x='float32[2]', h='float32[2]', outputs=('y', 'hn'))\n"
        "def net(x, h):\n    hn = h / 2 + x\n    return hn * 3, hn\n")

    def command(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "transpile", *args], cwd=tmp_path,
                              capture_output=True, text=True, check=False)
    build = command("build", "model.py:net", "-o", "net.mjs", "--state", "h=hn", "-q")
    assert build.returncode == 0, build.stderr
    assert command("verify", "net.mjs", "model.py:net").returncode == 0
    np.save(tmp_path / "x.npy", np.array([1, 2], np.float32))
    run = command("run", "net.mjs", "--input", "x=x.npy")
    assert "[3. 6.]" in run.stdout, run.stderr
    for value, text in (("h", "is not INPUT=OUTPUT"), ("h=no", "'no' is no output")):
        wrong = command("build", "model.py:net", "-o", "net.mjs", "--state", value)
        assert wrong.returncode == 2
        assert text in wrong.stderr
    page = command("build", "model.py:net", "-o", "net.html", "--state", "h=hn", "-q")
    assert page.returncode == 0, page.stderr
    html = (tmp_path / "net.html").read_text()
    assert "<h2>x " in html
    assert "<h2>h " not in html
    assert "<h2>hn " not in html
