"""Integer polynomials: tensor dimensions, memory offsets, and index expressions.

A `Dim` is an `int` or a `Poly`. A polynomial is a sum of monomials over atoms:

- `Name`: a named dimension such as `batch`; at least 1.
- `Axis`: a loop variable with its extent; `0 <= axis < extent`.
- `FloorDiv`, `Mod`: of polynomials, where they cannot be simplified away.
- `Opaque`: an integer computed at run time (a gathered index).

Sums and products are canonical, so equality is structural and `x.reshape(batch, -1)` can be
checked without a solver. The same class serves loop indices: bounds live in the atoms, so that
`(28*row + col) // 28` is `row` without any context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transpile.ir.poly import (
    Atom,
    Axis,
    Dim,
    FloorDiv,
    Mod,
    Monomial,
    Name,
    Opaque,
    Poly,
    atom,
    axis,
    dim,
    floordiv,
    in_range,
    lower,
    mod,
    nonnegative,
    upper,
)

__all__ = [
    "Atom", "Axis", "Dim", "FloorDiv", "Mod", "Monomial", "Name", "Opaque", "Poly", "atom",
    "atoms", "axis", "ceildiv", "dim", "evaluate", "floordiv", "in_range", "lower", "mod",
    "names", "nonnegative", "parse_dim", "product", "rebuild", "substitute",
    "substitute_axes", "upper",
]


def ceildiv(value: Dim, by: Dim) -> Dim:
    """The smallest integer not below `value / by`."""
    return floordiv(value + by - 1, by)


def rebuild(value: Dim, change: Callable[[Atom], Dim | None]) -> Dim:
    """`value` with each atom replaced by `change(atom)`, or kept where that gives None."""
    if isinstance(value, int):
        return value
    total: Dim = 0
    for monomial, coef in value.terms:
        product: Dim = coef
        for a in monomial:
            product = product * _rebuild_atom(a, change)
        total = total + product
    return total


def _rebuild_atom(a: Atom, change: Callable[[Atom], Dim | None]) -> Dim:
    new = change(a)
    if new is not None:
        return new
    if isinstance(a, FloorDiv):
        return floordiv(rebuild(a.value, change), rebuild(a.divisor, change))
    if isinstance(a, Mod):
        return mod(rebuild(a.value, change), rebuild(a.divisor, change))
    return atom(a)


def substitute(value: Dim, values: Mapping[str, Dim]) -> Dim:
    """`value` with named dimensions replaced."""
    return _replaced(value, values, (Name,))


def substitute_axes(value: Dim, values: Mapping[str, Dim]) -> Dim:
    """`value` with loop variables replaced by name; a size of the same name is another thing."""
    return _replaced(value, values, (Axis,))


def _replaced(value: Dim, values: Mapping[str, Dim], kinds: tuple[type[Name | Axis], ...]
              ) -> Dim:
    return rebuild(value, lambda a: values.get(a.name) if isinstance(a, kinds) else None)


def evaluate(value: Dim, values: Mapping[str, int]) -> int:
    """The number that `value` is once every name has one; KeyError names a missing one."""
    result = _replaced(value, values, (Name, Axis))
    if isinstance(result, int):
        return result
    raise KeyError(next(iter(names(result)), str(result)))


def atoms(value: Dim) -> Iterable[Atom]:
    """Every atom in `value`, those inside divisions included."""
    for monomial, _ in value.terms if isinstance(value, Poly) else ():
        for a in monomial:
            yield a
            if isinstance(a, (FloorDiv, Mod)):
                yield from atoms(a.value)
                yield from atoms(a.divisor)


def names(value: Dim) -> set[str]:
    """The named dimensions in `value`."""
    return {a.name for a in atoms(value) if isinstance(a, Name)}


def product(values: Iterable[Dim]) -> Dim:
    """The product of sizes; 1 for none."""
    total: Dim = 1
    for value in values:
        total = total * value
    return total


def parse_dim(text: str) -> Dim:
    """Read what `str(dim)` writes: a number, a name, or a polynomial of them."""
    import ast
    import operator

    table: dict[type, Callable[[Any, Any], Dim]] = {
        ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
        ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod}

    def read(node: ast.expr) -> Dim:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name):
            return dim(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return read(node.operand) * -1
        if isinstance(node, ast.BinOp) and type(node.op) in table:
            return table[type(node.op)](read(node.left), read(node.right))
        raise ValueError(f"not a dimension: {text!r}")

    try:
        return read(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError:
        raise ValueError(f"not a dimension: {text!r}") from None
