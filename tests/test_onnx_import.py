"""The importer: sizes that stay symbolic, shape arithmetic, fixed inputs, control flow, names."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from rich.console import Console

import transpile
from transpile.errors import ShapeError, SourceError, TranspileError, UnsupportedError
from transpile.frontends.onnx import OnnxModel, import_model
from transpile.frontends.onnx_coverage import coverage
from transpile.frontends.onnx_values import ValueNeededError
from transpile.ir.dims import dim
from transpile.ir.types import TensorType


def model(text: str, opset: int = 18) -> Any:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> m {text}')


def agrees(proto: Any, feeds: dict[str, np.ndarray], inputs: dict[str, Any] | None = None,
           module: Any = None) -> Any:
    """The module of a model, after one run against onnx's own evaluator."""
    module = module or transpile.compile(OnnxModel(proto), inputs, ["js"])
    ports = {p.name for p in module.programs[0].inputs}
    found = module.run({n: v for n, v in feeds.items() if n in ports})
    wanted = ReferenceEvaluator(proto).run(None, feeds)
    for info, want in zip(proto.graph.output, wanted, strict=True):
        np.testing.assert_allclose(found[info.name], want, rtol=1e-5, atol=1e-6)
    return module


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


FLATTEN = """(float[N, 3, H, W] x) => (float[N, K] y) {
    s = Shape(x)
    zero = Constant<value_ints: ints = [0]>()
    n = Gather<axis: int = 0>(s, zero)
    rest = Constant<value_ints: ints = [-1]>()
    to = Concat<axis: int = 0>(n, rest)
    y = Reshape(x, to)
}"""

SPLIT_HEADS = """(float[B, T, 8] x) => (float[B, 2, T, 4] y) {
    s = Shape(x)
    i0 = Constant<value_int: int = 0>()
    i1 = Constant<value_int: int = 1>()
    b0 = Gather(s, i0)
    t0 = Gather(s, i1)
    ax = Constant<value_ints: ints = [0]>()
    b = Unsqueeze(b0, ax)
    t = Unsqueeze(t0, ax)
    h = Constant<value_ints: ints = [2]>()
    d = Constant<value_ints: ints = [4]>()
    to = Concat<axis: int = 0>(b, t, h, d)
    split = Reshape(x, to)
    y = Transpose<perm: ints = [0, 2, 1, 3]>(split)
}"""

HALVES = """(float[N, T] x) => (float[N, T] y) {
    s = Shape<start: int = 1>(x)
    two = Constant<value_ints: ints = [2]>()
    half = Div(s, two)
    twice = Mul(half, two)
    zero = Constant<value_ints: ints = [0]>()
    one = Constant<value_ints: ints = [1]>()
    cut = Slice(x, zero, twice, one)
    y = Neg(cut)
}"""

EXPAND = """(float[1, 4] x, float[N, 4] like) => (float[N, 4] y) {
    s = Shape(like)
    minus = Constant<value_ints: ints = [-1, -1]>()
    same = Equal(s, minus)
    ones = ConstantOfShape<value: tensor = int64[1] {1}>(two)
    to = Where(same, ones, s)
    wide = Expand(x, to)
    y = Add(wide, like)
}"""


def test_sizes_survive_a_reshape() -> None:
    graph = import_model(model(FLATTEN))
    assert str(graph.outputs[0][1].type) == "float32[N, 3*H*W]"
    module = agrees(model(FLATTEN), {"x": values(2, 3, 4, 5)})
    agrees(model(FLATTEN), {"x": values(1, 3, 7, 2)}, module=module)


def test_heads_are_split_for_any_batch_and_length() -> None:
    module = agrees(model(SPLIT_HEADS), {"x": values(2, 3, 8)})
    agrees(model(SPLIT_HEADS), {"x": values(1, 5, 8)}, module=module)
    assert "Shape" not in module.source


