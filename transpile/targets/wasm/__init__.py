"""WebAssembly with SIMD: one function per kernel over one imported memory, in float32."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.kernels.transpose import transpose
from transpile.lower.advance import advance
from transpile.lower.fma import fuse_products
from transpile.lower.hoist import hoist
from transpile.lower.stmt import Kernel, Stmt
from transpile.lower.vectorize import vectorize
from transpile.passes.halo import halo
from transpile.passes.lanes import lanes
from transpile.passes.manager import Pass
from transpile.passes.recurrent import recurrent
from transpile.passes.strassen import strassen
from transpile.passes.winograd import winograd_again
from transpile.program import Program
from transpile.targets.base import Target
from transpile.targets.wasm.encoder import Function, disassemble
from transpile.targets.wasm.printer import Printer
from transpile.targets.wasm.program import assemble as assemble_program
from transpile.targets.wasm.schedule import panel, schedule
from transpile.targets.wasm.threads import Split, team_of


def function(kernel: Kernel, name: str, *, relaxed: bool = False) -> Function:
    """A function of i32 byte addresses of the arguments, then of the dimensions."""
    return _printed(kernel, name, vectorize(kernel.body), relaxed)


def opened(share: Split, *, relaxed: bool = False) -> Function:
    """A kernel's function with the bounds of its outermost loops as last parameters."""
    return _printed(share.kernel, "", share.body, relaxed)


def _printed(kernel: Kernel, name: str, body: Sequence[Stmt], relaxed: bool) -> Function:
    body = advance(hoist(body))
    if relaxed:
        return Printer(kernel, column="relaxed").function(name, fuse_products(body))
    return Printer(kernel).function(name, body)


def print_kernel(kernel: Kernel, name: str) -> str:
    """A kernel's instructions as text."""
    return disassemble(function(kernel, name))


def assemble(program: Program, *, steps: bool = False, threads: bool = False,
             relaxed: bool = False, apart: bool = False) -> bytes:
    """The binary of a whole program, see `program.assemble`; with `threads` one for several.

    Args:
        relaxed: for engines with relaxed SIMD: products are fused with sums.
        apart: the weights lie in a file of their own.
    """
    team = team_of(program) if threads else None
    splits = team.splits if team else {}
    kernels = [opened(splits[k.name], relaxed=relaxed) if k.name in splits
               else function(k, "", relaxed=relaxed) for k in program.kernels]
    return assemble_program(program, kernels, steps=steps, team=team, apart=apart)


WASM = Target("wasm", "wasm", schedule, print_kernel, panel=panel, kernels=(transpose,),
              assemble=assemble,
              passes=(Pass("winograd", winograd_again, once=True),
                      Pass("strassen", strassen, once=True),
                      Pass("recurrent", recurrent, once=True),
                      Pass("lanes", lanes, once=True),
                      Pass("halo", halo, once=True)))
