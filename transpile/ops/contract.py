"""Contractions: sums of products of two operands (matrix products, einsum, convolutions)."""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim, floordiv, product
from transpile.ir.graph import Node
from transpile.ir.types import TensorType, promote
from transpile.lower.expr import Expr, call, cast
from transpile.ops.reduce import Axes, taps, window_index, window_shape
from transpile.ops.registry import Accessor, Columns, Idx, Op, Reduction, Sample, register, sample


def contraction(name: str, shape: Callable[..., Idx], reference: Callable[..., np.ndarray],
                extents: Callable[..., Idx], sources: Callable[..., tuple[Idx, Idx]],
                columns: Columns, *samples: Sample) -> Op:
    """Register a sum of products of two operands.

    Args:
        shape: `shape(a, b, **attrs)` gives the result's shape from the operands' types.
        extents: `extents(a, b, **attrs)` gives the box summed over.
        sources: `sources(index, red, a, b, **attrs)` gives the index into each operand.
    """
    def infer(a: TensorType, b: TensorType, **attrs: Any) -> TensorType:
        if "bool" in (a.dtype, b.dtype):
            raise ShapeError(f"{name} of {a} and {b}: no products of bool",
                             fix="cast to int32 or float32 first")
        return TensorType(product_dtype(a.dtype, b.dtype), shape(a, b, **attrs))

    def body(index: Idx, red: Idx, a: Accessor, b: Accessor, **attrs: Any) -> Expr:
        kind = product_dtype(a.type.dtype, b.type.dtype)
        at_a, at_b = sources(index, red, a.type, b.type, **attrs)
        return call("mul", cast(a(*at_a), kind), cast(b(*at_b), kind))

    form = Reduction("sum", extents, body, contraction=True)
    return register(Op(name, infer, reference, form, samples, columns=columns))


def product_dtype(a: str, b: str) -> str:
    """The dtype of a sum of products: the common one, and int32 for uint8."""
    kind = promote(a, b)
    return "float32" if kind == "float32" else "int32"


