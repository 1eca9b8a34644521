"""The WASM column of the scalar table: instructions by operand dtype.

A cell is a sequence of instructions that follow the operands; `{0}`, `{1}` say where operands are
computed if that is not before everything else. Vectors are four lanes of float32 or int32, masks
(`boolx4`) have all bits of a lane set or clear. Integers and bools are i32; "" serves them all.
"""

from __future__ import annotations

from collections.abc import Mapping

FLOATS = {"float32": "f32", "float64": "f64", "float32x4": "f32x4"}


def _floats(name: str) -> dict[str, str]:
    """The same instruction for every kind of float."""
    return {dtype: f"{kind}.{name}" for dtype, kind in FLOATS.items()}


def _numbers(name: str) -> dict[str, str]:
    return {**_floats(name), "int32x4": f"i32x4.{name}", "": f"i32.{name}"}


def _compare(name: str, *, signed: bool = True) -> dict[str, str]:
    whole = f"{name}_s" if signed else name
    return {**_floats(name), "int32x4": f"i32x4.{whole}", "": f"i32.{whole}"}


def _bits(name: str) -> dict[str, str]:
    return {"int32x4": f"v128.{name}", "boolx4": f"v128.{name}", "": f"i32.{name}"}


def _shift(name: str) -> dict[str, str]:
    return {"int32x4": f"i32x4.{name}", "": f"i32.{name}"}


def _rounded(name: str) -> dict[str, str]:
    return {**_floats(name), "f64": f"f64.{name}", "": "", "int32x4": ""}


def _shuffle(*lanes: int) -> str:
    """Lanes of two vectors by number: 0 to 3 of the first, 4 to 7 of the second."""
    return "i8x16.shuffle:" + ",".join(str(4 * n + i) for n in lanes for i in range(4))


def _without_vector(cells: dict[str, str]) -> dict[str, str]:
    return {dtype: cell for dtype, cell in cells.items() if "x4" not in dtype}


WASM: dict[str, Mapping[str, str]] = {
    "add": _numbers("add"), "sub": _numbers("sub"), "mul": _numbers("mul"),
    "div": _floats("div"), "sqrt": _floats("sqrt"),
    # `f32x4.max` takes eight instructions on x86, `pmax` one: the first operand where one is NaN.
    "maximum": {**_without_vector(_floats("max")), "int32x4": "i32x4.max_s"},
    "minimum": {**_without_vector(_floats("min")), "int32x4": "i32x4.min_s"},
    "at_least": {**_floats("max"), "float32x4": "f32x4.pmax"},
    "at_most": {**_floats("min"), "float32x4": "f32x4.pmin"},
    "neg": {**_floats("neg"), "int32x4": "i32x4.neg"},
    "abs": {**_floats("abs"), "int32x4": "i32x4.abs"},
    "copysign": _without_vector(_floats("copysign")),
    "floor": _rounded("floor"), "ceil": _rounded("ceil"), "trunc": _rounded("trunc"),
    "round": _rounded("nearest"),
    "equal": _compare("eq", signed=False), "not_equal": _compare("ne", signed=False),
    "less": _compare("lt"), "less_equal": _compare("le"),
    "greater": _compare("gt"), "greater_equal": _compare("ge"),
    "bitwise_and": _bits("and"), "bitwise_or": _bits("or"), "bitwise_xor": _bits("xor"),
    "logical_and": _bits("and"), "logical_or": _bits("or"), "logical_xor": _bits("xor"),
    "logical_not": {"boolx4": "v128.not", "": "i32.eqz"},
    "shift_left": _shift("shl"), "shift_right": _shift("shr_s"),
    "float_bits": {"float32": "i32.reinterpret_f32", "float32x4": ""},
    "from_bits": {"int32": "f32.reinterpret_i32", "int32x4": ""},
    # The exponent moves to its place and is corrected by a factor of 2**112, denormals included.
    "from_half": {
        "int32": "{0} i32.const:32767 i32.and i32.const:13 i32.shl f32.reinterpret_i32"
                 " i32.const:2004877312 f32.reinterpret_i32 f32.mul"
                 " {0} i32.const:16 i32.shl f32.reinterpret_i32 f32.copysign",
        "int32x4": "{0} i32.const:32767 i32x4.splat v128.and i32.const:13 i32x4.shl"
                   " i32.const:2004877312 i32x4.splat f32x4.mul"
                   " {0} i32.const:32768 i32x4.splat v128.and i32.const:16 i32x4.shl v128.or"},
    "dot_i16": {"int32x4": "i32x4.dot_i16x8_s"},
    # Beside 1.5 * 2**23 the last bits of a float are an integer.
    "round_i16": {"float32x4": "i32.const:1262485504 i32x4.splat f32x4.add"},
    "even_bytes": {"int32x4": "i32.const:8 i16x8.shl i32.const:8 i16x8.shr_s"},
    "odd_bytes": {"int32x4": "i32.const:8 i16x8.shr_s"},
    "quotient": {"": "{0} f64.convert_i32_s {1} f64.convert_i32_s f64.div f64.floor"
                     " i64.trunc_sat_f64_s i32.wrap_i64"},
    "remainder": {"": "i32.rem_s"},
    "splat": {"float32": "f32x4.splat", "int32": "i32x4.splat", "bool": "{0} i32.const:-1 i32.mul"
              " i32x4.splat"},
    **{f"lane{i}": {"float32x4": f"f32x4.extract_lane:{i}"} for i in range(4)},
    "zip_low": {"float32x4": _shuffle(0, 4, 1, 5)},
    "zip_high": {"float32x4": _shuffle(2, 6, 3, 7)},
    "halves_low": {"float32x4": _shuffle(0, 1, 4, 5)},
    "halves_high": {"float32x4": _shuffle(2, 3, 6, 7)},
    "to_float64": {"float32": "f64.promote_f32", "": "f64.convert_i32_s"},
    "to_float32": {"float32": "", "float64": "f32.demote_f64", "": "f32.convert_i32_s",
                   "int32x4": "f32x4.convert_i32x4_s"},
    "to_int32": {"float32": "i32.trunc_sat_f32_s", "float64": "i32.trunc_sat_f64_s", "": "",
                 "uint8x4": "",
                 "float32x4": "i32x4.trunc_sat_f32x4_s"},
    "to_uint8": {"float32": "i32.trunc_sat_f32_s i32.const:255 i32.and",
                 "bool": "", "uint8": "", "": "i32.const:255 i32.and"},
    "to_bool": {"float32": "f32.const:0 f32.ne", "bool": "", "": "i32.const:0 i32.ne"},
    "select": {"": "select", "boolx4": "v128.bitselect"},
}

RELAXED: dict[str, Mapping[str, str]] = {
    # Fused or not, as the processor does it faster.
    "fma": {"float32x4": "f32x4.relaxed_madd"},
    # The same result where a mask has all bits of a lane set or clear, in one instruction on x86.
    "select": {"boolx4": "i32x4.relaxed_laneselect"},
}
"""Cells that differ where the engine has relaxed SIMD."""
