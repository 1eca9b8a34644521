"""Integer polynomials: their arithmetic, division, and bounds; `ir/dims.py` is what to import."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from math import gcd
from numbers import Integral
from typing import Any, Union


@dataclass(frozen=True, slots=True)
class Name:
    """A named dimension, at least 1."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Axis:
    """A loop variable: `0 <= axis < extent`."""

    name: str
    extent: Dim

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class FloorDiv:
    """`floor(value / divisor)`."""

    value: Poly
    divisor: Dim

    def __str__(self) -> str:
        return f"(({self.value})//{_factor(self.divisor)})"


@dataclass(frozen=True)
class Mod:
    """`value - divisor * floor(value / divisor)`."""

    value: Poly
    divisor: Dim

    def __str__(self) -> str:
        return f"(({self.value})%{_factor(self.divisor)})"


@dataclass(frozen=True)
class Opaque:
    """An integer computed at run time; `low` and `high` bound it (inclusive)."""

    expr: Any
    low: int = 0
    high: Dim = 2**31 - 1

    def __str__(self) -> str:
        return f"<{self.expr}>"


Atom = Union[Name, Axis, FloorDiv, Mod, Opaque]
Monomial = tuple[Atom, ...]


Operator = Callable[["Poly", Any], "Dim"]


def _with_integers(method: Operator) -> Operator:
    """NotImplemented for an operand that is neither an integer nor a polynomial."""
    @wraps(method)
    def checked(self: Poly, other: Any) -> Dim:
        if isinstance(other, (int, Poly, Integral)):
            return method(self, other)
        return NotImplemented  # type: ignore[no-any-return]
    return checked


def _factor(value: Dim) -> str:
    return str(value) if isinstance(value, int) else f"({value})"


def _order(monomial: Monomial) -> tuple[int, str]:
    return -len(monomial), "*".join(map(str, monomial))


@dataclass(frozen=True)
class Poly:
    """A canonical integer polynomial; build one with `dim`, `axis` and arithmetic."""

    terms: tuple[tuple[Monomial, int], ...]

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    @property
    def const(self) -> int:
        """The constant term."""
        return next((c for m, c in self.terms if not m), 0)

    @_with_integers
    def __add__(self, other: Dim) -> Dim:
        return _sum([*self.terms, *_terms(other)])

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    @_with_integers
    def __sub__(self, other: Dim) -> Dim:
        return self + other * -1

    @_with_integers
    def __rsub__(self, other: Dim) -> Dim:
        return self * -1 + other

    @_with_integers
    def __mul__(self, other: Dim) -> Dim:
        return _sum((_merge(m, n), c * d) for m, c in self.terms for n, d in _terms(other))

    __rmul__ = __mul__

    @_with_integers
    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    @_with_integers
    def __mod__(self, other: Dim) -> Dim:
        return mod(self, other)

    @_with_integers
    def __rmod__(self, other: int) -> Dim:
        return mod(other, self)

    @_with_integers
    def __rfloordiv__(self, other: int) -> Dim:
        return floordiv(other, self)

    def __bool__(self) -> bool:
        raise TypeError(f"the size {self} is symbolic: its truth value is unknown")

    def __index__(self) -> int:
        raise TypeError(f"the size {self} is symbolic, and here a number is needed")

    def __str__(self) -> str:
        parts: list[str] = []
        for monomial, coef in self.terms:
            body = "*".join(map(str, monomial))
            text = str(coef) if not body else body if coef == 1 else f"{coef}*{body}"
            parts.append(text if not parts or text.startswith("-") else f"+{text}")
        return "".join(parts).replace("-1*", "-") or "0"

    __repr__ = __str__


Dim = Union[int, Poly]
"""A size or an index: a number, or a polynomial over named dimensions and loop variables."""


def dim(name: str) -> Poly:
    """The named dimension `name`."""
    return Poly((((Name(name),), 1),))