def _common(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in the dtype of the result; float64 stays float64."""
    if np.float64 in (a.dtype, b.dtype):
        return a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    kind = product_dtype(a.dtype.name, b.dtype.name)
    return a.astype(kind, copy=False), b.astype(kind, copy=False)


# contract

def parse_equation(equation: str) -> tuple[str, str, str]:
    """The labels of both operands and of the result; ShapeError if it is no such equation."""
    operands, arrow, out = equation.partition("->")
    a, comma, b = operands.partition(",")
    if not (arrow and comma and (a + b + out or "x").isalpha() and len(set(out)) == len(out)
            and set(out) <= set(a + b)):
        raise ShapeError(f"contract cannot read the equation {equation!r}",
                         fix="write it as 'mk,kn->mn'")
    return a, b, out


def summed_labels(equation: str) -> str:
    """The labels summed over, in order of appearance."""
    a, b, out = parse_equation(equation)
    return "".join(dict.fromkeys(c for c in a + b if c not in out))


def _label_sizes(a: TensorType, b: TensorType, equation: str) -> dict[str, Dim]:
    labels = parse_equation(equation)
    sizes: dict[str, Dim] = {}
    for operand, names in zip((a, b), labels, strict=False):
        if len(names) != operand.rank:
            raise ShapeError(f"contract {equation!r}: {names!r} does not name the "
                             f"{operand.rank} dimensions of {operand}")
        for label, size in zip(names, operand.shape, strict=True):
            if sizes.setdefault(label, size) != size:
                raise ShapeError(f"contract {equation!r} of {a} and {b}",
                                 why=f"{label} is {sizes[label]} and {size}")
    return sizes


def _contract_shape(a: TensorType, b: TensorType, equation: str) -> Idx:
    sizes = _label_sizes(a, b, equation)
    return tuple(sizes[label] for label in parse_equation(equation)[2])


def _contract_extents(a: TensorType, b: TensorType, equation: str) -> Idx:
    sizes = _label_sizes(a, b, equation)
    return tuple(sizes[label] for label in summed_labels(equation))


def _contract_sources(index: Idx, red: Idx, a: TensorType, b: TensorType, equation: str
                      ) -> tuple[Idx, Idx]:
    labels_a, labels_b, out = parse_equation(equation)
    where = dict(zip(out + summed_labels(equation), (*index, *red), strict=True))
    return tuple(where[c] for c in labels_a), tuple(where[c] for c in labels_b)


def _reduced(x: np.ndarray, labels: str, keep: str) -> tuple[np.ndarray, str]:
    """`x` without repeated labels and without those that nothing else needs."""
    wanted = "".join(dict.fromkeys(c for c in labels if c in keep))
    return (x, labels) if wanted == labels else (np.einsum(f"{labels}->{wanted}", x), wanted)


def contract(a: np.ndarray, b: np.ndarray, equation: str) -> np.ndarray:
    """The einsum of two operands, as one (batched) matrix product."""
    labels_a, labels_b, out = parse_equation(equation)
    a, b = _common(a, b)
    a, labels_a = _reduced(a, labels_a, labels_b + out)
    b, labels_b = _reduced(b, labels_b, labels_a + out)
    batch = [c for c in labels_a if c in labels_b and c in out]
    inner = [c for c in labels_a if c in labels_b and c not in out]
    rows = [c for c in labels_a if c not in labels_b]
    cols = [c for c in labels_b if c not in labels_a]
    size = dict(zip(labels_a + labels_b, a.shape + b.shape, strict=True))

    def matrices(x: np.ndarray, labels: str, *groups: list[str]) -> np.ndarray:
        moved = x.transpose([labels.index(c) for group in groups for c in group])
        return np.reshape(moved, [int(np.prod([size[c] for c in g], dtype=int)) for g in groups])

    result = matrices(a, labels_a, batch, rows, inner) @ matrices(b, labels_b, batch, inner, cols)
    order = batch + rows + cols
    return np.transpose(result.reshape([size[c] for c in order]), [order.index(c) for c in out])


def _columns(node: Node) -> Node | None:
    a, b, out = parse_equation(node.attrs["equation"])
    ends = len(b) > 1 and len(out) > 0 and b[-1] == out[-1] and b[-1] not in a
    return node.inputs[1] if ends else None


def _rows(node: Node) -> Dim:
    _, b, out = parse_equation(node.attrs["equation"])
    return product(d for label, d in zip(out, node.shape, strict=True) if label not in b)


contraction(
    "contract", _contract_shape, contract, _contract_extents, _contract_sources,
    Columns(_columns, _rows),
    sample("float32[3,5]", "float32[5,7]", equation="mk,kn->mn"),
    sample("float32[1,3,5]", "float32[5,1]", equation="bmk,kn->bmn"),
    sample("float32[2,3,5]", "float32[2,7,5]", equation="bmk,bnk->bmn"),
    sample("float32[3]", "float32[5]", equation="i,j->ji"),
    sample("float32[7]", "float32[7]", equation="i,i->"),
    sample("float32[3,5,2]", "float32[2,7,3]", equation="abc,cda->bd"),
    sample("int32[3,5]", "int32[5,2]", equation="mk,kn->nm"),
    sample("uint8[3,5]", "uint8[5]", high=200, equation="mk,k->m"),
    sample("float32[3,5]", "float32[3]", equation="ij,i->i"),
    sample("float32[3,3]", "float32[3,7]", equation="ii,ij->j"))


# conv

def _conv_shape(x: TensorType, w: TensorType, stride: Axes, dilation: Axes, groups: int) -> Idx:
    *window, per_group, out = w.shape
    channels = x.shape[-1]
    if per_group * groups != channels or out % groups != 0:
        raise ShapeError(
            f"conv of {x} with {w}: {channels} channels in {groups} groups",
            why=f"the weight takes {per_group} channels in each group and gives {out}")
    sizes = window_shape("conv", x, window, stride, dilation)  # type: ignore[arg-type]
    return (x.shape[0], *sizes, out)


def _conv_extents(x: TensorType, w: TensorType, **attrs: Any) -> Idx:
    return w.shape[:-1]


def _conv_sources(index: Idx, red: Idx, x: TensorType, w: TensorType, stride: Axes,
                  dilation: Axes, groups: int) -> tuple[Idx, Idx]:
    *_, per_group, out = w.shape
    group = floordiv(index[-1], floordiv(out, groups)) if groups > 1 else 0
    spatial = window_index(index[1:-1], red[:-1], stride, dilation)
    return (index[0], *spatial, group * per_group + red[-1]), (*red, index[-1])


def conv(x: np.ndarray, w: np.ndarray, stride: Axes, dilation: Axes, groups: int) -> np.ndarray:
    """Cross-correlation of x[N, *S, C] with w[*K, C/groups, O], no padding."""
    x, w = _common(x, w)
    *window, per_group, out = w.shape
    total: np.ndarray | float = 0.0
    for tap, part in taps(x, tuple(window), stride, dilation):
        grouped = part.reshape(*part.shape[:-1], groups, per_group)
        kernel = w[tap].reshape(per_group, groups, out // groups)
        if per_group == 1:
            product = grouped * kernel[0]
        else:  # one matrix product for each group: [groups, pixels, per_group] @ [.., out]
            product = np.moveaxis(np.moveaxis(grouped, -2, 0).reshape(groups, -1, per_group)
                                  @ np.moveaxis(kernel, 1, 0), 0, 1)
        total = product if isinstance(total, float) else total + product
    return np.reshape(total, (*part.shape[:-1], out))


contraction(
    "conv", _conv_shape, conv, _conv_extents, _conv_sources,
    Columns(lambda node: node.inputs[1] if node.attrs["groups"] == 1 else None),
    sample("float32[1,5,7,3]", "float32[3,3,3,5]", stride=(1, 1), dilation=(1, 1), groups=1),
    sample("float32[2,7,7,4]", "float32[3,2,2,6]", stride=(2, 3), dilation=(1, 2), groups=2),
    sample("float32[1,5,5,3]", "float32[3,3,1,3]", stride=(1, 1), dilation=(1, 1), groups=3),
    sample("float32[1,5,5,3]", "float32[2,3,1,6]", stride=(1, 2), dilation=(1, 1), groups=3),
    sample("float32[3,7,2]", "float32[3,2,1]", stride=(1,), dilation=(3,), groups=1),
    sample("float32[1,3,5,7]", "float32[1,1,7,3]", stride=(1, 1), dilation=(1, 1), groups=1),
    sample("float32[1,3,4,3,2]", "float32[2,2,3,2,1]", stride=(1, 2, 1), dilation=(1, 1, 1),
           groups=1),
    sample("int32[1,7,1]", "uint8[3,1,1]", high=9, stride=(2,), dilation=(1,), groups=1))
