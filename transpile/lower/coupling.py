"""The sweeps that couple pairwise probabilities; see `ops/coupling.py`."""

from __future__ import annotations

from transpile.ir.dims import Axis, Dim, axis
from transpile.lower.expr import Const, Expr, Local, call
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.stmt import Assign, Declare, Let, Stmt
from transpile.ops.coupling import SWEEPS, TOLERANCE
from transpile.ops.registry import Accessor

ONE, ZERO = Const(1.0), Const(0.0)


def _mul(a: Expr, b: Expr) -> Expr:
    return call("mul", a, b)


def _add(a: Expr, b: Expr) -> Expr:
    return call("add", a, b)


def build_coupling(context: RoutineContext, pairs: Accessor, *, classes: int) -> tuple[Stmt, ...]:
    """Rows one after the other; the row of the output is the working space."""
    lane = Axis("n", pairs.type.shape[0])
    n = axis(lane.name, lane.extent)
    work = _Row(context, n, classes)
    body = [*work.matrix(pairs), *work.start(), Declare("open", Const(1, "int32"))]
    return loops([lane], [*body, *loops([Axis("sweep", SWEEPS)], work.sweep()), *work.product()])


class _Row:
    """One row of the output: p, then Q @ p, then Q."""

    def __init__(self, context: RoutineContext, n: Dim, classes: int) -> None:
        self.context, self.n, self.k = context, n, classes
        self.i, self.j = (Axis(name, classes) for name in "ij")
        self.at_i, self.at_j = (axis(name, classes) for name in "ij")

    def p(self, i: Dim) -> Expr:
        return self.context.load((self.n, i))

    def qp(self, i: Dim) -> Expr:
        return self.context.load((self.n, i + self.k))

    def q(self, i: Dim, j: Dim) -> Expr:
        return self.context.load((self.n, i * self.k + j + 2 * self.k))

    def put(self, place: Dim, value: Expr) -> Stmt:
        return self.context.store((self.n, place), value)

    def matrix(self, pairs: Accessor) -> list[Stmt]:
        """Q, with what pairs say of i against j."""
        def chance(i: int, j: int) -> Expr:
            low, high = min(i, j), max(i, j)
            column = low * self.k - low * (low + 1) // 2 + high - low - 1
            value = pairs(self.n, column)
            return value if i < j else call("sub", ONE, value)
        result: list[Stmt] = []
        for i in range(self.k):
            total: Expr = ZERO
            for j in range(self.k):
                if i != j:
                    against = chance(j, i)
                    total = _add(total, _mul(against, against))
                    result.append(self.put((i + 2) * self.k + j,
                                           call("neg", _mul(against, chance(i, j)))))
            result.append(self.put((i + 2) * self.k + i, total))
        return result

    def start(self) -> tuple[Stmt, ...]:
        return loops([self.i], [self.put(self.at_i, Const(1.0 / self.k))])

    def product(self) -> tuple[Stmt, ...]:
        """Q @ p."""
        grow = Assign("sum", _add(Local("sum"), _mul(self.q(self.at_i, self.at_j),
                                                     self.p(self.at_j))))
        return loops([self.i], [Declare("sum", ZERO), *loops([self.j], [grow]),
                                self.put(self.at_i + self.k, Local("sum"))])

    def sweep(self) -> tuple[Stmt, ...]:
        """One sweep over the classes, in steps of 0 once p fits well enough."""
        total = Assign("total", _add(Local("total"), _mul(self.p(self.at_i), self.qp(self.at_i))))
        off = call("abs", call("sub", self.qp(self.at_i), Local("total")))
        worst = Assign("worst", call("maximum", Local("worst"), off))
        enough = call("less", Local("worst"), Const(TOLERANCE / self.k))
        return (*self.product(), Declare("total", ZERO), *loops([self.i], [total]),
                Declare("worst", ZERO), *loops([self.i], [worst]),
                Assign("open", call("select", enough, Const(0, "int32"), Local("open", "int32"))),
                *self.update())

    def update(self) -> tuple[Stmt, ...]:
        """Each class in turn moves to its best value, and all are scaled to sum up to 1."""
        own, step, total, scale = (Local(x) for x in ("own", "step", "total", "scale"))
        at = self.at_i
        moved = _mul(step, _add(_mul(step, own), _mul(Const(2.0), self.qp(at))))
        return loops([self.i], [
            Let("own", self.q(at, at)),
            Let("step", call("select", call("greater", Local("open", "int32"), Const(0, "int32")),
                             call("div", call("sub", total, self.qp(at)), own), ZERO)),
            Let("scale", call("div", ONE, _add(ONE, step))),
            Assign("total", _mul(_mul(_add(total, moved), scale), scale)),
            self.put(at, _add(self.p(at), step)),
            *loops([self.j], [
                self.put(self.at_j + self.k, _mul(_add(self.qp(self.at_j), _mul(
                    step, self.q(at, self.at_j))), scale)),
                self.put(self.at_j, _mul(self.p(self.at_j), scale))])])
