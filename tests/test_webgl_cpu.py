"""What runs on the CPU between draws: together, with few transfers, and printed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import transpile
from benchmarks import models
from transpile import nn
from transpile.cli import main
from transpile.module import Module
from transpile.targets.glsl.cpu import CpuCall, in_parts
from transpile.targets.glsl.programs import WebglPlan, plan_webgl


def bidirectional() -> transpile.Model:
    torch = pytest.importorskip("torch")

    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(8, 12, 2, bidirectional=True, batch_first=True)

        def forward(self, x: Any) -> Any:
            return torch.tanh(self.lstm(x)[0])
    return models.prepared(Twice, ("batch", 5, 8), 3)


@pytest.fixture(scope="module")
def module() -> Module:
    return transpile.compile(bidirectional(), targets=["js", "webgl"])


def plan(module: Module, **options: Any) -> WebglPlan:
    return plan_webgl(module.programs[-1].graph, **options)


def calls(plan: WebglPlan) -> list[CpuCall]:
    return [d for d in plan.draws if isinstance(d, CpuCall)]


def step(output: str, *reads: str, cpu: bool = False) -> Any:
    return SimpleNamespace(output=output, reads=reads, kernel=output if cpu else None, formula="")


@pytest.mark.parametrize(("steps", "parts"), [
    ([step("a"), step("b", "a")], ["a", "b"]),
    ([step("a", cpu=True), step("b", "a", cpu=True), step("c", "b")], ["ab", "c"]),
    # A draw that needs none of them goes first.
    ([step("a", cpu=True), step("b"), step("c", "b", cpu=True), step("d", "c", "a")],
     ["b", "ac", "d"]),
    ([step("a", cpu=True), step("b", "a"), step("c", "b", cpu=True)], ["a", "b", "c"]),
    ([step("a"), step("b", "a", cpu=True), step("c")], ["a", "c", "b"]),
])
def test_neighbours_share_a_call(steps: list[Any], parts: list[str]) -> None:
    assert ["".join(s.output for s in p) for p in in_parts(steps, merged=True)] == parts
    assert [p for (p,) in in_parts(steps, merged=False)] == steps


def test_both_directions_of_a_layer_share_a_call(module: Module) -> None:
    merged, alone = calls(plan(module)), calls(plan(module, merged=False))
    assert [len(c.kernels) for c in merged] == [2, 2]
    assert [len(c.kernels) for c in alone] == [1] * 4
    # Nothing is transferred twice, and no more than before.
    for call in merged:
        for tensors in (call.reads, call.written, call.copies):
            assert len({p.name for p, _ in tensors}) == len(tensors)
    assert sum(len(c.reads) for c in merged) <= sum(len(c.reads) for c in alone)
    assert plan(module).partition == [
        "5 draws", f"{merged[0].label} on the CPU", "5 draws", f"{merged[1].label} on the CPU",
        "1 draw"]


@pytest.mark.browser
def test_the_last_small_kernels_follow_all_draws() -> None:
    module = transpile.compile(models.MODELS["lenet"](), targets=["js", "webgl"])
    found = plan(module)
    assert found.tail is not None
    assert [name for name, _, _ in found.tail.results] == [n for n, _ in module.graph.outputs]
    assert (len(found.tail.kernels), found.tail.written, found.results) == (2, (), ())
    assert len(found.shaders) == 5  # tfjs-webgl has 26
    assert plan(module, merged=False).tail is None  # where single steps are looked at
    verified = module.verify(targets=["webgl"])
    assert verified.ok, verified.failures


@pytest.mark.parametrize(("hidden", "left"), [(100, 1), (1000, 0)])
def test_only_little_is_left_to_the_cpu(hidden: int, left: int) -> None:
    weight = np.ones((hidden, 20), np.float32)

    @transpile.model(x=transpile.spec("float32", (200, hidden)))
    def model(x: Any) -> Any:
        wide = nn.relu(x * 2)
        return wide, wide.sum(axis=0) @ weight
    tail = plan(transpile.compile(model, targets=["js", "webgl"])).tail
    assert (len(tail.kernels) if tail else 0) == left


@pytest.mark.browser
def test_it_computes_the_same(module: Module) -> None:
    found = module.verify(targets=["webgl"])
    assert found.ok, found.failures
    printed = module.report.webgl.split("in order: ")[1].split(", ")
    assert printed == plan(module).partition


def test_the_partition_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "examples/digits/model.py", "--kernels", "--target", "webgl"])
    printed = capsys.readouterr().out
    assert "in order: 5 draws" in printed
    assert "texelFetch" in printed
