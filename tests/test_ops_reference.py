"""The op table's references: shapes and dtypes as inferred, values as independent sources say."""

from __future__ import annotations

import math
from itertools import product as box
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, signal, special

from transpile.errors import ShapeError
from transpile.ir.dims import dim
from transpile.ir.types import TensorType
from transpile.ops import registry
from transpile.ops.registry import Composite


def primitives() -> list[tuple[str, int]]:
    return [(name, k) for name in registry.names()
            if not isinstance(registry.get(name).form, Composite)
            for k in range(len(registry.get(name).samples))]


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-2, 2, shape)


def ref(name: str, *arrays: Any, **attrs: Any) -> np.ndarray:
    return registry.get(name).reference(*map(np.asarray, arrays), **attrs)


@pytest.mark.parametrize(("name", "number"), primitives())
def test_type_is_inferred(name: str, number: int) -> None:
    op = registry.get(name)
    example = op.samples[number]
    expected = op.infer(*map(TensorType.parse, example.types), **example.attrs)
    found = op.reference(*example.arrays(), **example.attrs)
    assert (found.dtype.name, found.shape) == (expected.dtype, expected.shape)


@pytest.mark.parametrize(("name", "number"), primitives())
def test_float64_stays_float64_and_agrees(name: str, number: int) -> None:
    op = registry.get(name)
    example = op.samples[number]
    arrays = example.arrays()
    wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]
    narrow, found = op.reference(*arrays, **example.attrs), op.reference(*wide, **example.attrs)
    if narrow.dtype == np.float32 and "float32" in {a.dtype.name for a in arrays}:
        assert found.dtype == np.float64
    np.testing.assert_allclose(found, narrow, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted({n for n, _ in primitives()}))
def test_every_op_has_a_summary_and_ragged_samples(name: str) -> None:
    op = registry.get(name)
    assert op.summary
    assert len(op.samples) >= 2


# Formulas that are not NumPy's own

def test_erf_and_sigmoid_and_rsqrt() -> None:
    x = np.linspace(-6, 6, 101)
    np.testing.assert_allclose(ref("erf", x), special.erf(x), atol=1e-15)
    np.testing.assert_allclose(ref("sigmoid", x), special.expit(x), rtol=1e-14)
    np.testing.assert_allclose(ref("rsqrt", x + 7), (x + 7) ** -0.5, rtol=1e-14)


def test_sigmoid_has_no_overflow() -> None:
    found = ref("sigmoid", np.float32([-1000, -90, 0, 90, 1000]))
    np.testing.assert_allclose(found, special.expit([-1000, -90, 0, 90, 1000]), atol=1e-30)


@pytest.mark.parametrize(("name", "a", "b", "expected"), [
    ("mod", -5, 3, 1), ("mod", 5, -3, -1), ("fmod", -5, 3, -2), ("fmod", 5, -3, 2),
    ("mod", -5.5, 3.0, 0.5), ("fmod", -5.5, 3.0, -2.5), ("floor_div", -5, 3, -2),
    ("div", 1, 4, 0.25), ("shift_right", -8, 1, -4), ("pow", 3, 4, 81)])
def test_scalar_conventions(name: str, a: Any, b: Any, expected: Any) -> None:
    kind = np.int32 if isinstance(a, int) else np.float32
    assert ref(name, kind(a), kind(b)) == expected


def test_round_goes_to_even() -> None:
    assert ref("round", np.float32([0.5, 1.5, 2.5, -0.5, -1.5])).tolist() == [0, 2, 2, 0, -2]


def test_integers_wrap() -> None:
    assert ref("add", np.uint8([250]), np.uint8([10])).tolist() == [4]
    assert ref("mul", np.int32([2**30]), np.int32([4])).tolist() == [0]
    assert ref("sum", np.full(2, 2**30, np.int32), axes=(0,)).tolist() == -2**31


# Contractions and windows

@pytest.mark.parametrize("equation", ["mk,kn->mn", "km,nk->nm", "bmk,bkn->bmn", "bmk,kn->bmn",
                                      "abc,cda->bd", "i,j->ij", "ij,ij->", "ij,k->i", "ii,ij->j",
                                      "bhqd,bhkd->bhqk"])
