"""PyTorch modules through the emitted JS against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import transpile
from transpile.errors import SourceError, TraceError, TranspileError, UnsupportedError
from transpile.frontends.torch import TorchModel, load
from transpile.ir.graph import Graph

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc = nn.Linear(400, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        probs = F.softmax(self.fc(x.flatten(1)), -1)
        return probs  # noqa: RET504 - the output bears this name


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.second(F.relu(self.norm(self.first(x)))))


class ResNet(nn.Module):
    """With a PReLU and a pool that rounds up, as face detectors have them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.slope = nn.Conv2d(3, 8, 3, stride=2), nn.PReLU(8)
        self.body = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 4)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = F.max_pool2d(self.slope(self.stem(image)), 3, 2, ceil_mode=True)
        x = self.body(x).mean((2, 3))
        return {"logits": self.head(x), "features": x}


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.gru, self.rnn = nn.GRU(8, 3, batch_first=True), nn.RNN(
            3, 2, nonlinearity="relu", batch_first=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        y, (h, c) = self.lstm(x)
        y, _ = self.gru(y)
        out, _ = self.rnn(y)
        return out, h, c


def run(module: nn.Module, arrays: dict[str, np.ndarray], **specs: Any) -> dict[str, np.ndarray]:
    model = transpile.model(module, **specs) if specs else module
    return transpile.compile(model, None if specs else arrays, targets=["js"]).run(arrays, "js")


def expected(module: nn.Module, *arrays: np.ndarray) -> Any:
    training = module.training
    module.eval()
    with torch.no_grad():
        result = module(*map(torch.from_numpy, arrays))
    module.train(training)
    return result


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def ops(graph: Graph) -> list[str]:
    return [n.op for n in graph.nodes]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_lenet_at_any_batch() -> None:
    net, x = LeNet(), floats(3, 1, 28, 28)
    got = run(net, {"x": x}, x=transpile.spec("float32", ("batch", 1, 28, 28)))
    np.testing.assert_allclose(got["probs"], expected(net, x), atol=1e-6)
    assert net.training


def test_resnet_keeps_its_names() -> None:
    net, x = ResNet(), floats(2, 3, 17, 23)
    net.body[0].norm.running_mean.normal_()
    specs = {"image": transpile.spec("float32", ("batch", 3, 17, 23))}
    graph = transpile.trace(transpile.model(net, **specs))
    assert {n.name for n in graph.constants if n.attrs["parameter"]} >= {
        "stem.weight", "body.0.first.weight", "head.bias"}
    assert {"stem", "body.0.first", "head"} <= {n.where.scope for n in graph.nodes}
    got = run(net, {"image": x}, **specs)
    for name, wanted in expected(net, x).items():
        np.testing.assert_allclose(got[name], wanted, atol=1e-5)


def cells(graph: Graph) -> list[str]:
    """The kinds of a graph's recurrent layers, one for each direction."""
    return [n.attrs["cell"] for n in graph.nodes if n.op == "recurrence"]


def test_recurrent_layers_stay_whole() -> None:
    net, x = Recurrent(), floats(2, 6, 5)
    specs = {"x": transpile.spec("float32", ("batch", 6, 5))}
    graph = transpile.trace(transpile.model(net, **specs))
    assert cells(graph) == ["lstm"] * 4 + ["gru", "rnn"]
    got = run(net, {"x": x}, **specs)
    assert list(got) == ["out", "h", "c"]
    for found, wanted in zip(got.values(), expected(net, x), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_named_number_of_time_steps() -> None:
    specs = {"x": transpile.spec("float32", ("batch", "time", 5))}
    graph = transpile.trace(transpile.model(nn.LSTM(5, 4, batch_first=True), input=specs["x"]))
    assert str(graph.outputs[0][1].shape[1]) == "time"
    assert cells(graph) == ["lstm"]


def test_transformer_layer() -> None:
    net = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
    src = floats(2, 5, 16)
    got = run(net, {"src": src}, src=transpile.spec("float32", ("batch", 5, 16)))
    np.testing.assert_allclose(got["output"], expected(net, src), atol=1e-5)


class Biased(nn.Module):
    """Attention with a mask made of weights, as Swin and T5 have it."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(1, 2, 5, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.unflatten(2, (2, 4)).transpose(1, 2)
        y = F.scaled_dot_product_attention(heads, heads, heads, attn_mask=self.bias * 2)
        return y.transpose(1, 2).reshape(x.shape)


def test_attention_with_a_mask_of_weights() -> None:
    net, x = Biased(), floats(3, 5, 8)
    got = run(net, {"x": x}, x=transpile.spec("float32", ("batch", 5, 8)))
    np.testing.assert_allclose(got["output"], expected(net, x), atol=1e-5)


def test_exported_programs(tmp_path: Any) -> None:
    net, x = LeNet().eval(), floats(2, 1, 28, 28)
    program = torch.export.export(net, (torch.from_numpy(x),), dynamic_shapes=(
        {0: torch.export.Dim("n", min=1)},))
    torch.export.save(program, tmp_path / "net.pt2")
    model = load(tmp_path / "net.pt2")
    graph = model.trace()
    assert str(graph.inputs[0].type) == "float32[batch, 1, 28, 28]"
    got = transpile.compile(program, targets=["js"]).run({"x": x}, "js")
    np.testing.assert_allclose(next(iter(got.values())), expected(net, x), atol=1e-6)
    np.testing.assert_allclose(next(iter(model(x).values())), expected(net, x), atol=1e-6)


def test_integers_and_half_precision() -> None:
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 2)).half()
    ids = np.array([[1, 6, 0]], np.int32)
    got = transpile.compile(net, {"input": ids}, targets=["js"]).run({"input": ids}, "js")
    wanted = net.float()(torch.from_numpy(ids)).detach()
    np.testing.assert_allclose(next(iter(got.values())), wanted, atol=1e-5)


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Fixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(8, 3) + 1


def test_errors_name_the_cause(tmp_path: Any) -> None:
    types = {"x": transpile.spec("float32", (2, 3))}
    with pytest.raises(TraceError, match="cannot trace Branching"):
        transpile.trace(Branching(), types)
    with pytest.raises(UnsupportedError, match="named size"):
        transpile.trace(Fixed(), {"x": transpile.spec("float32", ("n", 3))})
    with pytest.raises(TraceError, match="'x' of Branching is not known"):
        transpile.trace(Branching())
    with pytest.raises(TraceError, match="no input called 'y'"):
        transpile.trace(Branching(), {"y": types["x"]})
    (tmp_path / "broken.pt2").write_bytes(b"PK\x03\x04")
    with pytest.raises(SourceError, match="no exported program"):
        load(tmp_path / "broken.pt2")
    with pytest.raises(SourceError, match="weights"):
        load(tmp_path / "weights.pth")


def test_calling_it_runs_pytorch() -> None:
    net, x = ResNet(), floats(1, 3, 16, 16)
    got = TorchModel(net)(x)
    np.testing.assert_allclose(got["logits"], expected(net, x)["logits"], atol=1e-6)


class Deep(nn.Module):
    """Strides and windows: the last image is 1 x 1 for small inputs, and torch looks whether."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 4, 3, 2, 1)
        self.gate = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(F.relu(self.first(x)))
        return y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))