def test_arithmetic_of_sizes() -> None:
    module = agrees(model(HALVES), {"x": values(2, 6)})
    agrees(model(HALVES), {"x": values(3, 9)}, module=module)


def test_expand_to_the_shape_of_another() -> None:
    proto = model(EXPAND.replace("two)", "n2)").replace(
        "s = Shape(like)", "s = Shape(like)\n    n2 = Constant<value_ints: ints = [2]>()"))
    agrees(proto, {"x": values(1, 4), "like": values(5, 4)})


def test_an_override_makes_sizes_static() -> None:
    graph = OnnxModel(model(FLATTEN)).trace({"x": "float32[1,3,8,8]"})
    assert str(graph.outputs[0][1].type) == "float32[1, 192]"


def test_one_name_is_one_size_in_all_inputs() -> None:
    proto = model("""(float[N, T] x, float[N, 2] y) => (float[N, K] z) {
        z = Concat<axis: int = 1>(x, y)
    }""")
    found = {i.name: i.shape for i in import_model(
        proto, {"x": transpile.spec("float32", (3, "T")).type}).inputs}
    assert found["y"] == (3, 2)
    agrees(proto, {"x": values(3, 4), "y": values(3, 2)}, {"x": "float32[3,T]"})


def test_a_shape_that_is_an_input() -> None:
    proto = model("(float[6] x, int64[2] to) => (float[a, b] y) { y = Reshape(x, to) }")
    with pytest.raises(ValueNeededError, match="the new shape") as caught:
        import_model(proto)
    assert caught.value.inputs == ("to",)
    module = agrees(proto, {"x": values(6), "to": np.array([2, 3])}, {"to": [2, 3]})
    assert [p.name for p in module.programs[0].inputs] == ["x"]


def test_a_shape_that_named_sizes_decide_says_which() -> None:
    proto = model("""(float[N] x) => (float[K] y) {
        n = Shape(x)
        eight = Constant<value_ints: ints = [8]>()
        wanted = Max(n, eight)
        one = Constant<value: tensor = float[1] {1.0}>()
        y = Expand(one, wanted)
    }""")
    with pytest.raises(ValueNeededError) as caught:
        import_model(proto)
    assert caught.value.sizes == ("N",)
    agrees(proto, {"x": values(5)}, {"x": "float32[5]"})


PYRAMID = """(float[1, 1, H, 4] x) => (float[1, 1, K, L] y) {
    half = MaxPool<kernel_shape: ints = [1, 1], strides: ints = [2, 2]>(x)
    quarter = MaxPool<kernel_shape: ints = [1, 1], strides: ints = [2, 2]>(half)
    roi = Constant<value: tensor = float[0] {}>()
    scales = Constant<value: tensor = float[4] {1.0, 1.0, 2.0, 2.0}>()
    up = Resize<mode: string = "nearest">(quarter, roi, scales)
    y = Add(half, up)
}"""


FITTED = [
    (PYRAMID, {"x": (1, 1, 8, 4)}, {}, "x: float32[1, 1, 4*H, 4]"),
    ("(float[N, 2] x, float[M, 3] y) => (float[N, 5] z) { z = Concat<axis=1>(x, y) }",
     {"x": (4, 2), "y": (4, 3)}, {}, "x: float32[M, 2]"),
    ("(float[N, K] x, float[3] y) => (float[N, 3] z) { z = Add(x, y) }",
     {"x": (2, 3), "y": (3,)}, {}, "x: float32[N, 3]"),
    ("(float[N, K] x, float[5, 3] y) => (float[N, 3] z) { z = MatMul(x, y) }",
     {"x": (2, 5), "y": (5, 3)}, {}, "x: float32[N, 5]"),
    ("(float[A, B, C] x, float[4, 3] y) => (float[A, 4, 3] z) { z = Mul(x, y) }",
     {"x": (2, 4, 3), "y": (4, 3)}, {}, "x: float32[A, 4, 3]"),
    ("(float[N, 24, K] x) => (float[R, 120] y) { y = Reshape(x, rows) }",
     {"x": (3, 24, 5)}, {"rows": [-1, 120]}, "x: float32[N, 24, 5]"),
    ("(float[T, 3] x) => (float[U, 3] y) { y = Slice(x, start, end) }",
     {"x": (7, 3)}, {"start": [3], "end": [2**62]}, "x: float32[T+3, 3]"),
    ("(float[T, 3] x) => (float[T, 3] y) { y = Squeeze(x) }", {"x": (7, 3)}, {},
     "x: float32[T+1, 3]")]
