"""How the named dimensions follow from the shapes of the inputs."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.emit.layout import NameOf, js_dim
from transpile.errors import UnsupportedError
from transpile.ir.dims import Dim, Poly, dim, names, substitute
from transpile.program import Port


def binders(dims: Sequence[str], ports: Sequence[Port], shapes: Sequence[str],
            name_of: NameOf) -> list[str]:
    """One JS expression for each name of `dims`, over the shape variables `shapes` of `ports`.

    A name that stands alone in a shape is read there; otherwise an affine size is solved for it.

    Raises:
        UnsupportedError: no input shape determines a name.
    """
    sizes = [(size, f"{shape}[{i}]") for port, shape in zip(ports, shapes, strict=True)
             for i, size in enumerate(port.type.shape)]
    return [_binder(name, sizes, name_of) for name in dims]


def _binder(name: str, sizes: Sequence[tuple[Dim, str]], name_of: NameOf) -> str:
    direct = next((place for size, place in sizes if size == dim(name)), None)
    solved = (_solve(name, size, place, name_of) for size, place in sizes)
    found = direct or next((s for s in solved if s), None)
    if found is None:
        raise UnsupportedError(f"the size {name} does not follow from the input shapes",
                               fix=f"give an input a dimension that is just {name}")
    return found


def _solve(name: str, size: Dim, place: str, name_of: NameOf) -> str | None:
    """`place` = rest + factor * name, solved for the name; None if it is not of this form."""
    if not isinstance(size, Poly) or names(size) != {name}:
        return None
    rest = substitute(size, {name: 0})
    factor = substitute(size, {name: 1}) - rest
    if not isinstance(factor, int) or size != rest + dim(name) * factor:
        return None
    top = place if rest == 0 else f"({place} - {js_dim(rest, name_of)})"
    return f"Math.floor({top} / {factor})"