def axis(name: str, extent: Dim) -> Dim:
    """A loop variable over `range(extent)`; the constant 0 where only one value is possible."""
    return 0 if extent == 1 else Poly((((Axis(name, extent),), 1),))


def atom(value: Atom) -> Poly:
    """A polynomial that is just one atom."""
    return Poly((((value,), 1),))


def _terms(value: Dim) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(value, Poly):
        return value.terms
    return (((), int(value)),) if value else ()


def _merge(a: Monomial, b: Monomial) -> Monomial:
    return a + b if not a or not b else tuple(sorted(a + b, key=str))


def _sum(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    total: dict[Monomial, int] = {}
    for monomial, coef in terms:
        total[monomial] = total.get(monomial, 0) + coef
    _rejoin(total)
    kept = [(m, c) for m, c in total.items() if c]
    if not kept:
        return 0
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][1]
    return Poly(tuple(sorted(kept, key=lambda t: _order(t[0]))))


def _rejoin(total: dict[Monomial, int]) -> None:
    """Replace `v % d + d * (v // d)` by `v`: what a reshape splits, its strides join again."""
    pairs = [(m, a) for m in total for a in m if isinstance(a, Mod)]
    for monomial, a in pairs:
        coef = total.get(monomial, 0)
        rest = list(monomial)
        rest.remove(a)
        others = Poly(((tuple(rest), coef),))
        whole = floordiv(a.value, a.divisor) * a.divisor * others if coef else 0
        if whole != 0 and all(total.get(m) == c for m, c in _terms(whole)):
            del total[monomial]
            for m, _ in _terms(whole):
                del total[m]
            for m, c in _terms(a.value * others):
                total[m] = total.get(m, 0) + c
            _rejoin(total)
            return


def _quotient(monomial: Monomial, coef: int, by: Poly | int) -> tuple[Monomial, int] | None:
    """`coef*monomial / by` where `by` is one term that divides it."""
    terms = _terms(by)
    if len(terms) != 1:
        return None
    divisor, k = terms[0]
    if coef % k:
        return None
    rest = list(monomial)
    for factor in divisor:
        if factor not in rest:
            return None
        rest.remove(factor)
    return tuple(rest), coef // k


