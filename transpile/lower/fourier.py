"""The fast Fourier transform as loop IR (see `ops/fourier.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from transpile.ir.dims import Axis, Dim, axis
from transpile.lower.expr import Const, Expr, Load, call
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.share import share
from transpile.lower.stmt import For, Stmt, Store
from transpile.ops.fourier import points, stages
from transpile.ops.registry import Accessor

Complex = tuple[Expr, Expr]

Read = Callable[[Dim], Complex]


def _add(a: Complex, b: Complex) -> Complex:
    return call("add", a[0], b[0]), call("add", a[1], b[1])


def _sub(a: Complex, b: Complex) -> Complex:
    return call("sub", a[0], b[0]), call("sub", a[1], b[1])


def _scale(a: Complex, factor: float) -> Complex:
    """Times a number in float32."""
    by = Const(float(np.float32(factor)))
    return call("mul", a[0], by), call("mul", a[1], by)


def _times(a: Complex, b: Complex) -> Complex:
    real = call("sub", call("mul", a[0], b[0]), call("mul", a[1], b[1]))
    return real, call("add", call("mul", a[0], b[1]), call("mul", a[1], b[0]))


def _turned(a: Complex, sign: int) -> Complex:
    """Times i, or -i."""
    real, imaginary = a
    return (call("neg", imaginary), real) if sign > 0 else (imaginary, call("neg", real))


def _butterfly(x: Sequence[Complex], sign: int) -> list[Complex]:
    """The transform of a few values."""
    if len(x) == 2:
        return [_add(*x), _sub(*x)]
    if len(x) == 4:
        even, odd = _butterfly(x[::2], sign), _butterfly(x[1::2], sign)
        turned = _turned(odd[1], sign)
        return [_add(even[0], odd[0]), _add(even[1], turned), _sub(even[0], odd[0]),
                _sub(even[1], turned)]
    return _odd_butterfly(x, sign)


def _odd_butterfly(x: Sequence[Complex], sign: int) -> list[Complex]:
    """Inputs j and -j meet as sum and difference, and give outputs u and -u."""
    size = len(x)
    pairs = range(1, size // 2 + 1)
    sums, differences = ([f(x[j], x[-j]) for j in pairs] for f in (_add, _sub))
    first = x[0]
    for s in sums:
        first = _add(first, s)
    result = [first] * size
    for u in pairs:
        angles = [2 * np.pi * (u * j % size) / size for j in pairs]
        even = x[0]
        for s, angle in zip(sums, angles, strict=True):
            even = _add(even, _scale(s, np.cos(angle)))
        odd = _scale(differences[0], sign * np.sin(angles[0]))
        for d, angle in zip(differences[1:], angles[1:], strict=True):
            odd = _add(odd, _scale(d, sign * np.sin(angle)))
        result[u], result[-u] = _add(even, _turned(odd, 1)), _sub(even, _turned(odd, 1))
    return result


def build_fast_fourier(context: RoutineContext, x: Accessor, table: Accessor, *, inverse: bool,
                       half: bool) -> tuple[Stmt, ...]:
    """Each transform walks between two buffers, stage by stage."""
    *lead, parts, size = x.type.shape
    assert isinstance(size, int) and isinstance(parts, int)
    axes = [Axis(f"i{n}", d) for n, d in enumerate(lead)]
    outer = [axis(a.name, a.extent) for a in axes]
    count = points(parts, size, inverse)

    def store(k: Dim, value: Complex) -> list[Stmt]:
        return [context.store((*outer, part, k), v) for part, v in enumerate(value)]

    def twiddle(k: Dim) -> Complex:
        return table(0, k), table(1, k)

    def given(at: Dim) -> Complex:
        if count < size:
            return x(*outer, 0, 2 * at), x(*outer, 0, 2 * at + 1)
        return x(*outer, 0, at), (x(*outer, 1, at) if parts == 2 else Const(0.0))
    body, read = _transformed(context, given, twiddle, count, 1 if inverse else -1)
    if count == size:
        k = Axis("k", size // 2 + 1 if half else size)
        return loops(axes, [*body, *loops([k], store(_of(k), read(_of(k))))])
    roots = table.type.shape[1] - (count - 1)
    return loops(axes, [*body, *_taken_apart(
        count, read, lambda k: twiddle(roots + k), store, half=half)])


def _of(a: Axis) -> Dim:
    return axis(a.name, a.extent)


def _transformed(context: RoutineContext, read: Read, twiddle: Read, count: int, sign: int
                 ) -> tuple[list[Stmt], Read]:
    """The stages of a transform of `count` points, and where their result is read."""
    buffers = [context.scratch(2 * count) for _ in range(2)]
    body: list[Stmt] = []
    for factor, before, after, first in stages(count):
        buffer = buffers[0]
        body += _stage(read, buffer, twiddle, (factor, before, after, first), sign)
        read = _reader(buffer, count)
        buffers.reverse()
    return body, read


def _reader(buffer: str, count: int) -> Read:
    return lambda at: (Load(buffer, at), Load(buffer, at + count))


def _stage(read: Read, buffer: str, twiddle: Read, stage: tuple[int, int, int, int], sign: int
           ) -> tuple[Stmt, ...]:
    """Butterflies over inputs that lie far apart, and their outputs by twiddle factors."""
    factor, before, after, first = stage
    group, place = Axis("k", before), Axis("i", after)
    k, i = _of(group), _of(place)
    made = _butterfly([read(i + after * (j + factor * k)) for j in range(factor)], sign)
    if after > 1:
        made[1:] = [_times(value, twiddle(first + j * after + i))
                    for j, value in enumerate(made[1:])]
    count = before * factor * after
    stores: list[Stmt] = [Store(buffer, i + after * (k + before * j) + part * count, value[part])
                          for j, value in enumerate(made) for part in range(2)]
    # A loop even for one place: what stages share have the same names.
    return loops([group], [For(place, share(stores), 0, after)])


def _taken_apart(count: int, read: Read, root: Read,
                 store: Callable[[Dim, Complex], list[Stmt]], *, half: bool) -> list[Stmt]:
    """The spectrum of a real signal from that of its pairs of neighbours, even ones first."""
    place = Axis("k", count - 1)
    k = _of(place) + 1
    here, (real, imaginary) = read(k), read(count - k)
    there = real, call("neg", imaginary)
    odd = _turned(_scale(_sub(here, there), 0.5), -1)
    value = _add(_scale(_add(here, there), 0.5), _times(odd, root(_of(place))))
    stores = store(k, value)
    real, imaginary = read(0)
    zero = Const(0.0)
    ends = [*store(0, (call("add", real, imaginary), zero)),
            *store(count, (call("sub", real, imaginary), zero))]
    if not half:
        stores += store(2 * count - k, (value[0], call("neg", value[1])))
    return [*ends, For(place, share(stores), 0, count - 1)]
