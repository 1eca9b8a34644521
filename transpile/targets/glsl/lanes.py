"""Loop IR over one element becomes loop IR over the four lanes of a texel.

The innermost axis of a kernel is `4*texel + lane`. What does not depend on the lane stays scalar;
a load that steps with it reads a whole texel; everything else is put together lane by lane.
Vector values have dtypes ending in `x4`. Three functions exist only here and in the printer:
`lane(vector, n)`, `lanes(a, b, c, d)` and `splat(a)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from transpile.errors import InternalError
from transpile.ir.dims import Atom, Axis, Dim, Opaque, atom, atoms, rebuild
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, map_expr
from transpile.lower.nest import coefficient, indices_of, substitute_expr
from transpile.lower.scalar import SCALARS, Scalar
from transpile.lower.stmt import Assign, Comment, Declare, For, If, Let, Stmt, Store
from transpile.lower.walk import map_body, parts, statements
from transpile.targets.glsl.scalars import GLSL

LANE = Axis("lane", 4)
LANE_INDEX: Dim = atom(LANE)

ORDER = ("less", "less_equal", "greater", "greater_equal")
"""Comparisons that GLSL does not have for bools."""

LIMITS = {"maximum": "at_least", "minimum": "at_most"}
"""What serves where one operand is a number: NaN can come from the other one only."""

OWN = ("select", "lane", "lanes", "splat")
"""Functions that the printer writes without a cell."""

for _name in OWN[1:]:
    SCALARS.setdefault(_name, Scalar(_name, lambda *a: a[0], cost=0))


class NotLanesError(Exception):
    """The body does not fit four lanes: it is printed for one element at a time."""


def is_vector(dtype: str) -> bool:
    return dtype.endswith("x4")


def base(dtype: str) -> str:
    return dtype.removesuffix("x4")


def mentions(index: Dim, over: Axis) -> bool:
    """True if an index depends on a loop variable, gathered indices included."""
    for a in atoms(index):
        if a == over:
            return True
        if isinstance(a, Opaque) and expr_mentions(a.expr, over):
            return True
    return False


def expr_mentions(expr: Expr, over: Axis) -> bool:
    return any(mentions(i, over) for i in indices_of(expr))


def aligned(index: Dim) -> bool:
    """True if an index is a multiple of four for certain."""
    if isinstance(index, int):
        return index % 4 == 0
    return all(c % 4 == 0 for _, c in index.terms)


def constant_term(index: Dim) -> int:
    return index if isinstance(index, int) else index.const


def scalar_load(load: Load) -> Expr:
    """One element: a lane of its texel where the lane is known."""
    lane = constant_term(load.index) % 4
    start = load.index - lane
    if not aligned(start):
        return load
    texel = Load(load.buffer, start, f"{load.dtype}x4")
    return Call("lane", (texel, Const(lane, "int32")), load.dtype)


def scalars(expr: Expr) -> Expr:
    """Every load through `scalar_load`; indices keep theirs."""
    if isinstance(expr, Load):
        return expr if is_vector(expr.dtype) else scalar_load(expr)
    if isinstance(expr, Call):
        return whole_texel(replace(expr, args=tuple(map(scalars, expr.args))))
    return expr


def whole_texel(value: Call) -> Call:
    """A lane of a texel or a number, by a condition, as a lane of a choice of the whole texel.

    The four lanes at the edge of a pad then share one choice and one read.
    """
    if value.fn != "select":
        return value
    condition, inside, outside = value.args
    if not (isinstance(inside, Call) and inside.fn == "lane" and isinstance(outside, Const)):
        return value
    texel, lane = inside.args
    chosen = Call("select", (condition, texel, splat(outside)), texel.dtype)
    return Call("lane", (chosen, lane), value.dtype)


@dataclass
class Vectoriser:
    """Turns expressions that depend on the lane into vectors.

    Attributes:
        vectors: locals known to hold vectors.
    """

    vectors: set[str] = field(default_factory=set)

    def expr(self, value: Expr) -> Expr:
        if isinstance(value, Local):
            wide = value.name in self.vectors and not is_vector(value.dtype)
            return replace(value, dtype=f"{value.dtype}x4") if wide else value
        if isinstance(value, (Load, Index)):
            return self.indexed(value)
        if isinstance(value, Call):
            return self.call(value)
        return value

    def indexed(self, value: Load | Index) -> Expr:
        if any(isinstance(p, Local) and p.name in self.vectors for p in parts(value)):
            raise NotLanesError
        if not mentions(value.index, LANE):
            return scalar_load(value) if isinstance(value, Load) else value
        if isinstance(value, Load) and coefficient(value.index, LANE) == 1 and aligned(
                value.index - LANE_INDEX):
            return Load(value.buffer, value.index - LANE_INDEX, f"{value.dtype}x4")
        each = [scalars(substitute_expr(value, {LANE.name: n})) for n in range(4)]
        if all(e == each[0] for e in each):
            return each[0]
        return Call("lanes", tuple(each), f"{value.dtype}x4")

    def call(self, value: Call) -> Expr:
        args = tuple(map(self.expr, value.args))
        if value.fn in ("lane", "lanes", "splat"):
            return value
        if not any(is_vector(a.dtype) for a in args):
            return whole_texel(replace(value, args=args))
        if value.fn == "select" and not is_vector(args[0].dtype):
            return Call("select", (args[0], *map(splat, args[1:])), f"{value.dtype}x4")
        return Call(value.fn, tuple(map(splat, args)), f"{value.dtype}x4")


def without_lane_locals(body: Sequence[Stmt], known: Mapping[str, Expr] = MappingProxyType({})
                        ) -> tuple[Stmt, ...]:
    """The body with lanes of texels where locals held them: only texels are worth a name."""
    found = dict(known)
    result: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, For):
            result.append(replace(stmt, body=without_lane_locals(stmt.body, found)))
            continue
        stmt, = map_body([stmt], lambda e: map_expr(e, lambda part: found.get(
            part.name) if isinstance(part, Local) else None))
        if isinstance(stmt, Let) and isinstance(stmt.value, Call) and stmt.value.fn == "lane":
            found[stmt.name] = stmt.value
        else:
            result.append(stmt)
    return tuple(result)


def splat(value: Expr) -> Expr:
    """A scalar in all four lanes."""
    return value if is_vector(value.dtype) else Call("splat", (value,), f"{value.dtype}x4")


def vectorise(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The body for four lanes at once.

    Raises:
        NotLanesError: a loop's bounds or a gathered local depend on the lane.
    """
    work = Vectoriser()
    while True:
        before = len(work.vectors)
        result = _block(body, work)
        if len(work.vectors) == before:
            return result


