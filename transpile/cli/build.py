"""`transpile build`: from a Python model to a verified module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from transpile.cli.options import (
    compute,
    debug_option,
    input_option,
    node_option,
    sample_option,
    state,
    targets,
    tolerance_options,
    weights,
)
from transpile.cli.progress import ConsoleProgress


@click.command("build")
@click.argument("source")
@click.option("-o", "--output", "out", required=True, metavar="OUT",
              help="The file to write: .js or .mjs (esm), .cjs, .html.")
@click.option("--format", "format", type=click.Choice(["esm", "cjs", "iife", "html"]),
              help="Default: from OUT's suffix.")
@click.option("--targets", callback=targets, metavar="LIST", help="Default: all there are.")
@input_option
@click.option("--weights", default="float32", callback=weights, metavar="DTYPE",
              show_default=True, help="How weights are stored: float32, float16, or int8 with a "
              "scale per channel (float16 where int8 is too far off). The loss is measured.")
@click.option("--weights-file", is_flag=True, help="Put the weights into a file beside OUT, which "
              "load() reads; for large models, and for caching.")
@click.option("--threads", is_flag=True, help="load({threads: n}) may share the work of a "
              "run among n threads, where memory can be shared.")
@click.option("--compute", default="float32", callback=compute, metavar="DTYPE",
              show_default=True, help="The arithmetic of products with constant weights: float32, "
              "or int8 (weights; rows are int16), on js and wasm. The loss is measured.")
@click.option("--winograd/--no-winograd", default=True, show_default=True,
              help="3x3 convolutions by Winograd's algorithm where that is faster.")
@click.option("--strassen/--no-strassen", default=True, show_default=True,
              help="Products with large constant matrices by Strassen's algorithm.")
@click.option("--relaxed-simd", is_flag=True, help="Add a second wasm binary with fused "
              "multiply-adds, used where the engine has them; last bits may differ.")
@click.option("--state", "state", multiple=True, callback=state, metavar="INPUT=OUTPUT",
              help="What a run gives for OUTPUT is INPUT of the next one: it starts at zero and "
              "stays inside the module. May be repeated.")
@click.option("--name", help="The model's name in the module; default: its Python name.")
@click.option("--verify/--no-verify", default=True, show_default=True,
              help="Run the module against Python before anything is left at OUT.")
@click.option("--verify-browser", is_flag=True,
              help="Run webgl, too, in a Chromium or Chrome found on this machine.")
@sample_option
@tolerance_options
@click.option("--minify", is_flag=True, help="Leave comments and white space out.")
@click.option("--labels", metavar="A,B,... | FILE",
              help="Names of the classes: a list, or a file of lines. Results then hold the best "
              "of each row by name, and the html page shows them.")
@click.option("--depfile", metavar="FILE", help="Write the files that OUT depends on, for make.")
@click.option("--cache", is_flag=True, help="Leave OUT alone if it carries the same hash.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no table.")
@node_option
@debug_option
def command(source: str, out: str, quiet: bool, labels: str | None, **options: Any) -> None:
    """Compile SOURCE (file.py:name or package.module:name) to a JavaScript module."""
    from transpile.api import build
    from transpile.sources import Opened, resolve
    with ConsoleProgress(not quiet) as progress, Opened() as opened:
        model = resolve(source)
        path = source.rpartition(":")[0] or source
        folder = Path(path).resolve().parent if Path(path).is_file() else Path.cwd()
        module = build(model, out, progress=progress, depends=opened.below(folder),
                       labels=_labels(labels), **options)
    if quiet:
        return
    if module is None:
        click.echo(f"{out} is up to date")
        return
    from rich.console import Console
    Console().print(module.report.table(f"{source} -> {out}"))


def _labels(value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if "," not in value and Path(value).is_file():
        return tuple(Path(value).read_text(encoding="utf-8").splitlines())
    return tuple(label.strip() for label in value.split(","))
