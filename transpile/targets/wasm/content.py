"""The sums that tell a file of weights from others, as a function of the binary.

They are defined by `content_digits` (`emit/weights.py`). JavaScript has them too, but an engine
takes longer to compile a loop over millions of words well than this takes to run.
"""

from __future__ import annotations

import struct

from transpile.targets.wasm.encoder import Function, Instruction

PLACE, FIRST, SECOND = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35
"""Odd factors of a word's place, of the word, and of the word in the second sum."""

FIRST_SHIFT, SECOND_SHIFT = 15, 13
"""By how much high bits are mixed into low ones, before either sum."""

START, END, NUMBER, WHICH, TOTAL, OTHER, AT, WORD = range(8)
"""Locals: the parameters, both sums, the factor of the place, and the words."""


def sums_function() -> Function:
    """`(start, end, number, which) -> sum`: the first sum of words, or the second one.

    They lie from one address to another, four at a time and one time at least; `number` words lie
    before them.
    """
    def four(*values: int) -> Instruction:
        return "v128.const", struct.pack("<4I", *(v & 0xFFFFFFFF for v in values))

    def mixed(shift: int) -> list[Instruction]:
        return [("local.get", WORD), ("local.get", WORD), ("i32.const", shift), ("i32x4.shr_u",),
                ("v128.xor",)]
    lanes = [("i32x4.extract_lane", n) for n in range(4)]
    code: list[Instruction] = [
        ("local.get", NUMBER), ("i32x4.splat",), four(1, 2, 3, 4), ("i32x4.add",),
        four(*[PLACE] * 4), ("i32x4.mul",), ("local.set", AT),
        ("loop",),
        ("local.get", START), ("v128.load", 0), ("local.get", AT), ("v128.xor",),
        four(*[FIRST] * 4), ("i32x4.mul",), ("local.set", WORD),
        *mixed(FIRST_SHIFT), ("local.tee", WORD),
        ("local.get", TOTAL), ("i32x4.add",), ("local.set", TOTAL),
        *mixed(SECOND_SHIFT), four(*[SECOND] * 4), ("i32x4.mul",),
        ("local.get", OTHER), ("i32x4.add",), ("local.set", OTHER),
        ("local.get", AT), four(*[4 * PLACE] * 4), ("i32x4.add",), ("local.set", AT),
        ("local.get", START), ("i32.const", 16), ("i32.add",), ("local.tee", START),
        ("local.get", END), ("i32.ne",), ("br_if", 0),
        ("end",),
        ("local.get", WHICH), ("if",), ("local.get", OTHER), ("local.set", TOTAL), ("end",),
        ("local.get", TOTAL), lanes[0]]
    for lane in lanes[1:]:
        code += [("local.get", TOTAL), lane, ("i32.add",)]
    return Function("sums", 4, ("v128",) * 4, tuple(code), 1)
