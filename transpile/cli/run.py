"""`transpile run`: a module under Node or in a browser, from array files to an array file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from transpile.cli.options import array_files, debug_option, node_option


@click.command("run")
@click.argument("out", metavar="OUT.js", type=click.Path(exists=True, dir_okay=False))
@click.option("--input", "inputs", multiple=True, callback=array_files,
              metavar="NAME=FILE.npy | FILE.npz", help="The inputs. May be repeated.")
@click.option("--target", default="js", show_default=True, help="auto, or one that the module has.")
@click.option("--precision", type=click.Choice(["float32", "half"]), default="float32",
              show_default=True, help="What webgl keeps values in.")
@click.option("-o", "--output", metavar="FILE.npz", type=click.Path(dir_okay=False),
              help="Where the outputs go; else they are printed.")
@node_option
@debug_option
def command(out: str, inputs: dict[str, Any], target: str, precision: str,
            output: str | None, node: str | None) -> None:
    """Run the built module OUT.js: under Node, and the target webgl in a Chromium."""
    import numpy as np

    from transpile.module import files_beside, read_module, run_source
    source, kind = read_module(Path(out))
    result = run_source(source, kind, inputs, target, files_beside(Path(out), source), node,
                        precision=precision)
    if output:
        np.savez(output, **result)  # type: ignore[arg-type]
        return
    for name, value in result.items():
        click.echo(f"{name}: {value.dtype}{list(value.shape)}")
        click.echo(np.array2string(value, threshold=50, precision=6))
