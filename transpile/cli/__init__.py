"""The command line: `transpile build`, `verify`, `run`, `inspect`, `bench`, `ops`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from transpile.cli.options import debug_option
from transpile.errors import TranspileError, VerificationError


class LazyGroup(click.Group):
    """Loads the module of a command when it is used, so that `--help` answers at once."""

    COMMANDS = {  # noqa: RUF012
        "build": "build", "verify": "verify", "run": "run", "inspect": "inspect",
        "bench": "bench", "ops": "ops",
    }

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        from importlib import import_module
        if cmd_name not in self.COMMANDS:
            return None
        module = import_module(f"transpile.cli.{self.COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


def _version() -> str:
    from transpile import __version__
    return __version__


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"transpile {_version()}")
        ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"],
                                                "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False,
              callback=_print_version, help="Show the version.")
@debug_option
def cli() -> None:
    """Compile Python models to one self-contained JavaScript module.

    Exit status: 0 done and verified, 1 the module disagrees with Python, 2 the request cannot be
    met.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit status."""
    state = {"debug": False}
    try:
        status = cli.main(None if argv is None else list(argv), prog_name="transpile",
                          standalone_mode=False, obj=state)
    except KeyboardInterrupt:
        status = 130
    except click.Abort:
        status = 130
    except Exception as error:
        status = _report(error, state["debug"])
    _end(status if isinstance(status, int) else 0)


def _report(error: Exception, debug: bool) -> int:
    """Tell `error` in a few lines on stderr; the exit status."""
    if isinstance(error, click.ClickException):
        error.show()
        return 2
    if isinstance(error, BrokenPipeError):
        return _closed_pipe()
    if debug:
        import traceback
        traceback.print_exception(error)
    if isinstance(error, TranspileError):
        click.echo(f"error: {error}", err=True)
        return 1 if isinstance(error, VerificationError) else 2
    if isinstance(error, ModuleNotFoundError) and not debug:
        click.echo(f"error: the package {error.name} is missing\n"
                   f"  fix: pip install {error.name}", err=True)
    elif not debug:
        click.echo(f"error: {type(error).__name__}: {error}\n"
                   "  why: this is a defect of transpile, or the model's own code failed\n"
                   "  fix: run again with --debug for the traceback", err=True)
    return 2


def _closed_pipe() -> int:
    """`transpile ops | head`: nothing more can be written, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _end(status: int) -> None:
    sys.exit(status)
