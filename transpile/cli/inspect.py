"""`transpile inspect`: the IR before and after each pass, and the kernels."""

from __future__ import annotations

from typing import Any

import click

from transpile.cli.options import debug_option, input_option


@click.command("inspect")
@click.argument("source")
@click.option("--pass", "pass_name", metavar="NAME", help="The graph before and after one pass.")
@click.option("--all", "all_passes", is_flag=True,
              help="The graph after each pass that changed it.")
@click.option("--kernels", is_flag=True, help="The loop IR and the JavaScript of each kernel.")
@click.option("--target", default="js", show_default=True, help="Whose kernels.")
@input_option
@debug_option
def command(source: str, pass_name: str | None, all_passes: bool, kernels: bool, target: str,
            inputs: dict[str, Any] | None) -> None:
    """Print the IR of SOURCE: as traced and as optimised, or pass by pass."""
    from transpile.api import trace
    from transpile.passes.manager import run_pipeline
    from transpile.sources import resolve
    graph = trace(resolve(source), inputs)
    if kernels:
        _print_kernels(graph, target)
        return
    if pass_name:
        _check_pass(pass_name)
    if not pass_name:
        click.echo(f"# traced\n{graph}\n")

    def observe(record: Any, before: Any, after: Any) -> None:
        if record.name == pass_name:
            click.echo(f"# before {record.name}\n{before}\n\n# after {record.name}: "
                       f"{record.summary or 'no change'}\n{after}\n")
        elif all_passes and record.changed:
            click.echo(f"# after {record.name}: {record.summary}\n{after}\n")

    final, records = run_pipeline(graph, observe)
    if pass_name or all_passes:
        return
    click.echo(f"# optimised\n{final}\n")
    for record in records:
        click.echo(f"# {record.name}: {record.nodes_before} -> {record.nodes_after} nodes"
                   + (f" ({record.summary})" if record.summary else ""))


def _check_pass(name: str) -> None:
    from transpile.passes import PIPELINE
    known = [p.name for p in PIPELINE]
    if name not in known:
        raise click.BadParameter(f"there is no pass {name!r}; there is {', '.join(known)}",
                                 param_hint="--pass")


def _print_kernels(graph: Any, target: str) -> None:
    from transpile.compile import lower_graph
    from transpile.targets import TARGETS
    if target not in TARGETS:
        raise click.BadParameter(f"the target {target} is unknown; there is {', '.join(TARGETS)}",
                                 param_hint="--target")
    program = lower_graph(graph, target)
    if target == "webgl":
        _print_draws(program.graph)
        return
    for kernel in program.kernels:
        click.echo(f"{kernel}\n")
        click.echo(_printed(kernel, target) + "\n")


def _print_draws(graph: Any) -> None:
    """What runs where and in which order, then every draw's formula and shader."""
    from transpile.targets.glsl.cpu import CpuCall
    from transpile.targets.glsl.programs import plan_webgl
    plan = plan_webgl(graph)
    click.echo(f"# {plan.summary}\n# in order: {', '.join(plan.partition)}\n")
    for draw in plan.draws:
        if isinstance(draw, CpuCall):
            click.echo("\n".join(str(kernel) for kernel, _ in draw.kernels) + "\n")
        else:
            click.echo(f"# {draw.formula or draw.label}, program {draw.program}\n")
    for number, shader in enumerate(plan.shaders):
        click.echo(f"# program {number}\n{shader}\n")


def _printed(kernel: Any, target: str) -> str:
    from importlib import import_module
    text: str = import_module(f"transpile.targets.{target}").print_kernel(kernel, kernel.name)
    return text
