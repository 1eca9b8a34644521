"""Operators of onnxruntime's own domain, which its optimisers and quantisers write, against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

import transpile
from transpile.errors import UnsupportedError
from transpile.frontends.onnx import OnnxModel
from transpile.frontends.onnx_original import run_original

RNG = np.random.default_rng(0)


def f(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(low: int, high: int, *shape: int, dtype: Any = np.int32) -> np.ndarray:
    return RNG.integers(low, high, shape).astype(dtype)


def quantised(*shape: int, scale: float = 0.02, zero: int = 120) -> list[Any]:
    """Bytes, their scale and their zero point."""
    return [ints(0, 256, *shape, dtype=np.uint8), *unit(scale, zero)]


def signed(*shape: int) -> list[Any]:
    return [ints(-128, 128, *shape, dtype=np.int8), np.float32(0.02), np.int8(-7)]


def unit(scale: float, zero: int) -> list[Any]:
    return [np.array(scale, np.float32), np.array(zero, np.uint8)]


MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
PLACES = np.array([[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]], np.int64)
WEIGHTS = [ints(-128, 128, 1, k, 20, dtype=np.int8) for k in (6, 5)]
STEP = [np.array([0.01], np.float32), np.zeros(1, np.int8)]
EXACT, ROUNDED = 1e-5, 1e-2

# Name: operator, operands, attributes, results, the largest error relative to the result.
CASES: dict[str, tuple[str, list[Any], dict[str, Any], list[str], float]] = {
    "gelu": ("Gelu", [f(3, 4)], {}, ["y"], EXACT),
    "bias_gelu": ("BiasGelu", [f(3, 4), f(4)], {}, ["y"], EXACT),
    "fast_gelu": ("FastGelu", [f(3, 4), f(4)], {}, ["y"], EXACT),
    "quick_gelu": ("QuickGelu", [f(3, 4)], {"alpha": 1.3}, ["y"], EXACT),
    "matmul": ("FusedMatMul", [f(2, 5, 3), f(2, 5, 4)], {"transA": 1, "alpha": 0.5}, ["y"], EXACT),
    "matmul_batch": ("FusedMatMul", [f(3, 2, 5), f(2, 4, 5)], {"transBatchA": 1, "transB": 1},
                     ["y"], EXACT),
    "gemm": ("FusedGemm", [f(3, 5), f(4, 5), f(4)], {
        "transB": 1, "activation": "LeakyRelu", "activation_alpha": 0.3}, ["y"], EXACT),
    "conv": ("FusedConv", [f(1, 3, 6, 6), f(4, 3, 3, 3), f(4), f(1, 4, 6, 6)], {
        "activation": "Relu", "pads": [1] * 4}, ["y"], EXACT),
    "conv_clip": ("FusedConv", [f(1, 3, 6, 6), f(4, 3, 3, 3)], {
        "activation": "Clip", "activation_params": [-1.0, 2.0]}, ["y"], EXACT),
    "skip_norm": ("SkipLayerNormalization", [f(2, 3, 8), f(1, 3, 8), f(8), f(8), f(8)],
                  {"epsilon": 1e-5}, ["y", "", "", "sum"], EXACT),
    "skip_rms_norm": ("SkipSimplifiedLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8)], {},
                      ["y", "", "", "sum"], EXACT),
    "embed_norm": ("EmbedLayerNormalization", [
        ints(0, 9, 2, 5), ints(0, 2, 2, 5), f(9, 8), f(6, 8), f(2, 8), f(8), f(8), MASK], {},
        ["y", "lengths"], EXACT),
    "embed_norm_places": ("EmbedLayerNormalization", [
        ints(0, 9, 2, 5), None, f(9, 8), f(6, 8), None, f(8), f(8), None, ints(0, 6, 2, 5)], {},
        ["y", "lengths", "sum"], EXACT),
    **{f"attention_{name}": ("Attention", [f(2, 5, 8), f(8, 24), f(24), mask], {"num_heads": 2},
                             ["y"], EXACT)
       for name, mask in {"whole": None, "mask": MASK, "lengths": np.array([3, 5], np.int32),
                          "ends": np.array([4, 5, 1, 0], np.int32),
                          "square": ints(0, 2, 2, 5, 5)}.items()},
    "attention_sizes": ("Attention", [f(2, 5, 8), f(8, 20), f(20), None, None, f(1, 2, 5, 5)], {
        "num_heads": 2, "qkv_hidden_sizes": [8, 8, 4]}, ["y"], EXACT),
    "attention_past": ("Attention", [
        f(2, 3, 8), f(8, 24), f(24), np.ones((2, 5), np.int32), f(2, 2, 2, 2, 4)],
        {"num_heads": 2, "unidirectional": 1}, ["y", "present"], EXACT),
    "heads": ("MultiHeadAttention", [f(2, 5, 8), f(2, 5, 8), f(2, 5, 8), f(24), MASK,
                                     f(2, 2, 5, 5)], {"num_heads": 2}, ["y"], EXACT),
    "heads_cross": ("MultiHeadAttention", [f(2, 5, 8), f(2, 2, 4, 4), f(2, 2, 4, 4), f(24)],
                    {"num_heads": 2}, ["y"], EXACT),
    "heads_past": ("MultiHeadAttention", [
        f(2, 1, 8), f(2, 1, 8), f(2, 1, 8), None, None, None, f(2, 2, 4, 4), f(2, 2, 4, 4)],
        {"num_heads": 2, "unidirectional": 1}, ["y", "keys", "values"], EXACT),
    "rotary": ("RotaryEmbedding", [f(2, 5, 16), PLACES, f(9, 4), f(9, 4)], {}, ["y"], EXACT),
    "rotary_pairs": ("RotaryEmbedding", [f(2, 5, 16), PLACES[0, 2:3], f(9, 4), f(9, 4)],
                     {"interleaved": 1}, ["y"], EXACT),
    "rotary_part": ("RotaryEmbedding", [f(2, 5, 16), PLACES, f(9, 2), f(9, 2)],
                    {"num_heads": 2, "rotary_embedding_dim": 4}, ["y"], EXACT),
    "distances": ("CDist", [f(4, 3), f(5, 3)], {"metric": "euclidean"}, ["y"], EXACT),
    "add": ("QLinearAdd", quantised(2, 6) + quantised(2, 6, zero=90) + unit(0.05, 3), {}, ["y"],
            ROUNDED),
    "mul": ("QLinearMul", [*signed(2, 6), *signed(2, 6), np.float32(0.05), np.int8(3)], {}, ["y"],
            ROUNDED),
    "sigmoid": ("QLinearSigmoid", quantised(2, 6) + unit(1 / 256, 0), {}, ["y"], ROUNDED),
    "leaky": ("QLinearLeakyRelu", quantised(2, 6) + unit(0.02, 60), {"alpha": 0.2}, ["y"],
              ROUNDED),
    "softmax": ("QLinearSoftmax", quantised(2, 6) + unit(1 / 256, 0), {"opset": 13}, ["y"],
                ROUNDED),
    "where": ("QLinearWhere", [ints(0, 2, 2, 6, dtype=np.bool_), *quantised(2, 6),
                               *quantised(2, 6, zero=90), *unit(0.05, 3)], {}, ["y"], ROUNDED),
    "concat": ("QLinearConcat", unit(0.05, 3) + quantised(2, 6) + quantised(2, 4), {"axis": 1},
               ["y"], ROUNDED),
    "pool": ("QLinearAveragePool", quantised(1, 3, 6, 6) + unit(0.02, 120),
             {"kernel_shape": [2, 2], "strides": [2, 2]}, ["y"], ROUNDED),
    "global_pool": ("QLinearGlobalAveragePool", quantised(1, 3, 5, 5) + unit(0.01, 120), {},
                    ["y"], ROUNDED),
    "qgemm": ("QGemm", [*quantised(3, 8), *quantised(5, 8), ints(-999, 999, 5), *unit(0.1, 3)],
              {"transB": 1}, ["y"], ROUNDED),
    "qgemm_float": ("QGemm", [*quantised(3, 8), ints(-128, 128, 5, 8, dtype=np.int8),
                              np.abs(f(5)), np.zeros(5, np.int8), ints(-999, 999, 5)],
                    {"transB": 1, "alpha": 0.5}, ["y"], EXACT),
    "integers": ("MatMulIntegerToFloat", [
        quantised(3, 8)[0], quantised(8, 5)[0], np.float32(0.02), np.abs(f(5)),
        np.uint8(20), np.full(5, 7, np.uint8), f(5)], {}, ["y"], EXACT),
    "dynamic": ("DynamicQuantizeMatMul", [f(3, 8), *quantised(8, 5), f(5)], {}, ["y"], 1e-4),
    "lstm": ("DynamicQuantizeLSTM", [f(4, 2, 6), *WEIGHTS, f(1, 40), *[None] * 4, *STEP, *STEP],
             {"hidden_size": 5}, ["y", "h", "c"], 3e-2),
    "qattention": ("QAttention", [
        ints(0, 256, 2, 5, 8, dtype=np.uint8), ints(-128, 128, 8, 24, dtype=np.int8), f(24),
        np.float32(0.02), np.float32(0.01), None, np.uint8(120), np.int8(0)], {"num_heads": 2},
        ["y"], 1e-4),
    **{f"bits_{bits}": ("MatMulNBits", [
        f(3, 40), ints(0, 256, 5, 3, 2 * bits, dtype=np.uint8), np.abs(f(15)),
        ints(0, 256, 5 * -(-3 * bits // 8), dtype=np.uint8)],
        {"K": 40, "N": 5, "bits": bits, "block_size": 16}, ["y"], 1e-4) for bits in (4, 8)},
}


def message(op: str, operands: list[Any], attributes: dict[str, Any], results: list[str],
            domain: str = "com.microsoft") -> Any:
    """A model of one node: the first operand is an input, all others are initialisers."""
    names = ["" if a is None else f"x{k}" for k, a in enumerate(operands)]
    first = operands[0]
    node = helper.make_node(op, names, results, domain=domain, **attributes)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info(
            "x0", helper.np_dtype_to_tensor_dtype(first.dtype), first.shape)],
        [helper.make_empty_tensor_value_info(r) for r in results if r],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in zip(
            names[1:], operands[1:], strict=True) if n])
    return helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])


def agrees(proto: Any, first: np.ndarray, bound: float) -> None:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(proto.SerializeToString(), options,
                                       providers=["CPUExecutionProvider"])
    module = transpile.compile(OnnxModel(proto), None, ["js"])
    found = module.run({p.name: first for p in module.programs[0].inputs})
    for got, want in zip(found.values(), session.run(None, {"x0": first}), strict=True):
        wide = np.asarray(want, np.float64)
        assert got.shape == want.shape
        assert np.max(np.abs(got - wide)) <= bound * np.max(np.abs(wide))


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_onnxruntime(name: str) -> None:
    op, operands, attributes, results, bound = CASES[name]
    agrees(message(op, operands, attributes, results), operands[0], bound)


def test_a_name_of_its_own_in_the_default_domain() -> None:
    x, scale = f(2, 3, 8), f(8)
    agrees(message("SimplifiedLayerNormalization", [x, scale], {}, ["y"], domain=""), x, EXACT)


def test_what_is_not_supported_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"com\.microsoft\.Tokenizer"):
        transpile.trace(OnnxModel(message("Tokenizer", [f(2)], {}, ["y"])))


def test_a_model_with_a_dynamic_lstm_is_verified(tmp_path: Path) -> None:
    """onnxruntime rounds activations to 8 bits; the built module must agree with exact ones."""
    op, operands, attributes, results, _ = CASES["lstm"]
    proto = message(op, operands, attributes, results)
    module = transpile.build(OnnxModel(proto), tmp_path / "lstm.mjs", targets=["js"])
    wrong = message(op, [operands[0], operands[1] ^ np.int8(1), *operands[2:]], attributes,
                    results)
    found = run_original(wrong, [operands[0]], {})
    assert module.report.verified
    assert np.max(np.abs(found["y"] - module.run({"x0": operands[0]})["y"])) > 1e-3