def _block(body: Sequence[Stmt], work: Vectoriser) -> tuple[Stmt, ...]:
    return tuple(s for stmt in body for s in _statement(stmt, work))


def _statement(stmt: Stmt, work: Vectoriser) -> list[Stmt]:
    if isinstance(stmt, For):
        if mentions(stmt.start, LANE) or mentions(stmt.stop, LANE):
            raise NotLanesError
        return [replace(stmt, body=_block(stmt.body, work))]
    if isinstance(stmt, If):
        return _branch(stmt, work)
    if isinstance(stmt, Store):
        return [replace(stmt, value=splat(work.expr(stmt.value)))]
    if isinstance(stmt, Comment):
        return [stmt]
    value = work.expr(stmt.value)
    if is_vector(value.dtype):
        work.vectors.add(stmt.name)
    elif stmt.name in work.vectors:
        value = splat(value)
    return [replace(stmt, value=value)]


def _branch(stmt: If, work: Vectoriser) -> list[Stmt]:
    """A branch on a vector becomes a choice for each local that it assigns."""
    condition = work.expr(stmt.condition)
    if not is_vector(condition.dtype):
        for inner in statements([*stmt.then, *stmt.otherwise]):
            if not isinstance(inner, Assign):
                raise NotLanesError
        return [If(condition, _block(stmt.then, work), _block(stmt.otherwise, work))]
    if stmt.otherwise or not all(isinstance(s, Assign) for s in stmt.then):
        raise NotLanesError
    names = [s.name for s in stmt.then if isinstance(s, Assign)]
    chosen = Local(f"better_{names[0]}", condition.dtype)
    result: list[Stmt] = [Let(chosen.name, condition)]
    for inner in stmt.then:
        assert isinstance(inner, Assign)
        value = splat(work.expr(inner.value))
        work.vectors.add(inner.name)
        old = Local(inner.name, value.dtype)
        result.append(Assign(inner.name, Call("select", (chosen, value, old), value.dtype)))
    return result


def with_scalar_loads(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """A body for one element, its loads as lanes of texels where that is known."""
    return map_body(body, scalars)


def rename_locals(body: Sequence[Stmt], names: Mapping[str, str]) -> tuple[Stmt, ...]:
    """Every local renamed by table, where it is made and where it is read."""
    def index(value: Dim) -> Dim:
        return rebuild(value, lambda a: atom(replace(a, expr=change(a.expr)))
                       if isinstance(a, Opaque) else None)

    def visit(e: Expr) -> Expr | None:
        if isinstance(e, Local):
            return replace(e, name=names.get(e.name, e.name))
        return replace(e, index=index(e.index)) if isinstance(e, (Load, Index)) else None

    def change(e: Expr) -> Expr:
        return map_expr(e, visit)

    mapped = map_body(body, change, lambda s: replace(s, index=index(s.index)))
    return tuple(_with_name(s, names) for s in mapped)


def _with_name(stmt: Stmt, names: Mapping[str, str]) -> Stmt:
    if isinstance(stmt, (Let, Declare, Assign)):
        return replace(stmt, name=names.get(stmt.name, stmt.name))
    if isinstance(stmt, For):
        return replace(stmt, body=tuple(_with_name(s, names) for s in stmt.body))
    if isinstance(stmt, If):
        return replace(stmt, then=tuple(_with_name(s, names) for s in stmt.then),
                       otherwise=tuple(_with_name(s, names) for s in stmt.otherwise))
    return stmt


def legal(expr: Expr) -> Expr:
    """Functions that GLSL lacks replaced by their parts."""
    if isinstance(expr, (Load, Index)):
        return replace(expr, index=rebuild(expr.index, _legal_atom))
    if not isinstance(expr, Call):
        return expr
    args = tuple(map(legal, expr.args))
    if expr.fn in ORDER and args[0].dtype == "bool":
        args = tuple(Call("to_int32", (a,), "int32") for a in args)
    if expr.fn in LIMITS and expr.dtype == "float32":
        known = [isinstance(a, Const) and a.value == a.value for a in args]
        if any(known):
            args = args if known[1] else args[::-1]
            return Call(LIMITS[expr.fn], args, expr.dtype)
    if expr.fn in GLSL or expr.fn in OWN:
        return Call(expr.fn, args, expr.dtype)
    decompose = SCALARS[expr.fn].decompose
    if decompose is None:
        raise InternalError(f"GLSL has no {expr.fn}")
    return legal(decompose(*args))


def _legal_atom(a: Atom) -> Dim | None:
    return atom(replace(a, expr=legal(a.expr))) if isinstance(a, Opaque) else None