def _divide(value: Dim, by: Dim) -> tuple[Dim, Dim]:
    """Split `value` into `quotient*by + rest`, moving every term that `by` divides."""
    if value == by:
        return 1, 0
    done: list[tuple[Monomial, int]] = []
    rest: list[tuple[Monomial, int]] = []
    for monomial, coef in _terms(value):
        part = _quotient(monomial, coef, by)
        if part is None and isinstance(by, int) and not monomial:
            done.append(((), coef // by))
            rest.append(((), coef % by))
        elif part is None:
            rest.append((monomial, coef))
        else:
            done.append(part)
    return _sum(done), _sum(rest)


def floordiv(value: Dim, by: Dim) -> Dim:
    """`value // by`, simplified by the bounds that the atoms carry; `by` is positive."""
    if isinstance(value, int) and isinstance(by, int):
        return value // by
    if by == 1:
        return value
    quotient, rest = _divide(value, by)
    if rest == 0 or in_range(rest, by):
        return quotient
    inner = _only_division(rest)
    if inner is not None:  # (v // a + c) // b is (v + c*a) // (a*b)
        a, c = inner.divisor, rest.const if isinstance(rest, Poly) else 0
        return quotient + floordiv(inner.value + a * c, a * by)
    if coarse := _coarse(rest, by):
        g, high, _ = coarse
        return quotient + floordiv(high, by // g)
    return quotient + atom(FloorDiv(_poly(rest), by))


def _coarse(value: Dim, by: Dim) -> tuple[int, Dim, Dim] | None:
    """`(g, high, low)`: `value` is `g*high + low`, where 0 <= low < g and g divides `by`."""
    terms = _terms(value)
    for g in sorted({gcd(by, c) for _, c in terms} - {1}, reverse=True) if isinstance(
            by, int) else ():
        low = _sum(t for t in terms if t[1] % g)
        if in_range(low, g):
            return g, _sum((m, c // g) for m, c in terms if c % g == 0), low
    return None


def _only_division(value: Dim) -> FloorDiv | None:
    """The division that `value` consists of, but for a constant, if it is one."""
    terms = [t for t in _terms(value) if t[0]]
    if len(terms) == 1 and terms[0][1] == 1 and len(terms[0][0]) == 1:
        only = terms[0][0][0]
        return only if isinstance(only, FloorDiv) else None
    return None


def mod(value: Dim, by: Dim) -> Dim:
    """`value % by`, with the sign of `by`, which is positive."""
    if isinstance(value, int) and isinstance(by, int):
        return value % by
    _, rest = _divide(value, by)
    if by == 1 or rest == 0 or in_range(rest, by):
        return 0 if by == 1 else rest
    if coarse := _coarse(rest, by):
        g, high, low = coarse
        return mod(high, by // g) * g + low
    return atom(Mod(_poly(rest), by))


def _poly(value: Dim) -> Poly:
    return value if isinstance(value, Poly) else Poly((((), value),))


def _atom_limits(a: Atom) -> tuple[Dim | None, Dim | None]:
    if isinstance(a, Name):
        return 1, None
    if isinstance(a, Axis):
        return 0, a.extent - 1
    if isinstance(a, Mod):
        return 0, a.divisor - 1
    if isinstance(a, Opaque):
        return a.low, a.high
    low, high = lower(a.value), upper(a.value)
    return (None if low is None else floordiv(low, a.divisor),
            None if high is None else floordiv(high, a.divisor))


@lru_cache(maxsize=1 << 16)  # sizes behind many strided layers nest divisions deeply
def _limit(value: Dim, want_upper: bool) -> Dim | None:
    total: Dim = 0
    for monomial, coef in _terms(value):
        product: Dim = coef
        for a in monomial:
            if isinstance(a, Name) and len(monomial) > 1:
                product = product * atom(a)  # kept: it may cancel against another term
                continue
            low, high = _atom_limits(a)
            bound = high if want_upper == (coef > 0) else low
            if isinstance(a, Name):
                bound = atom(a)
            if bound is None or (len(monomial) > 1 and not nonnegative(low)):
                return None
            product = product * bound
        total = total + product
    return total


def lower(value: Dim) -> Dim | None:
    """A lower bound over all loop variables, symbolic in the names; None if none is known."""
    return _limit(value, want_upper=False)


def upper(value: Dim) -> Dim | None:
    """An upper bound over all loop variables, symbolic in the names; None if none is known."""
    return _limit(value, want_upper=True)


def nonnegative(value: Dim | None) -> bool:
    """True if `value >= 0` can be proved, every name being at least 1."""
    if value is None:
        return False
    bound = value if isinstance(value, int) else lower(value)
    if isinstance(bound, int) or bound is None:
        return bound is not None and bound >= 0
    return all(c >= 0 and all(map(_positive, m)) for m, c in _terms(_moved(bound)))


def _moved(value: Poly) -> Dim:
    """`value` in terms of each name less 1, so that what is at least 1 becomes at least 0.

    Inside divisions nothing moves, since they were simplified for names of at least 1.
    """
    total: Dim = 0
    for monomial, coef in value.terms:
        product: Dim = coef
        for a in monomial:
            product = product * (atom(a) + 1 if isinstance(a, Name) else atom(a))
        total = total + product
    return total


def _positive(a: Atom) -> bool:
    """True if `a >= 0` can be proved."""
    if isinstance(a, FloorDiv):
        return nonnegative(a.value)
    return not isinstance(a, Opaque) or a.low >= 0


def in_range(value: Dim, extent: Dim) -> bool:
    """True if `0 <= value < extent` can be proved."""
    top = upper(value)
    return nonnegative(lower(value)) and top is not None and nonnegative(extent - 1 - top)
