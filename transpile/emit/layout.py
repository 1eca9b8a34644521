"""Where things lie in the module's memory, as JS expressions over the named dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from transpile.emit.names import js_string
from transpile.errors import InternalError
from transpile.ir.dims import Atom, Dim, FloorDiv, Mod, Name, floordiv
from transpile.ir.types import TensorType
from transpile.program import Branch, Buffer, Call, Program, Task

ITEM_BYTES = {"float32": 4, "int32": 4, "uint8": 1, "bool": 1}
VIEWS = {"float32": "f32", "int32": "i32", "uint8": "u8", "bool": "u8"}
"""Which view of the memory holds a dtype."""

ARRAYS = {"f32": "Float32Array", "i32": "Int32Array", "u8": "Uint8Array"}

NameOf = Callable[[str], str]


def js_dim(value: Dim, name_of: NameOf) -> str:
    """A size or offset as a JS expression; values are never negative."""
    if isinstance(value, int):
        return str(value)
    text = ""
    for monomial, coef in value.terms:
        factors = [_js_atom(a, name_of) for a in monomial]
        if abs(coef) != 1 or not factors:
            factors.insert(0, str(abs(coef)))
        sign = ("-" if coef < 0 else "") if not text else " - " if coef < 0 else " + "
        text += sign + " * ".join(factors)
    return text or "0"


def _js_atom(a: Atom, name_of: NameOf) -> str:
    if isinstance(a, Name):
        return name_of(a.name)
    if isinstance(a, (FloorDiv, Mod)):
        top, bottom = (_js_factor(v, name_of) for v in (a.value, a.divisor))
        return f"Math.floor({top} / {bottom})" if isinstance(a, FloorDiv) else f"({top} % {bottom})"
    raise InternalError(f"a size depends on the loop variable {a}")


def _js_factor(value: Dim, name_of: NameOf) -> str:
    text = js_dim(value, name_of)
    return f"({text})" if " " in text else text


def element_offset(buffer: Buffer) -> Dim:
    """The offset in elements of the view that holds the buffer's dtype."""
    return floordiv(buffer.offset, ITEM_BYTES[buffer.type.dtype])


def shape_list(type_: TensorType, name_of: NameOf) -> str:
    """The shape as an array literal; named dimensions are variables."""
    return "[" + ", ".join(js_dim(d, name_of) for d in type_.shape) + "]"


def shape_metadata(type_: TensorType) -> str:
    """The shape as an array literal; what is not a number is a string."""
    return "[" + ", ".join(str(d) if isinstance(d, int) else js_string(str(d))
                           for d in type_.shape) + "]"


def views_needed(program: Program, *, base64: bool) -> list[str]:
    """The views of the memory that this program uses, in a fixed order."""
    used = {VIEWS[b.type.dtype] for b in program.buffers}
    used |= {VIEWS[a.dtype] for k in program.kernels for a in k.args}
    used |= {"u8"} if base64 else set()
    return [v for v in ARRAYS if v in used]


def memory_table(program: Program) -> list[str]:
    """One line per buffer that holds a value: offset in bytes, kind, name, type."""
    values = {*program.weights, *(p.buffer for p in (*program.inputs, *program.outputs)),
              *(c.label for c in (*program.prepare, *program.calls)), *_results(program.tasks)}
    rows = [(str(b.offset), b.kind, b.name, str(b.type)) for b in program.buffers
            if b.name in values]
    widths = [max((len(r[i]) for r in rows), default=0) for i in range(3)]
    return ["  ".join([*(c.ljust(w) for c, w in zip(r, widths, strict=False)), r[3]]) for r in rows]


def _results(tasks: Iterable[Task]) -> Iterator[str]:
    """The buffers of what comes out of branches and loops."""
    for task in tasks:
        if isinstance(task, Call):
            continue
        yield from (buffer for _, buffer in task.results)
        yield from _results((*task.then, *task.otherwise) if isinstance(task, Branch)
                            else task.body)