"""Models whose declared sizes do not all fit, and how the inputs are written then."""


@pytest.mark.parametrize(("text", "shapes", "constants", "fitted"), FITTED)
def test_sizes_are_written_so_that_the_model_fits(text: str, shapes: dict[str, Any],
                                                  constants: dict[str, Any], fitted: str) -> None:
    proto = model(text)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(np.int64(v), k)
                                   for k, v in constants.items())
    module = transpile.compile(OnnxModel(proto), None, ["js"])
    console = Console(file=StringIO(), record=True, width=100)
    console.print(module.report.table())
    assert f"{fitted}, as no other sizes fit" in console.export_text()
    agrees(proto, {n: values(*shape) for n, shape in shapes.items()}, module=module)


def test_sizes_that_the_caller_gave_stay() -> None:
    proto = model("(float[N, K] x, float[5, 3] y) => (float[N, 3] z) { z = MatMul(x, y) }")
    with pytest.raises(ShapeError, match=r"write 5 for width$"):
        transpile.compile(OnnxModel(proto), {"x": "float32[N,width]"}, ["js"])


def test_a_squeeze_of_a_size_that_may_be_one() -> None:
    proto = model("(float[N, 1, 3] x) => (float[N, 3] y) { y = Squeeze(x) }")
    with pytest.raises(TranspileError, match=r"leave out a dimension of n"):
        import_model(proto, {"x": TensorType("float32", (dim("n"), 1, 3))})
    agrees(proto, {"x": values(4, 1, 3)})
    agrees(proto, {"x": values(1, 1, 3)}, {"x": "float32[1,1,3]"})


BRANCH = """(float[2] x, bool c) => (float[2] y) {
    y = If(c) <then_branch = t () => (float[2] a) { a = Neg(x) },
               else_branch = e () => (float[2] b) { b = Exp(x) }>
}"""


def test_a_branch_on_a_value_is_a_choice() -> None:
    module = agrees(model(BRANCH), {"x": values(2), "c": np.array(True)})
    agrees(model(BRANCH), {"x": values(2), "c": np.array(False)}, module=module)
    fixed = transpile.compile(OnnxModel(model(BRANCH)), {"c": False}, ["js"])
    assert "exp" in fixed.source
    assert [p.name for p in fixed.programs[0].inputs] == ["x"]


LOOP = """(float[3] x) => (float[3] y, float[4, 3] all) {
    n = Constant<value_int: int = 4>()
    go = Constant<value: tensor = bool {1}>()
    y, all = Loop(n, go, x) <body = b (int64 i, bool c, float[3] s) => (bool d, float[3] t,
        float[3] u) { d = Identity(c) k = Cast<to: int = 1>(i) t = Add(s, k) u = Mul(t, t) }>
}"""


def test_a_loop_with_a_known_count() -> None:
    agrees(model(LOOP), {"x": values(3)})


def test_half_precision_and_double_weights() -> None:
    proto = model("""(float[2] x) => (float[2] y)
        { a = Cast<to: int = 1>(h) b = Cast<to: int = 1>(d) c = Add(x, a) y = Mul(c, b) }""")
    for name, kind in (("h", np.float16), ("d", np.float64)):
        proto.graph.initializer.append(
            onnx.numpy_helper.from_array(np.array([1.5, -2], kind), name))
    agrees(proto, {"x": values(2)})


