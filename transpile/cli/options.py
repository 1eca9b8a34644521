"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

LATER = {"targets": {"webgpu"}}
"""What the contract names and this version does not have: refused by name, with the reason."""


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and isinstance(ctx.obj, dict):
        ctx.obj["debug"] = True


def debug_option(function: F) -> F:
    return click.option("--debug", is_flag=True, is_eager=True, expose_value=False,
                        callback=_set_debug, help="Show tracebacks.")(function)


def input_option(function: F) -> F:
    return click.option(
        "--input", "inputs", multiple=True, metavar="NAME=DTYPE[DIMS]", callback=_input_types,
        help="Completes or overrides an input's type, as in x=float32[batch,3,224,224]; a dim "
             "is a number or a name. Of an ONNX model, sr=16000 fixes the input to a value. May "
             "be repeated.")(function)


def node_option(function: F) -> F:
    return click.option("--node", metavar="PATH", help="The Node to run modules with; default: "
                        "$TRANSPILE_NODE, the package nodejs-bin, PATH.")(function)


def tolerance_options(function: F) -> F:
    for name in ("--atol", "--rtol"):
        function = click.option(
            name, type=click.FloatRange(min=0), help="Overrides the verification's tolerance, "
            "which follows from the lengths of the reductions.")(function)
    return function


def sample_option(function: F) -> F:
    return click.option("--sample", "samples", multiple=True, metavar="INPUTS.npz",
                        type=click.Path(exists=True, dir_okay=False),
                        help="Inputs to verify with besides random ones. May be repeated."
                        )(function)


def _input_types(ctx: click.Context, param: click.Parameter, values: Sequence[str]
                 ) -> dict[str, Any] | None:
    from transpile.errors import ShapeError
    from transpile.ir.types import TensorType
    result = {}
    for value in values:
        match = re.fullmatch(r"\s*(.+?)\s*=\s*(\w+\s*\[.*\])\s*", value)
        fixed = _fixed_value(value)
        if fixed is not None:
            result[fixed[0]] = fixed[1]
            continue
        if not match:
            raise click.BadParameter(f"{value!r} is not NAME=DTYPE[DIMS]; "
                                     "write it as x=float32[batch,784]", ctx, param)
        try:
            result[match[1]] = TensorType.parse(match[2])
        except (ShapeError, ValueError) as error:
            raise click.BadParameter(str(error), ctx, param) from None
    return result or None


def _fixed_value(text: str) -> tuple[str, Any] | None:
    """`sr=16000` or `axes=[0,1]`: a name and its value; None for a type."""
    import json
    name, _, value = text.partition("=")
    try:
        found = json.loads(value)
    except ValueError:
        return None
    numbers = found if isinstance(found, list) else [found]
    return (name.strip(), found) if all(isinstance(v, (int, float)) for v in numbers) else None


def state(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """`h=hn`, repeated: outputs by the input that they are bound to."""
    result: dict[str, str] = {}
    for value in values:
        name, equals, output = (part.strip() for part in value.partition("="))
        if not (name and equals and output):
            raise click.BadParameter(f"{value!r} is not INPUT=OUTPUT; write it as h=hn", ctx, param)
        if name in result:
            raise click.BadParameter(f"the input {name} is bound twice", ctx, param)
        result[name] = output
    return result


def targets(ctx: click.Context, param: click.Parameter, value: str | None
            ) -> tuple[str, ...] | None:
    """`js,wasm` as a tuple of targets that exist."""
    from transpile.targets import TARGETS
    if value is None:
        return None
    wanted = tuple(dict.fromkeys(filter(None, (t.strip() for t in value.split(",")))))
    for name in wanted:
        if name not in TARGETS:
            why = ("comes in a later version" if name in LATER["targets"] else "is unknown")
            raise click.BadParameter(f"the target {name} {why}; there is {', '.join(TARGETS)}",
                                     ctx, param)
    if not wanted:
        raise click.BadParameter(f"give at least one of {', '.join(TARGETS)}", ctx, param)
    return wanted


def weights(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The dtype that weights are stored in."""
    from transpile.passes.compress import STORAGES
    if value not in STORAGES:
        raise click.BadParameter(f"{value!r} is unknown; there is {', '.join(STORAGES)}", ctx,
                                 param)
    return value


def compute(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The arithmetic of products."""
    from transpile.passes.int8 import COMPUTES
    if value not in COMPUTES:
        raise click.BadParameter(f"{value!r} is unknown; there is {', '.join(COMPUTES)}", ctx,
                                 param)
    return value


def array_files(ctx: click.Context, param: click.Parameter, values: Sequence[str]
                ) -> dict[str, Any]:
    """`x=x.npy` or `inputs.npz`, repeated, as arrays by name."""
    import numpy as np

    from transpile.verify.samples import read_npz
    result: dict[str, Any] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals:
            result.update(read_npz(value))
            continue
        try:
            result[name] = np.load(Path(path), allow_pickle=False)
        except (OSError, ValueError) as error:
            raise click.BadParameter(f"{path}: {error}", ctx, param) from None
    return result