def test_contract_is_einsum(equation: str) -> None:
    sizes = dict(zip("abcdhijkmnq", (2, 3, 5, 4, 2, 3, 3, 5, 4, 7, 3), strict=True))
    a, b = (draw(*(sizes[c] for c in labels)) for labels in equation.split("->")[0].split(","))
    np.testing.assert_allclose(ref("contract", a, b, equation=equation),
                               np.einsum(equation, a, b), atol=1e-12)


@pytest.mark.parametrize(("stride", "dilation", "groups"), [
    ((1, 1), (1, 1), 1), ((2, 3), (1, 1), 1), ((1, 2), (2, 1), 2), ((1, 1), (1, 2), 6)])
def test_conv_is_a_correlation_of_each_pair_of_channels(
        stride: tuple[int, int], dilation: tuple[int, int], groups: int) -> None:
    x, w = draw(2, 9, 11, 6), draw(3, 2, 6 // groups, 12, seed=1)
    found = ref("conv", x, w, stride=stride, dilation=dilation, groups=groups)
    spread = np.zeros((2 * dilation[0] + 1, dilation[1] + 1, *w.shape[2:]))
    spread[::dilation[0], ::dilation[1]] = w
    for n, o in box(range(2), range(12)):
        first = o // (12 // groups) * w.shape[2]
        planes = [signal.correlate2d(x[n, :, :, first + c], spread[:, :, c, o], "valid")
                  for c in range(w.shape[2])]
        np.testing.assert_allclose(found[n, :, :, o], sum(planes)[::stride[0], ::stride[1]],
                                   atol=1e-12)


@pytest.mark.parametrize(("name", "oracle"), [("window_max", ndimage.maximum_filter),
                                              ("window_sum", None)])
def test_windows_are_filters(name: str, oracle: Any) -> None:
    x = draw(1, 9, 8, 1)
    found = ref(name, x, window=(3, 3), stride=(2, 1), dilation=(1, 1))[0, :, :, 0]
    plane = x[0, :, :, 0]
    whole = (oracle(plane, size=3) if oracle
             else ndimage.convolve(plane, np.ones((3, 3)), mode="constant"))
    np.testing.assert_allclose(found, whole[1:-1, 1:-1][::2], atol=1e-12)


# Views and gathers

@pytest.mark.parametrize(("mode", "expected"), [
    ("constant", [9, 9, 1, 2, 3, 9]), ("edge", [1, 1, 1, 2, 3, 3]),
    ("reflect", [3, 2, 1, 2, 3, 2]), ("wrap", [2, 3, 1, 2, 3, 1])])
def test_pad_modes(mode: str, expected: list[int]) -> None:
    assert ref("pad", np.int32([1, 2, 3]), low=(2,), high=(1,), mode=mode,
               value=9).tolist() == expected


def test_slice_is_python_slicing() -> None:
    x = draw(7, 5)
    found = ref("slice", x, starts=(6, 1), sizes=(3, 2), steps=(-2, 3))
    np.testing.assert_array_equal(found, x[6:0:-2, 1:5:3])


def test_dilate() -> None:
    assert ref("dilate", np.int32([1, 2, 3]), factors=(3,)).tolist() == [1, 0, 0, 2, 0, 0, 3]


def test_indices_wrap_once_then_clamp() -> None:
    x = np.float32([10, 20, 30])
    indices = np.int32([-1, -3, -4, 0, 2, 3, 99])
    expected = [30, 10, 10, 10, 30, 30, 30]
    assert ref("take", x, indices, axis=0).tolist() == expected
    assert ref("take_along_axis", x, indices, axis=0).tolist() == expected
    assert ref("gather_nd", x, indices[:, None]).tolist() == expected


def test_gather_nd_takes_rows_where_the_tuple_is_short() -> None:
    x = draw(3, 4, 5)
    found = ref("gather_nd", x, np.int32([[[0, 1], [2, -1]]]))
    np.testing.assert_array_equal(found, np.stack([x[0, 1], x[2, 3]])[None])


# Routines

def test_cumulative() -> None:
    x = np.int32([1, 2, 3, 4])
    assert ref("cumsum", x, axis=0).tolist() == [1, 3, 6, 10]
    assert ref("cumsum", x, axis=0, exclusive=True).tolist() == [0, 1, 3, 6]
    assert ref("cumsum", x, axis=0, reverse=True).tolist() == [10, 9, 7, 4]
    assert ref("cumprod", x, axis=0, exclusive=True, reverse=True).tolist() == [24, 12, 4, 1]


@pytest.mark.parametrize("descending", [False, True])
def test_sorting_is_stable(descending: bool) -> None:
    x = [3, 1, 3, 0, 1, 2]
    order = sorted(range(6), key=lambda k: -x[k] if descending else x[k])
    assert ref("argsort", np.int32(x), axis=0, descending=descending).tolist() == order
    assert ref("sort", np.int32(x), axis=0, descending=descending).tolist() == [x[k] for k in order]


def wave(*shape: int, phase: float = 0.0) -> np.ndarray:
    """Numbers that are easy to make again elsewhere."""
    return np.sin(np.arange(math.prod(shape)) * 0.7 + phase).reshape(shape)


# What torch 2 gives in float64 for waves as weights: nn.LSTM(3, 2), nn.GRU(3, 2), 3 steps, batch 2.
TORCH_LSTM = [-0.465248397, 0.185167819, 0.403298139, 0.390958409, -0.074700558, 0.360398479,
              -0.327690349, 0.14826819, 0.209202555, 0.163609433, -0.04326565, 0.359236834]
TORCH_LSTM_CELL = [0.235544765, 0.196227933, -0.100036061, 0.397913139]
TORCH_GRU = [-0.968738457, -0.082666494, 0.461546967, 0.11385731, -0.266610641, 0.84756995,
             -0.657852913, 0.206226557, 0.256796501, 0.197288135, 0.067863508, 0.851625293]


def torch_layer(gates: int) -> tuple[np.ndarray, ...]:
    """The input's part of the gates, the recurrent weight, its bias, and the state."""
    size = gates * 2
    part = wave(3, 2, 3) @ wave(size, 3, phase=1).T + wave(size, phase=3)
    return part, wave(size, 2, phase=2).T, wave(size, phase=4), wave(2, 2, phase=5)


def test_lstm_is_torch() -> None:
    part, weight, bias, state = torch_layer(4)
    found = ref("recurrence", part + bias, weight, state, wave(2, 2, phase=6), cell="lstm")
    np.testing.assert_allclose(found[:3].ravel(), TORCH_LSTM, atol=1e-8)
    np.testing.assert_allclose(found[3], found[2])
    np.testing.assert_allclose(found[4].ravel(), TORCH_LSTM_CELL, atol=1e-8)


def torch_gru() -> tuple[np.ndarray, ...]:
    """The operands of a GRU; the reset and update gates' recurrent biases are outside."""
    part, weight, bias, state = torch_layer(3)
    outside = np.where(np.arange(6) < 4, bias, 0)
    return part + outside, weight, state, bias[4:]


def test_gru_is_torch() -> None:
    found = ref("recurrence", *torch_gru(), cell="gru")
    np.testing.assert_allclose(found[:3].ravel(), TORCH_GRU, atol=1e-8)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_reverse_scans_backwards(cell: str) -> None:
    part, weight, *rest = torch_gru()
    if cell == "lstm":
        part, weight, _, state = torch_layer(4)
        rest = [state, state]
    found = ref("recurrence", part, weight, *rest, cell=cell, reverse=True)
    forwards = ref("recurrence", part[::-1], weight, *rest, cell=cell)
    np.testing.assert_allclose(found[:3], forwards[2::-1])
    np.testing.assert_allclose(found[3:], forwards[3:])


# Inference: symbolic sizes and errors

N = dim("batch")


@pytest.mark.parametrize(("name", "types", "attrs", "expected"), [
    ("add", ("float32[batch, 3]", "int32[1, 3]"), {}, "float32[batch, 3]"),
    ("reshape", ("float32[batch, 4, 6]",), {"shape": (-1, 24)}, "float32[batch, 24]"),
    ("reshape", ("float32[batch, 4, 6]",), {"shape": (4 * N, 6)}, "float32[4*batch, 6]"),
    ("pad", ("float32[batch, 4]",), {"low": (1, 0), "high": (0, 2)}, "float32[batch+1, 6]"),
    ("dilate", ("float32[batch]",), {"factors": (2,)}, "float32[2*batch-1]"),
    ("concat", ("float32[batch, 2]", "float32[3, 2]"), {"axis": 0}, "float32[batch+3, 2]"),
    ("take", ("float32[9, 4]", "int32[batch, time]"), {"axis": 0}, "float32[batch, time, 4]"),
    ("contract", ("float32[batch, 3]", "float32[3, 5]"), {"equation": "ik,kj->ij"},
     "float32[batch, 5]"),
    ("conv", ("float32[batch, 8, 8, 3]", "float32[3, 3, 3, 4]"),
     {"stride": (2, 1), "dilation": (1, 1), "groups": 1}, "float32[batch, 3, 6, 4]"),
    ("window_max", ("float32[1, 2*time, 3]",),
     {"window": (2,), "stride": (2,), "dilation": (1,)}, "float32[1, time, 3]"),
    ("sum", ("bool[batch, 3]",), {"axes": (0,), "keepdims": True}, "int32[1, 3]"),
    ("argmax", ("float32[batch, 3]",), {"axis": 1, "keepdims": False}, "int32[batch]"),
])
def test_symbolic_types(name: str, types: tuple[str, ...], attrs: dict[str, Any],
                        expected: str) -> None:
    found = registry.get(name).infer(*map(TensorType.parse, types), **attrs)
    assert found == TensorType.parse(expected)


@pytest.mark.parametrize(("name", "types", "attrs", "message"), [
    ("add", ("float32[3]", "float32[4]"), {}, "do not broadcast"),
    ("sub", ("bool[3]", "bool[3]"), {}, "not defined for bool"),
    ("bitwise_and", ("float32[3]", "int32[3]"), {}, "not defined for float32"),
    ("reshape", ("float32[3, 4]",), {"shape": (5,)}, "12 elements do not make 5"),
    ("reshape", ("float32[batch, 4]",), {"shape": (4,)}, "cannot reshape"),
    ("transpose", ("float32[3, 4]",), {"perm": (0, 0)}, "not a permutation"),
    ("slice", ("float32[3]",), {"starts": (2,), "sizes": (2,), "steps": (1,)}, "reads index 3"),
    ("pad", ("float32[3]",), {"low": (3,), "high": (0,), "mode": "reflect"}, "reflecting"),
    ("pad", ("float32[3]",), {"low": (-1,), "high": (0,)}, "slice instead"),
    ("concat", ("float32[3, 4]", "float32[3, 5]"), {"axis": 0}, "must be equal"),
    ("take", ("float32[3]", "float32[2]"), {"axis": 0}, "integers"),
    ("sum", ("float32[3]",), {"axes": (1,)}, "1 dimensions"),
    ("max", ("float32[0]",), {"axes": (0,)}, "no elements"),
    ("contract", ("float32[3, 4]", "float32[5, 6]"), {"equation": "mk,kn->mn"}, "k is 4 and 5"),
    ("contract", ("float32[3]", "float32[3]"), {"equation": "i,i"}, "cannot read"),
    ("conv", ("float32[1, 5, 4]", "float32[3, 3, 8]"),
     {"stride": (1,), "dilation": (1,), "groups": 1}, "4 channels in 1 groups"),
    ("conv", ("float32[1, 2, 4]", "float32[3, 4, 8]"),
     {"stride": (1,), "dilation": (1,), "groups": 1}, "does not fit"),
    ("recurrence", ("float32[3,2,8]", "float32[2,8]", "float32[2,3]", "float32[2,3]"),
     {"cell": "lstm"}, "a cell lstm needs"),
])
def test_what_does_not_fit_is_told(name: str, types: tuple[str, ...], attrs: dict[str, Any],
                                   message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        registry.get(name).infer(*map(TensorType.parse, types), **attrs)