def test_narrow_integers_wrap() -> None:
    text = "(int8[2] x) => (int32[2] y) { a = Add(x, x) y = Cast<to: int = 6>(a) }"
    agrees(model(text), {"x": np.array([100, -100], np.int8)})


def test_initialisers_are_parameters_with_their_names() -> None:
    text = """(float[n, 2] x) => (float[n, 2] y) <float[2,2] W = {1, 2, 3, 4}>
        { y = MatMul(x, W) }"""
    graph = import_model(model(text.replace("W", "enc_0_weight")))
    names = [n.name for n in graph.constants if n.attrs["parameter"]]
    assert names == ["enc_0_weight"]


def test_wrong_inputs_are_named() -> None:
    proto = model("(float[2] x) => (float[2] y) { y = Neg(x) }")
    with pytest.raises(SourceError, match="no input called 'z'"):
        import_model(proto, {"z": transpile.spec("float32", (2,)).type})
    with pytest.raises(SourceError, match="no input called 'z'"):
        OnnxModel(proto).trace({"z": 3})


def test_what_depends_on_values_is_refused_with_the_reason() -> None:
    proto = model("(float[n] x, bool[n] c) => (float[k] y) { y = Compress(x, c) }")
    with pytest.raises(UnsupportedError, match="the condition"):
        import_model(proto)


WINDOWS = {
    "same": "y = MaxPool<kernel_shape: ints = [3, 3], strides: ints = [2, 2], auto_pad: string = "
            '"SAME_UPPER">(x)',
    "same_lower": "y = AveragePool<kernel_shape: ints = [3, 2], strides: ints = [2, 2], auto_pad: "
                  'string = "SAME_LOWER">(x)',
    "ceil": "y = MaxPool<kernel_shape: ints = [3, 3], strides: ints = [2, 2], ceil_mode: int = 1>"
            "(x)",
    "conv": "a = Conv<strides: ints = [2, 2], auto_pad: string = \"SAME_UPPER\">(x, w) "
            "b = MaxPool<kernel_shape: ints = [1, 1], strides: ints = [2, 2]>(x) y = Add(a, b)"}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_that_depend_on_the_size(name: str) -> None:
    weights = "<float[2, 2, 3, 3] w>" if name == "conv" else ""
    proto = model(f"(float[N, 2, H, W] x) => (float[N, 2, A, B] y) {weights} {{ {WINDOWS[name]} }}")
    del proto.graph.initializer[:]
    if weights:
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values(2, 2, 3, 3), "w"))
    module = agrees(proto, {"x": values(1, 2, 7, 8)})
    agrees(proto, {"x": values(2, 2, 6, 9)}, module=module)


