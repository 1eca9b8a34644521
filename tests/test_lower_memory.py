"""The memory plan: buffers that live at one time never share a byte, for any size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transpile.ir.dims import Dim, Poly, dim, evaluate, names
from transpile.lower.memory import ALIGNMENT, Lifetime, plan

BATCH, LENGTH = dim("batch"), dim("length")
SIZES: list[Dim] = [1, 4, 16, 40, 4 * BATCH, 100 * BATCH, 16 * BATCH + 4, 4 * LENGTH,
                    8 * BATCH * LENGTH, 4 * BATCH + 4 * LENGTH]


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Lifetime]:
    result = []
    for number in range(draw(st.integers(0, 12))):
        first = draw(st.integers(-1, 10))
        size = draw(st.one_of(st.sampled_from(SIZES), st.integers(0, 300)))
        result.append(Lifetime(f"b{number}", size, first, first + draw(st.integers(0, 5))))
    return result


@given(lifetimes(), st.sampled_from([0, 16, 4096]),
       st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4))
def test_live_buffers_are_apart_at_every_size(buffers: list[Lifetime], start: int,
                                              sizes: list[tuple[int, int]]) -> None:
    offsets, end = plan(buffers, start)
    assert set(offsets) == {b.name for b in buffers}
    for batch, length in sizes:
        at = {"batch": batch, "length": length}
        spans = [(evaluate(offsets[b.name], at), evaluate(b.size, at), b) for b in buffers]
        for low, size, _ in spans:
            assert low % ALIGNMENT == 0
            assert start <= low
            assert low + size <= evaluate(end, at)
        for i, (low, size, one) in enumerate(spans):
            for other_low, other_size, other in spans[:i]:
                together = one.first <= other.last and other.first <= one.last
                assert (not together or low + size <= other_low or other_low + other_size <= low)


def test_what_is_dead_makes_room() -> None:
    chain = [Lifetime(f"b{i}", 64, i, i + 1) for i in range(10)]
    _, end = plan(chain, 0)
    assert end == 128


def test_sizes_of_one_name_share_an_arena() -> None:
    offsets, end = plan([Lifetime("a", 64 * BATCH, 0, 1), Lifetime("b", 32 * BATCH, 2, 3),
                         Lifetime("c", 48, 0, 3)], 16)
    assert offsets["a"] == offsets["b"]
    assert isinstance(end, Poly)
    assert names(end) == {"batch"}
    assert evaluate(end, {"batch": 3}) == 16 + 48 + 3 * 64
