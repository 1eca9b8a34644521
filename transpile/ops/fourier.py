"""Discrete Fourier transforms: fast ones where a size has small prime factors.

Cooley and Tukey 1965, in the order of factors and with the butterflies of pocketfft, which NumPy
uses: in float32, what rounding leaves where the true value is zero is then what NumPy leaves.
The twiddle factors take about two numbers for each point, a matrix would take `2 * size`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim
from transpile.ir.types import TensorType
from transpile.ops.composite import Value, composite
from transpile.ops.registry import Op, Sample, register, sample
from transpile.ops.scan import routine

LARGEST_PRIME = 7
"""Beyond, the butterfly's own matrix makes the code longer than a product with one."""

def factors(size: int) -> list[int]:
    """Fours, then a two, which goes first, then odd primes upwards."""
    result: list[int] = []
    while size % 4 == 0:
        result.append(4)
        size //= 4
    if size % 2 == 0:
        result.append(2)
        result[0], result[-1] = result[-1], result[0]
        size //= 2
    prime = 3
    while size > 1:
        while size % prime == 0:
            result.append(prime)
            size //= prime
        prime += 2
    return result


def is_fast(size: int) -> bool:
    """True for products of several small factors."""
    return len(factors(size)) > 1 and max(factors(size)) <= LARGEST_PRIME


def points(parts: int, size: int, inverse: bool) -> int:
    """The size of the complex transform: two neighbours of a real signal are one point.

    Not in an inverse transform, where NumPy does not do so either, and rounds otherwise.
    """
    return size // 2 if parts == 1 and size % 2 == 0 and not inverse else size


def stages(count: int) -> Iterator[tuple[int, int, int, int]]:
    """Each stage's factor, product of factors before and after it, and first twiddle factor.

    The last stage has none.
    """
    before, first = 1, 0
    for factor in factors(count):
        after = count // (before * factor)
        yield factor, before, after, first
        before, first = before * factor, first + (factor - 1) * after


def twiddles(parts: int, size: int, inverse: bool) -> np.ndarray:
    """The roots of unity that `fast_fourier` multiplies by, as float32[2, N].

    For each stage those of the butterfly's outputs 1, 2, ... for each place; then, if points are
    pairs, those that take the pairs apart.
    """
    count = points(parts, size, inverse)
    turns = [np.outer(np.arange(1, factor), np.arange(after)).ravel() * before / count
             for factor, before, after, _ in stages(count) if after > 1]
    turns += [np.arange(1, count) / size] if count < size else []
    return _roots(np.concatenate(turns), inverse)


def _roots(turns: np.ndarray, inverse: bool) -> np.ndarray:
    angle = 2 * np.pi * turns
    return np.stack([np.cos(angle), (1 if inverse else -1) * np.sin(angle)]).astype(np.float32)


def _kept(size: int, half: bool) -> int:
    return size // 2 + 1 if half else size


def _checked(shape: tuple[Dim, ...], half: bool) -> tuple[int, int]:
    """Parts and size of a signal that can be transformed."""
    parts, size = shape[-2:] if len(shape) > 1 else (0, 0)
    if not isinstance(size, int) or size < 1 or (parts != 1 and (parts != 2 or half)):
        raise ShapeError(f"fourier of {list(map(str, shape))}", why="it needs [..., parts, size] "
                         "with a fixed size, and one part or two; half a spectrum is of one part")
    return 1 if parts == 1 else 2, size


def _infer(x: TensorType, table: TensorType, inverse: bool, half: bool) -> TensorType:
    parts, size = _checked(x.shape, half)
    if not is_fast(size):
        raise ShapeError(f"fast_fourier of {x}", why=f"prime factors beyond {LARGEST_PRIME}")
    wanted = (2, twiddles(parts, size, inverse).shape[1])
    if table.shape != wanted:
        raise ShapeError(f"fast_fourier of {x} by {table}",
                         why=f"its twiddle factors are float32{[*wanted]}")
    return x.with_shape((*x.shape[:-2], 2, _kept(size, half)))