def test_old_forms() -> None:
    x = values(2, 3, 4, 4)
    rows = {k: np.abs(values(3, 4, 4, seed=i)) + 1 for i, k in enumerate("smbv")}
    text = """(float[2, 3, 4, 4] x) => (float[2, 3, 8, 12] y) {
        a = BatchNormalization<spatial: int = 0>(x, s, b, m, v)
        y = Upsample<height_scale: float = 2.0, width_scale: float = 3.0>(a) }"""
    proto = model(text, 6)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in rows.items())
    found = transpile.compile(OnnxModel(proto), None, ["js"]).run({"x": x})["y"]
    wanted = (x - rows["m"]) / np.sqrt(rows["v"] + 1e-5) * rows["s"] + rows["b"]
    np.testing.assert_allclose(found, wanted.repeat(2, 2).repeat(3, 3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("op", "attributes"), [
    ("AveragePool", "kernel_shape: ints = [3, 3], pads: ints = [1, 1, 1, 1]"),
    ("MaxPool", "kernel_shape: ints = [2, 2], strides: ints = [2, 2]"),
    ("GlobalAveragePool", ""), ("LpPool", "kernel_shape: ints = [2, 2]")])
def test_pools_of_any_size(op: str, attributes: str) -> None:
    node = f"{op}<{attributes}>(x)" if attributes else f"{op}(x)"
    proto = model(f"(float[n, 2, h, w] x) => (float[n, 2, a, b] y) {{ y = {node} }}")
    module = agrees(proto, {"x": values(1, 2, 6, 8)})
    agrees(proto, {"x": values(2, 2, 9, 5)}, module=module)


@pytest.mark.parametrize("rule", ["half_pixel", "asymmetric", "pytorch_half_pixel"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_any_size_is_resized_by_whole_factors(rule: str, scale: int) -> None:
    import onnxruntime
    proto = model(f'''(float[1, 2, H, W] x) => (float[1, 2, A, B] y) {{
        none = Constant<value_floats: floats = []>()
        scales = Constant<value_floats: floats = [1.0, 1.0, {scale}.0, 2.0]>()
        y = Resize<mode: string = "linear", coordinate_transformation_mode: string = "{rule}">(
            x, none, scales)
    }}''')
    module = transpile.compile(OnnxModel(proto), targets=["js"])
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for height, width in ((2, 5), (7, 3)):
        x = values(1, 2, height, width)
        np.testing.assert_allclose(module.run({"x": x})["y"], session.run(None, {"x": x})[0],
                                   rtol=1e-5, atol=1e-6)


SYMBOLIC = [
    ("nearest", "asymmetric", "floor"), ("nearest", "asymmetric", "ceil"),
    ("nearest", "half_pixel", "round_prefer_floor"), ("nearest", "half_pixel", "round_prefer_ceil"),
    ("nearest", "align_corners", "round_prefer_floor"), ("linear", "half_pixel", ""),
    ("linear", "pytorch_half_pixel", ""), ("linear", "asymmetric", ""),
    ("linear", "align_corners", ""), ("cubic", "half_pixel", ""), ("cubic", "align_corners", "")]


@pytest.mark.parametrize(("mode", "how", "rule"), SYMBOLIC)
def test_any_size_is_resized_to_the_size_of_another_tensor(mode: str, how: str, rule: str) -> None:
    nearest = f', nearest_mode: string = "{rule}"' if rule else ""
    proto = model(f'''(float[1, 2, H, W] x, float[A, B] like) => (float[1, 2, A, B] y) {{
        lead = Constant<value_ints: ints = [1, 2]>()
        goal = Shape(like)
        sizes = Concat<axis: int = 0>(lead, goal)
        y = Resize<mode: string = "{mode}", coordinate_transformation_mode: string = "{how}"
            {nearest}>(x, , , sizes)
    }}''')
    module = None
    for before, after in (((2, 5), (7, 3)), ((7, 4), (1, 8)), ((1, 3), (4, 6)), ((5, 6), (5, 9))):
        module = agrees(proto, {"x": values(1, 2, *before), "like": values(*after)}, module=module)


@pytest.mark.parametrize(("mode", "how", "scale"), [
    ("nearest", "asymmetric", 0.5), ("nearest", "asymmetric", 1.5), ("linear", "half_pixel", 0.5),
    ("linear", "half_pixel", 2.5), ("cubic", "half_pixel", 2.0), ("linear", "asymmetric", 1.25)])
def test_any_size_is_resized_by_a_ratio(mode: str, how: str, scale: float) -> None:
    proto = model(f'''(float[1, 2, H, 6] x) => (float[1, 2, A, 6] y) {{
        scales = Constant<value_floats: floats = [1.0, 1.0, {scale}, 1.0]>()
        y = Resize<mode: string = "{mode}", coordinate_transformation_mode: string = "{how}",
                   nearest_mode: string = "floor">(x, , scales)
    }}''')
    module = agrees(proto, {"x": values(1, 2, 4, 6)})
    agrees(proto, {"x": values(1, 2, 9, 6)}, module=module)


def test_a_model_needs_no_input() -> None:
    agrees(model("""() => (float[8] y) {
        n = Constant<value_int: int = 8>()
        y = HannWindow<periodic: int = 0>(n)
    }"""), {})


NODES = [
    (18, 'Resize<mode: string = "nearest">(x, , scales)', {"scales": [1, 1, 0.6, 0.7]}),
    (18, 'Resize<mode: string = "linear">(x, , scales)', {"scales": [1, 1, 0.7, 1.7]}),
    (10, 'Resize<mode: string = "nearest">(x, scales)', {"scales": [1, 1, 2.3, 0.7]}),
    (11, "ConvTranspose<pads: ints = [1, 0, 2, 1]>(x, w)", {"w": values(2, 3, 3, 2)}),
    (11, ('ConvTranspose<strides: ints = [3, 3], output_shape: ints = [28, 30], auto_pad: string = '
          '"SAME_UPPER">(x, w)'), {"w": values(2, 3, 2, 2)})]


@pytest.mark.parametrize(("opset", "text", "constants"), NODES)
def test_one_node_agrees_with_onnxruntime(opset: int, text: str, constants: dict[str, Any]) -> None:
    import onnxruntime
    proto = model(f"(float[1, 2, 10, 10] x) => (float[a, b, c, d] y) {{ y = {text} }}", opset)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v, np.float32), k)
                                   for k, v in constants.items())
    x = values(1, 2, 10, 10)
    (wanted,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    found = transpile.compile(OnnxModel(proto), targets=["js"]).run({"x": x})["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("start", "step"), [(0, 1), (1, 2)])
def test_a_range_of_floats_reaches_to_a_size(start: int, step: int) -> None:
    """As torch.arange(width, dtype=float32) is written, then repeated for each row."""
    proto = model(f'''(float[H, W] x) => (float[H, A] y) {{
        low = Constant<value_float: float = {start}.0>()
        by = Constant<value_float: float = {step}.0>()
        w = Shape<start: int = 1>(x)
        axis = Constant<value_ints: ints = [0]>()
        width = Squeeze(w, axis)
        high = Cast<to: int = 1>(width)
        line = Range(low, high, by)
        h = Shape<start: int = 0, end: int = 1>(x)
        across = Shape(line)
        to = Concat<axis: int = 0>(h, across)
        y = Expand(line, to)
    }}''')
    module = agrees(proto, {"x": values(3, 7)})
    agrees(proto, {"x": values(4, 12)}, module=module)


def test_constants_are_repeated_to_a_size() -> None:
    proto = model('''(float[H, W] x) => (float[H, 2] y) {
        row = Constant<value = float[1, 2] {3.0, 4.0}>()
        h = Shape<start: int = 0, end: int = 1>(x)
        two = Constant<value_ints: ints = [2]>()
        to = Concat<axis: int = 0>(h, two)
        y = Expand(row, to)
    }''')
    agrees(proto, {"x": values(3, 7)})


def test_what_is_made_of_repeated_constants_is_computed_at_run_time() -> None:
    proto = model('''(float[H, W] x) => (float[2] y) {
        row = Constant<value = float[1, 2] {3.0, 4.0}>()
        h = Shape<start: int = 0, end: int = 1>(x)
        two = Constant<value_ints: ints = [2]>()
        to = Concat<axis: int = 0>(h, two)
        rows = Expand(row, to)
        axis = Constant<value_ints: ints = [0]>()
        y = ReduceSum<keepdims: int = 0>(rows, axis)
    }''')
    agrees(proto, {"x": values(3, 7)})


def test_the_coverage_says_why_an_operator_is_missing() -> None:
    rows = {name: (state, reason) for name, state, reason in coverage()}
    assert rows["Conv"] == ("built", "")
    assert rows["RotaryEmbedding"] == ("composed", "")
    assert rows["NonZero"] == ("no", "the shape of its result depends on values")
    unexplained = [n for n, (s, reason) in rows.items() if s == "no" and not reason]
    assert unexplained == [n for n in unexplained if "." in n]  # none of the default domain
