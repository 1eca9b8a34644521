"""The instructions of WebAssembly 2.0 (with fixed-width SIMD) that kernels use, and their codes.

Codes are those of the core specification, section 5.4, and of the threads proposal; a SIMD,
saturating or atomic instruction is its prefix byte and a LEB128 number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

COMPARE_INT = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"
COMPARE_FLOAT = "eq ne lt gt le ge"
INT = "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr"
FLOAT = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign"

PLAIN = [
    (0x02, "block loop if else"), (0x0B, "end br br_if"), (0x0F, "return call"),
    (0x1A, "drop select"), (0x20, "local.get local.set local.tee"),
    (0x28, "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u"),
    (0x36, "i32.store i64.store f32.store f64.store i32.store8 i32.store16"),
    (0x3F, "memory.size memory.grow i32.const i64.const f32.const f64.const"),
    (0x45, "i32.eqz"), (0x46, COMPARE_INT, "i32."), (0x50, "i64.eqz"),
    (0x51, COMPARE_INT, "i64."), (0x5B, COMPARE_FLOAT, "f32."), (0x61, COMPARE_FLOAT, "f64."),
    (0x67, INT, "i32."), (0x79, INT, "i64."), (0x8B, FLOAT, "f32."), (0x99, FLOAT, "f64."),
    (0xA7, "i32.wrap_i64"), (0xAC, "i64.extend_i32_s i64.extend_i32_u"),
    (0xB2, "f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u"),
    (0xB6, "f32.demote_f64 f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s"),
    (0xBB, "f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32"),
    (0xBF, "f64.reinterpret_i64"),
]
SATURATING = [
    (0, "i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u"),
    (4, "i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u"),
    (10, "memory.copy memory.fill"),
]
SIMD = [
    (0, "v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u v128.load32x2_s"),
    (7, "v128.load8_splat v128.load16_splat v128.load32_splat v128.load64_splat v128.store"),
    (12, "v128.const i8x16.shuffle i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat"),
    (19, "f32x4.splat f64x2.splat"), (27, "i32x4.extract_lane i32x4.replace_lane"),
    (31, "f32x4.extract_lane f32x4.replace_lane"),
    (55, COMPARE_INT, "i32x4."), (65, COMPARE_FLOAT, "f32x4."),
    (77, "v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true"),
    (86, "v128.load32_lane v128.load64_lane v128.store8_lane v128.store16_lane v128.store32_lane"),
    (91, "v128.store64_lane v128.load32_zero v128.load64_zero"),
    (103, "f32x4.ceil f32x4.floor f32x4.trunc"), (106, "f32x4.nearest"),
    (135, "i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u"),
    (139, "i16x8.shl i16x8.shr_s"),
    (160, "i32x4.abs i32x4.neg"), (163, "i32x4.all_true i32x4.bitmask"),
    (167, "i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s"),
    (171, "i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add"), (177, "i32x4.sub"),
    (181, "i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s"),
    (224, "f32x4.abs f32x4.neg"),
    (227, "f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin"),
    (235, "f32x4.pmax"), (248, "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u"),
    (250, "f32x4.convert_i32x4_s f32x4.convert_i32x4_u"),
    (0x105, "f32x4.relaxed_madd f32x4.relaxed_nmadd"), (0x10B, "i32x4.relaxed_laneselect"),
]
ATOMIC = [
    (0, "memory.atomic.notify memory.atomic.wait32"), (16, "i32.atomic.load"),
    (23, "i32.atomic.store"), (30, "i32.atomic.rmw.add"),
]

VALUE_TYPES = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C, "v128": 0x7B}
EMPTY_BLOCK = 0x40


def unsigned(value: int) -> bytes:
    """A non-negative integer in LEB128."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def signed(value: int) -> bytes:
    """An integer in signed LEB128."""
    result = bytearray()
    while not -0x40 <= value < 0x40:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value & 0x7F])


def _numbered(groups: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, int]]:
    for first, words, *prefix in groups:
        for number, word in enumerate(words.split(), first):
            yield "".join(prefix) + word, number


OPCODES: dict[str, bytes] = {
    **{name: bytes([code]) for name, code in _numbered(PLAIN)},
    **{name: b"\xfc" + unsigned(code) for name, code in _numbered(SATURATING)},
    **{name: b"\xfd" + unsigned(code) for name, code in _numbered(SIMD)},
    **{name: b"\xfe" + unsigned(code) for name, code in _numbered(ATOMIC)},
}
