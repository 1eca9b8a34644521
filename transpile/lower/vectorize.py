"""Four lanes at once: statements over one loop variable lifted to vectors, and loops made of them.

A value that depends on the lane variable becomes a vector (`float32x4`, `int32x4`, or `boolx4` for
a mask); all others stay scalar and are spread where a vector meets them. Loads and stores must
walk memory one by one along the lanes, or stand still.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from transpile.ir.dims import Axis, Dim, atom, lower, nonnegative, upper
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, call, map_expr
from transpile.lower.merge import placed
from transpile.lower.nest import coefficient
from transpile.lower.scalar import LANES, SCALARS, vector_dtype
from transpile.lower.stmt import Assign, Declare, For, If, Let, Stmt, Store
from transpile.lower.walk import evaluated, map_body, own_exprs, parts, statements

WIDE = ("float32", "int32")
"""What vectors are loaded and stored of."""

LOADED = (*WIDE, "uint8")
"""What vectors are loaded of: four bytes become lanes of int32, and must be cast to it next."""

SHIFTS = ("shift_left", "shift_right")


class NotVector(Exception):  # noqa: N818  (a condition, never an error)
    """The statements cannot be lifted."""


def is_vector(value: Expr) -> bool:
    return value.dtype.endswith("x4")


@cache
def has_vector(fn: str, dtypes: tuple[str, ...]) -> bool:
    """True if the table gives `fn` for these operands, decomposed or not."""
    row = SCALARS[fn]
    if row.cell("wasm", dtypes[0]) is not None:
        return True
    if row.decompose is None:
        return False
    try:
        expanded = row.decompose(*(Local(f"v{i}", d) for i, d in enumerate(dtypes)))
    except (AssertionError, KeyError):
        return False
    return all(has_vector(p.fn, tuple(a.dtype for a in p.args))
               for p in parts(expanded) if isinstance(p, Call))


def spread(value: Expr) -> Expr:
    """`value` in every lane."""
    if is_vector(value):
        return value
    if value.dtype not in (*WIDE, "bool"):
        raise NotVector(f"{value.dtype} has no vector")
    if isinstance(value, Const):
        return Const(value.value, vector_dtype(value.dtype))
    return Call("splat", (value,), vector_dtype(value.dtype))


SHORT = 12
"""A loop of so few steps, no multiple of four, is left as it is: lanes and their tail would be
longer than they save."""


@dataclass
class _Lifter:
    """Lifts statements over `lane`, which stands for the first of four values afterwards.

    Attributes:
        varying: locals that are vectors.
        spreads: scalar locals made here of which a vector is wanted, too.
    """

    lane: Axis
    varying: set[str] = field(default_factory=set)
    spreads: set[str] = field(default_factory=set)
    inside: set[str] = field(default_factory=set)

    def run(self, body: Sequence[Stmt]) -> tuple[Stmt, ...]:
        changes = [s for s in statements(body) if isinstance(s, (Let, Declare, Assign))]
        self.inside = {s.name for s in changes if isinstance(s, Let)}
        grown = True
        while grown:
            new = {s.name for s in changes if self.depends(s.value)} - self.varying
            self.varying |= new
            grown = bool(new)
        return self.block(body)

    def depends(self, value: Expr) -> bool:
        return any((isinstance(p, Local) and p.name in self.varying)
                   or (isinstance(p, (Load, Index)) and coefficient(p.index, self.lane) != 0)
                   for p in parts(value))

    def block(self, body: Sequence[Stmt]) -> tuple[Stmt, ...]:
        lifted = [self.statement(s) for s in body]
        result: list[Stmt] = []
        for stmt in lifted:
            result.append(stmt)
            if isinstance(stmt, Let) and stmt.name in self.spreads and not is_vector(stmt.value):
                result.append(Let(stmt.name, spread(stmt.value)))
        return tuple(result)

    def statement(self, stmt: Stmt) -> Stmt:
        if isinstance(stmt, For):
            if any(coefficient(d, self.lane) != 0 for d in (stmt.start, stmt.stop)):
                raise NotVector("a loop depends on the lane")
            return replace(stmt, body=self.block(stmt.body))
        if isinstance(stmt, If):
            if self.depends(stmt.condition):
                raise NotVector("a branch depends on the lane")
            return If(stmt.condition, self.block(stmt.then), self.block(stmt.otherwise))
        if isinstance(stmt, Store):
            return self.store(stmt)
        if isinstance(stmt, (Let, Declare, Assign)):
            value = self.lift(stmt.value)
            return replace(stmt, value=self.wide(value) if stmt.name in self.varying else value)
        return stmt

    def store(self, stmt: Store) -> Stmt:
        if coefficient(stmt.index, self.lane) != 1 or stmt.value.dtype not in WIDE:
            raise NotVector("a store that is not contiguous")
        return replace(stmt, value=self.wide(self.lift(stmt.value)))

    def wide(self, value: Expr) -> Expr:
        if isinstance(value, Local) and not is_vector(value) and value.name in self.inside:
            self.spreads.add(value.name)
            return replace(value, dtype=vector_dtype(value.dtype))
        return spread(value)

    def lift(self, value: Expr) -> Expr:
        if not self.depends(value):
            return value
        if isinstance(value, Local):
            return replace(value, dtype=vector_dtype(value.dtype))
        if isinstance(value, Load):
            if coefficient(value.index, self.lane) != 1 or value.dtype not in LOADED:
                raise NotVector("a load that is not contiguous")
            return replace(value, dtype=vector_dtype(value.dtype))
        if not isinstance(value, Call):
            raise NotVector("an index as a value")
        return self.lift_call(value)

    def lift_call(self, value: Call) -> Expr:
        args = [self.lift(a) for a in value.args]
        scalar_first = value.fn == "select" and not is_vector(args[0])
        keep = {0} if scalar_first else {1} if value.fn in SHIFTS else set()
        if value.fn in SHIFTS and is_vector(args[1]):
            raise NotVector("lanes that shift by different counts")
        wide = tuple(a if i in keep else self.wide(a) for i, a in enumerate(args))
        if value.dtype == "uint8" or not has_vector(value.fn, tuple(a.dtype for a in wide)):
            raise NotVector(f"{value.fn} has no vector")
        fn = value.fn
        if value.dtype == "float32" and isinstance(wide[-1], Const) and not math.isnan(
                wide[-1].value):
            fn = LIMITS.get(fn, fn)
        return Call(fn, wide, vector_dtype(value.dtype))


LIMITS = {"maximum": "at_least", "minimum": "at_most"}
"""The same where the second operand is a number: cheaper, since NaN comes from the first only."""


def lift(body: Sequence[Stmt], lane: Axis) -> tuple[Stmt, ...]:
    """`body` for four consecutive values of `lane` at once.

    Raises:
        NotVector: it does more than vectors can.
    """
    return _without_dead(_Lifter(lane).run(body))


def _without_dead(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """Lets that nothing reads left out."""
    used = {(p.name, p.dtype) for s in statements(body) for e in evaluated(s) for p in parts(e)
            if isinstance(p, Local)}

    def keep(stmt: Stmt) -> bool:
        return not isinstance(stmt, Let) or (stmt.name, stmt.value.dtype) in used

    def clean(stmts: Sequence[Stmt]) -> tuple[Stmt, ...]:
        return tuple(replace(s, body=clean(s.body)) if isinstance(s, For) else s
                     for s in stmts if keep(s))
    return clean(body)


# ---- loops with accumulators

ACCUMULATORS = 8
"""Vectors at most that a loop adds to: half of the registers that a processor has at least."""

COMBINES = {"add": 0.0, "mul": 1.0, "maximum": -float("inf"), "minimum": float("inf")}
"""Functions whose order does not matter, and what they start from."""


def vectorize(body: Sequence[Stmt], copies: int = 2) -> tuple[Stmt, ...]:
    """Every innermost loop over single steps turned into one over vectors and one over the rest.

    Args:
        copies: vectors side by side in one step of a loop that reduces, so that they do not wait
            for each other.
    """
    result: list[Stmt] = []
    for stmt in body:
        if not isinstance(stmt, For):
            result.append(stmt)
        elif any(isinstance(s, For) for s in statements(stmt.body)):
            result += _outer_loop(stmt, copies) or [
                replace(stmt, body=vectorize(stmt.body, copies))]
        else:
            result += _vector_loop(stmt, copies)
    return tuple(result)


def _outer_loop(loop: For, copies: int) -> Sequence[Stmt] | None:
    """A loop around others in lanes: four runs of the inner loops at once; None if it cannot."""
    most = upper(loop.stop - loop.start)
    if loop.step != 1 or (isinstance(most, int) and most < LANES) or not _scalar(loop.body) or (
            not _apart(loop)):
        return None
    try:
        return _outer_split(loop, 1 if isinstance(most, int) and most < LANES * copies else copies)
    except NotVector:
        return None


def _outer_split(loop: For, copies: int) -> list[Stmt]:
    step = LANES * copies
    stop = loop.stop - (loop.stop - loop.start) % step
    lane = Axis(loop.axis.name, loop.axis.extent - (step - LANES))
    own = {s.name for s in statements(loop.body) if isinstance(s, (Let, Declare))}
    if _changed(loop.body) - own:
        raise NotVector("a local from outside changes")
    lifted = [lift(placed(_renamed(loop.body, {n: f"{n}_{c}" for n in own} if c else {}),
                          {lane.name: atom(lane) + LANES * c}), lane) for c in range(copies)]
    result: list[Stmt] = [For(lane, side_by_side(lifted), loop.start, stop, step)]
    return [*result, replace(loop, start=stop)] if stop != loop.stop else result


def side_by_side(bodies: Sequence[Sequence[Stmt]]) -> tuple[Stmt, ...]:
    """Bodies of one form as one, their loops merged: what one waits for, another one does."""
    result: list[Stmt] = []
    for copies in zip(*bodies, strict=True):
        first = copies[0]
        if isinstance(first, For):
            result.append(replace(first, body=side_by_side([c.body for c in copies])))
        else:
            result += copies
    return tuple(result)


def _changed(body: Sequence[Stmt]) -> set[str]:
    return {s.name for s in statements(body) if isinstance(s, (Let, Declare, Assign))}


def _apart(loop: For) -> bool:
    """True if no iteration reads what another one among its lanes writes."""
    stores = [s for s in statements(loop.body) if isinstance(s, Store)]
    loads = [p for s in statements(loop.body) for e in own_exprs(s) for p in parts(e)
             if isinstance(p, Load)]
    return all(_gap(s.index - e.index) for s in stores for e in loads if s.buffer == e.buffer)


def _gap(distance: Dim) -> bool:
    top = upper(distance)
    return distance == 0 or nonnegative(lower(distance - LANES)) or (
        top is not None and nonnegative(-LANES - top))


def _vector_loop(loop: For, copies: int) -> Sequence[Stmt]:
    length = loop.stop - loop.start
    most = upper(length)
    ragged = not isinstance(length, int) or length % LANES != 0
    if loop.step != 1 or (isinstance(most, int) and most <= SHORT and ragged) or not _scalar(
            loop.body) or not _apart(loop):
        return [loop]
    try:
        found = _accumulators(loop)
        short = isinstance(most, int) and most < LANES * copies
        if not found or short or len(found) * copies > ACCUMULATORS:
            copies = 1
        return _split(loop, found, copies)
    except NotVector:
        return [loop]


def _scalar(body: Sequence[Stmt]) -> bool:
    return not any(is_vector(e) for s in statements(body) for e in own_exprs(s))


def _accumulators(loop: For) -> dict[str, str]:
    """The combining function of every local that the loop changes but does not declare."""
    own = {s.name for s in statements(loop.body) if isinstance(s, (Let, Declare))}
    found: dict[str, str] = {}
    for stmt in loop.body:
        if isinstance(stmt, Assign) and stmt.name not in own:
            value = stmt.value
            if not (isinstance(value, Call) and value.fn in COMBINES and value.dtype == "float32"
                    and value.args[0] == Local(stmt.name)) or stmt.name in found:
                raise NotVector("not a plain reduction")
            found[stmt.name] = value.fn
        elif isinstance(stmt, If) and _changed([stmt]):
            raise NotVector("a branch in the loop")
    reads = [p.name for s in loop.body for e in own_exprs(s) for p in parts(e)
             if isinstance(p, Local) and p.name in found]
    if len(reads) != len(found):
        raise NotVector("an accumulator is read on the way")
    return found


def _split(loop: For, found: dict[str, str], copies: int) -> list[Stmt]:
    step = LANES * copies
    stop = loop.stop - (loop.stop - loop.start) % step
    lane = Axis(loop.axis.name, loop.axis.extent - (step - LANES))  # all lanes of it count
    outside = _outside_floats(loop)
    result: list[Stmt] = [Let(n, spread(Local(n))) for n in outside if n not in found]
    body: list[Stmt] = []
    for copy in range(copies):
        at = atom(lane) + LANES * copy
        names = {n: _vector_name(n, copy) for n in found}
        result += [Declare(names[n], Const(COMBINES[fn], "float32x4")) for n, fn in found.items()]
        own = {s.name for s in loop.body if isinstance(s, (Let, Declare))} if copy else ()
        moved = placed(_renamed(loop.body, {**names, **{n: f"{n}_{copy}" for n in own}}),
                       {lane.name: at})
        lifter = _Lifter(lane, varying=set(names.values()), inside=set(outside))
        body += _without_dead(lifter.run(moved))
    result.append(For(lane, tuple(body), loop.start, stop, step))
    result += [Assign(n, _gathered(n, fn, copies)) for n, fn in found.items()]
    if stop != loop.stop:
        result.append(replace(loop, start=stop))
    return result


def _vector_name(name: str, copy: int) -> str:
    return f"{name}Lanes{copy or ''}"


def _outside_floats(loop: For) -> list[str]:
    """Floats from outside that the loop only reads, in order of use: spread once before it."""
    changed = _changed(loop.body)
    return list(dict.fromkeys(
        p.name for s in statements(loop.body) for e in own_exprs(s) for p in parts(e)
        if isinstance(p, Local) and p.dtype == "float32" and p.name not in changed))


def _renamed(body: Sequence[Stmt], names: Mapping[str, str]) -> tuple[Stmt, ...]:
    """The body with locals renamed."""
    def change(value: Expr) -> Expr:
        return map_expr(value, lambda p: replace(p, name=names.get(p.name, p.name))
                        if isinstance(p, Local) else None)
    return _named(map_body(body, change), names)


def _named(body: Sequence[Stmt], names: Mapping[str, str]) -> tuple[Stmt, ...]:
    return tuple(replace(s, name=names.get(s.name, s.name))
                 if isinstance(s, (Let, Declare, Assign))
                 else replace(s, body=_named(s.body, names)) if isinstance(s, For)
                 else replace(s, then=_named(s.then, names), otherwise=_named(s.otherwise, names))
                 if isinstance(s, If) else s for s in body)


def _gathered(name: str, fn: str, copies: int) -> Expr:
    """The scalar accumulator combined with all lanes of its vectors."""
    total: Expr = Local(_vector_name(name, 0), "float32x4")
    for copy in range(1, copies):
        total = Call(fn, (total, Local(_vector_name(name, copy), "float32x4")), "float32x4")
    a, b, c, d = (Call(f"lane{i}", (total,), "float32") for i in range(LANES))
    return call(fn, Local(name), call(fn, call(fn, a, c), call(fn, b, d)))
