"""The second wasm binary: what is in it, when it is chosen, and that it computes the same."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from transpile import nn
from transpile.api import verify
from transpile.lower.expr import Call, Expr, Local, call
from transpile.lower.fma import fused
from transpile.module import Module
from transpile.targets.wasm import assemble, function
from transpile.targets.wasm.encoder import disassemble
from transpile.verify.browser import shared_browser
from transpile.verify.node import find_node, relaxed_simd_flags


class Net(nn.Module):
    """A Winograd convolution, a product, an exponential and a selection."""

    def __init__(self) -> None:
        super().__init__()
        nn.manual_seed(3)
        self.conv, self.last = nn.Conv2d(8, 16, 3, padding=1), nn.Linear(64, 40)

    def forward(self, x: Any) -> Any:
        x = nn.elu(nn.max_pool2d(nn.gelu(self.conv(x)), 12))
        return nn.softmax(self.last(nn.flatten(x, 1)), -1)


INPUTS = {"x": "float32[2,8,24,24]"}


def built(**options: Any) -> Module:
    return transpile.compile(Net(), INPUTS, ("js", "wasm"), **options)


def binaries(module: Module) -> dict[str, str]:
    return dict(re.findall(r"^const (\w*[bB]inary) = '([0-9a-f]+)';$", module.source, re.M))


def test_without_the_option_nothing_changes() -> None:
    plain, relaxed = built(), built(relaxed_simd=True)
    assert "chooseBinary" not in plain.source
    assert list(binaries(plain)) == ["binary"]
    assert binaries(relaxed)["binary"] == binaries(plain)["binary"]
    assert plain.content_hash != relaxed.content_hash


def test_every_product_in_a_sum_is_fused() -> None:
    program = built().programs[1]
    texts = [[disassemble(function(k, "", relaxed=r)) for k in program.kernels]
             for r in (False, True)]
    fusable = re.compile(r"f32x4\.mul\s+f32x4\.add")
    assert any(fusable.search(t) for t in texts[0])
    assert not any(fusable.search(t) for t in texts[1])
    assert not any("relaxed" in t for t in texts[0])
    contraction = next(t for t, k in zip(texts[1], program.kernels, strict=True)
                       if k.formula.startswith("softmax") or "matmul" in k.formula)
    assert "f32x4.relaxed_madd" in contraction
    assert any("i32x4.relaxed_laneselect" in t for t in texts[1])
    assert not any("v128.bitselect" in t for t in texts[1])


@pytest.mark.parametrize("threads", [False, True])
def test_an_engine_with_relaxed_simd_takes_both_binaries(threads: bool) -> None:
    program = built().programs[1]
    found = [assemble(program, threads=threads, relaxed=r).hex() for r in (False, True)]
    script = f"""
      const found = {json.dumps(found)}.map((h) => WebAssembly.validate(Buffer.from(h, 'hex')));
      console.log(JSON.stringify(found));"""
    flags = relaxed_simd_flags()
    answer = subprocess.run([find_node(), *flags, "-e", script], capture_output=True, check=True)
    plain, relaxed = json.loads(answer.stdout)
    assert plain
    assert relaxed or not flags


def test_results_agree_under_node(tmp_path: Path) -> None:
    module = built(relaxed_simd=True)
    found = module.verify()
    found.check("net")
    assert ("wasm, relaxed SIMD" in found.targets) == bool(relaxed_simd_flags())
    module.save(tmp_path / "net.mjs")
    assert verify(tmp_path / "net.mjs", Net(), INPUTS).verified


@pytest.mark.browser
def test_results_agree_in_a_browser_and_come_from_the_second_binary() -> None:
    module, plain = built(relaxed_simd=True), built()
    x = np.random.default_rng(0).standard_normal((2, 8, 24, 24)).astype(np.float32)
    got, other = (shared_browser().run(m.source, {"x": x}, "wasm")["output"]
                  for m in (module, plain))
    np.testing.assert_allclose(got, other, rtol=1e-5)
    code = binaries(module)
    broken = module.source.replace(code["binary"], "00")
    np.testing.assert_array_equal(shared_browser().run(broken, {"x": x}, "wasm")["output"], got)


A, B, C = (Local(n, "float32x4") for n in "abc")
PRODUCT = call("mul", A, B)
FMA = Call("fma", (A, B, C), "float32x4")
CASES: dict[str, tuple[Expr, Expr]] = {
    "second operand": (call("add", C, PRODUCT), FMA),
    "first operand": (call("add", PRODUCT, C), FMA),
    "inside": (call("sqrt", call("add", C, PRODUCT)), call("sqrt", FMA)),
    "two products": (call("add", call("mul", C, C), call("mul", A, B)),
                     Call("fma", (A, B, call("mul", C, C)), "float32x4")),
    "a product that is used twice": (call("add", call("sqrt", PRODUCT), PRODUCT),) * 2,
    "scalars": (call("add", Local("s"), call("mul", Local("s"), Local("t"))),) * 2,
    "a difference": (call("sub", C, PRODUCT),) * 2}


@pytest.mark.parametrize(("value", "expected"), CASES.values(), ids=CASES)
def test_fused(value: Expr, expected: Expr) -> None:
    assert fused(value) == expected


def test_shared_parts_stay_shared() -> None:
    total = call("add", C, call("mul", A, B))
    result = fused(call("mul", total, total))
    assert isinstance(result, Call)
    assert result.args[0] is result.args[1]