def fast_fourier(x: np.ndarray, table: np.ndarray, inverse: bool, half: bool) -> np.ndarray:
    """The transform of [..., parts, size] by stages, with real and imaginary parts as planes.

    Args:
        x: one part, which is real, or two.
        table: what `twiddles` gives.
        inverse: the sign of the exponent; nothing is divided by the size.
        half: only frequencies up to size // 2.

    Returns:
        [..., 2, size], or [..., 2, size // 2 + 1].
    """
    *lead, parts, size = x.shape
    count, factor_of = points(parts, size, inverse), table[0] + 1j * table[1]
    if parts == 2:
        z = x[..., 0, :] + 1j * x[..., 1, :]
    else:
        z = x[..., 0, ::2] + 1j * x[..., 0, 1::2] if count < size else x[..., 0, :] + 0j
    for factor, before, after, first in stages(count):
        split = z.reshape(*lead, before, factor, after)
        made = np.einsum("uj,...kji->...uki", _butterfly(factor, inverse), split)
        if after > 1:
            by = factor_of[first:first + (factor - 1) * after].reshape(factor - 1, 1, after)
            made = np.concatenate([made[..., :1, :, :], made[..., 1:, :, :] * by], axis=-3)
        z = made.reshape(*lead, count)
    full = _taken_apart(z, factor_of[1 - count:]) if count < size else z
    kept = full[..., :_kept(size, half)]
    return np.stack([kept.real, kept.imag], axis=-2).astype(x.dtype)


def _butterfly(factor: int, inverse: bool) -> np.ndarray:
    turns = np.outer(np.arange(factor), np.arange(factor)) / factor
    return np.asarray(np.exp((2j if inverse else -2j) * np.pi * turns))


def _taken_apart(z: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """The spectrum of a real signal from that of its pairs of neighbours."""
    other = np.conj(np.roll(z[..., ::-1], 1, axis=-1))
    even, odd = (z + other) / 2, (z - other) / 2j
    even, odd = (np.concatenate([half, half[..., :1]], axis=-1) for half in (even, odd))
    low = even + np.concatenate([[1], roots, [-1]]) * odd
    return np.concatenate([low, np.conj(low[..., -2:0:-1])], axis=-1)


def _sample(inverse: bool, half: bool, *shape: int) -> Sample:
    table = twiddles(shape[-2], shape[-1], inverse).shape
    return sample(str(TensorType("float32", shape)), str(TensorType("float32", table)),
                  inverse=inverse, half=half)


register(Op("fast_fourier", _infer, fast_fourier, routine("build_fast_fourier", module="fourier"), (
    _sample(True, False, 2, 10), _sample(False, True, 3, 1, 16), _sample(False, True, 1, 15),
    _sample(False, False, 2, 2, 14), _sample(False, False, 2, 1, 48),
    _sample(True, True, 1, 2, 1, 12), _sample(False, True, 1, 6))))


def _fourier(x: Value, *, inverse: bool, half: bool) -> Value:
    from transpile.frontends.tracer import apply
    parts, size = _checked(x.shape, half)
    if is_fast(size):
        return apply("fast_fourier", x, twiddles(parts, size, inverse), inverse=inverse, half=half)
    cosine, sine = _roots(np.outer(np.arange(size), np.arange(_kept(size, half))) / size, inverse)
    planes = [x[..., 0, :] @ cosine, x[..., 0, :] @ sine]
    if parts == 2:
        planes = [planes[0] - x[..., 1, :] @ sine, planes[1] + x[..., 1, :] @ cosine]
    return np.stack(planes, axis=-2)


def fourier(x: np.ndarray, inverse: bool, half: bool) -> np.ndarray:
    """The transform of [..., parts, size]; arguments and result as of `fast_fourier`."""
    z = x[..., 0, :] + 1j * x[..., 1, :] if x.shape[-2] == 2 else x[..., 0, :]
    full = np.fft.ifft(z, norm="forward") if inverse else np.fft.fft(z)
    kept = full[..., :_kept(x.shape[-1], half)]
    return np.stack([kept.real, kept.imag], axis=-2).astype(x.dtype)


composite("fourier", _fourier, fourier, [
    sample(f"float32[{parts},{size}]", inverse=inverse, half=half)
    for parts, size, inverse, half in (
        (1, 1, False, True), (2, 3, True, False), (1, 11, False, True), (2, 4, False, False),
        (1, 12, True, True), (2, 1, False, False), (1, 8, False, False), (2, 64, True, False),
        (1, 400, False, True), (2, 105, False, False), (1, 54, True, True))])
