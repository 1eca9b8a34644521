"""`transpile verify`: a module that was built before against its source again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from transpile.cli.options import (
    debug_option,
    input_option,
    node_option,
    sample_option,
    targets,
    tolerance_options,
)
from transpile.cli.progress import ConsoleProgress


@click.command("verify")
@click.argument("out", metavar="OUT.js", type=click.Path(exists=True, dir_okay=False))
@click.argument("source")
@click.option("--targets", "--target", callback=targets, metavar="LIST",
              help="Default: those that the module has.")
@input_option
@sample_option
@tolerance_options
@node_option
@debug_option
def command(out: str, source: str, **options: Any) -> None:
    """Run the built module OUT.js against its Python SOURCE again."""
    from rich.console import Console

    from transpile.api import verify
    from transpile.sources import resolve
    with ConsoleProgress() as progress:
        report = verify(Path(out), resolve(source), progress=progress, **options)
    Console().print(report.table(f"{out} against {source}"))