class BranchOnSize(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[2] > 10 else x


class OtherBranch(nn.Module):
    """What torch.export suggests is an upper bound."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.shape[2] < 40 else x * 2


def test_images_of_any_size_that_the_windows_fit_into() -> None:
    net = Deep()
    module = transpile.compile(
        transpile.model(net, x=transpile.spec("float32", ("n", 3, "h", "w"))), targets=["js"])
    for shape in ((2, 3, 32, 48), (1, 3, 9, 13)):
        x = floats(*shape)
        np.testing.assert_allclose(module.run({"x": x})["output"], expected(net, x), atol=1e-6)


class Table(nn.Module):
    """As BERT has one: a row for each place, of which there are 12."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(12, 4)
        self.register_buffer("places", torch.arange(12)[None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.rows(self.places[:, : x.shape[1]])


@pytest.mark.parametrize("target", ["js", "wasm"])
def test_a_table_of_places_bounds_a_sequence(target: str) -> None:
    net = Table()
    types = {"x": transpile.spec("float32", ("batch", "time", 4))}
    module = transpile.compile(transpile.model(net, **types), targets=[target])
    for time in (1, 7, 12):
        x = floats(2, time, 4)
        got = module.run({"x": x}, target)["output"]
        np.testing.assert_allclose(got, expected(net, x), atol=1e-6)
    with pytest.raises(TranspileError, match="time is at most 12 in this model, got 13"):
        module.run({"x": floats(2, 13, 4)}, target)


@pytest.mark.parametrize("net", [BranchOnSize(), OtherBranch()])
def test_a_branch_on_a_size_is_no_bound(net: nn.Module) -> None:
    with pytest.raises(UnsupportedError, match="only for some values of a named size"):
        transpile.trace(transpile.model(net, x=transpile.spec("float32", ("n", 3, "h", "w"))))
