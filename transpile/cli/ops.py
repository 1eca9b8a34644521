"""`transpile ops`: what is supported, from the tables themselves."""

from __future__ import annotations

from typing import Any

import click

from transpile.cli.options import debug_option


@click.command("ops")
@click.option("--frontend", type=click.Choice(["numpy", "onnx", "torch", "keras", "sklearn"]),
              help="What a front end understands.")
@click.option("--markdown", is_flag=True, help="As a Markdown table.")
@debug_option
def command(frontend: str | None, markdown: bool) -> None:
    """List the operators with their kind, their dtypes, and what they do."""
    header, rows = _rows(frontend or "")
    if markdown:
        lines = [header, tuple("---" for _ in header), *rows]
        click.echo("\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in line)} |"
                             for line in lines))
        return
    from rich.console import Console
    from rich.table import Table
    table = Table(*header, box=None)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(table, markup=False)
    click.echo(f"{len(rows)} {'functions' if frontend == 'numpy' else 'operators'}")


def _op_rows() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from transpile.ops import registry
    rows: list[tuple[str, ...]] = []
    for name in registry.names():
        op = registry.get(name)
        kind = getattr(op.form, "kind", type(op.form).__name__.lower())
        dtypes = sorted({t.split("[")[0] for s in op.samples for t in s.types})
        rows.append((name, kind, ", ".join(dtypes), op.summary))
    return ("op", "kind", "dtypes", "summary"), rows


def _rows(frontend: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from transpile.frontends.coverage import TABLES
    if frontend in TABLES:
        return ("name", "kind", "not supported because"), TABLES[frontend]()
    return {"numpy": _frontend_rows, "onnx": _onnx_rows}.get(frontend, _op_rows)()


def _frontend_rows() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from transpile.frontends.numpy_functions import FUNCTIONS, UFUNCS
    rows = [(f"np.{u.__name__}", "ufunc", _summary(u)) for u in map(_ufunc, UFUNCS) if u]
    rows += [(_numpy_name(f), "function", _summary(f)) for f in FUNCTIONS]
    rows += [(f"nn.{name}", "nn", _summary(f)) for name, f in _nn_functions()]
    return ("function", "kind", "summary"), sorted(set(rows))


def _onnx_rows() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from transpile.frontends.onnx_coverage import coverage
    return ("operator", "imported", "reason"), list(coverage())


def _ufunc(name: str) -> Any:
    import numpy as np
    return getattr(np, name, None)


def _numpy_name(function: Any) -> str:
    return f"{function.__module__.replace('numpy', 'np', 1)}.{function.__name__}"


def _nn_functions() -> list[tuple[str, Any]]:
    from transpile import nn
    return [(name, getattr(nn, name)) for name in nn.__all__]


def _summary(function: Any) -> str:
    """The first line of the docstring that is a sentence, not NumPy's signature."""
    lines = (line.strip() for line in (function.__doc__ or "").split("\n"))
    return next((line for line in lines if line and "(" not in line.split(" ")[0]), "")
