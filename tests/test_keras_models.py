"""Keras models on the back end torch through the emitted JS against Keras."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import transpile
from transpile.errors import SourceError, TraceError
from transpile.frontends.keras import load

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch")
keras = pytest.importorskip("keras")
layers = keras.layers


def sequential() -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential([
        layers.Input((10, 9, 2)), layers.Conv2D(4, 3, padding="same", activation="relu",
                                                name="first"),
        layers.BatchNormalization(), layers.MaxPooling2D(padding="same"),
        layers.SeparableConv2D(5, 3, padding="same", name="apart"),
        layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax", name="probs")])


def functional() -> Any:
    keras.utils.set_random_seed(0)
    left, right = layers.Input((5,), name="left"), layers.Input((5,), name="right")
    shared = layers.Dense(4, activation="gelu", name="shared")
    a, b = shared(left), shared(right)
    return keras.Model([left, right], {"sum": layers.Add()([a, b]),
                                       "both": layers.Concatenate()([a, b])})


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.drop = layers.Dense(6, activation="relu"), layers.Dropout(0.5)
        self.out = layers.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.drop(self.hidden(x), training=training))


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def run(model: Any, arrays: dict[str, np.ndarray], **options: Any) -> dict[str, np.ndarray]:
    return transpile.compile(model, targets=["js"], **options).run(arrays, "js")


def test_sequential_with_separable_convolution() -> None:
    model, x = sequential(), floats(2, 10, 9, 2)
    graph = transpile.trace(model)
    assert str(graph.inputs[0].type) == "float32[batch, 10, 9, 2]"
    names = " ".join(n.name for n in graph.constants)
    assert "first.kernel" in names
    assert "probs.bias" in names
    np.testing.assert_allclose(run(model, {"x": x})["probs"], model.predict(x, verbose=0),
                               atol=1e-6)


def test_functional_with_names() -> None:
    model, a, b = functional(), floats(3, 5), floats(3, 5) + 1
    got = run(model, {"left": a, "right": b})
    wanted = model.predict([a, b], verbose=0)
    assert set(got) == {"sum", "both"}
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, atol=1e-6)


@pytest.mark.filterwarnings("ignore:When providing")
def test_a_dict_of_inputs_with_other_names() -> None:
    """Keys need not be the names of the tensors, only told apart."""
    first, second = layers.Input((5,)), layers.Input((5,), name="bee")
    model = keras.Model({"z": first, "a": second}, layers.Subtract(name="out")([first, second]))
    a, b = floats(3, 5), floats(3, 5) + np.float32(0.25)
    names = [n.name for n in transpile.trace(model).inputs]
    order = {"bee": b, next(n for n in names if n != "bee"): a}
    np.testing.assert_allclose(run(model, order)["out"], a - b, atol=1e-6)


def test_subclassed() -> None:
    model, x = Subclassed(), floats(4, 7)
    with pytest.raises(TraceError, match="not known"):
        transpile.trace(model)
    types = {"x": transpile.spec("float32", ("batch", 7))}
    got = run(model, {"x": x}, inputs=types)
    np.testing.assert_allclose(got["output"], model.predict(x, verbose=0), atol=1e-6)


def test_recurrent() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Input((4, 3)), layers.LSTM(5, return_sequences=True),
                              layers.GRU(2, name="last")])
    x = floats(2, 4, 3)
    np.testing.assert_allclose(run(model, {"x": x})["last"], model.predict(x, verbose=0),
                               atol=1e-5)


def recurrent(masked: bool) -> Any:
    """A model of one layer of every kind on one sequence; two of them begin with a state."""
    x, h = keras.Input((6, 3), name="x"), keras.Input((4,), name="h")
    y = layers.Masking(0.0)(x) if masked else x
    kinds = [
        layers.LSTM(5, recurrent_activation="hard_sigmoid"),
        layers.LSTM(5, go_backwards=True, return_sequences=True),
        layers.LSTM(5, return_state=True, use_bias=False),
        layers.GRU(4, use_bias=False), layers.SimpleRNN(6, return_sequences=True),
        layers.GRU(4, reset_after=False, return_sequences=True, activation="relu"),
        layers.RNN(layers.SimpleRNNCell(3, activation=None)),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        layers.Bidirectional(layers.GRU(4), merge_mode="sum")]
    results = [t for layer in kinds for t in keras.tree.flatten(layer(y))]
    results += [layers.GRU(4, return_sequences=True, zero_output_for_mask=zeros)(
        y, initial_state=h) for zeros in (False, True)]
    return keras.Model([x, h], results)


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
def test_recurrent_layers_stay_whole(masked: bool) -> None:
    keras.utils.set_random_seed(1)
    model, x, h = recurrent(masked), floats(2, 6, 3), floats(2, 4)
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=w.shape) * 0.7 for w in model.get_weights()])
    x[0, [0, 3]] = x[1, 4:] = 0.0
    given, wanted = {"x": x, "h": h}, model.predict([x, h], verbose=0)
    assert sum(n.op == "recurrence" for n in transpile.trace(model).nodes) == 13
    for found, expected in zip(run(model, given).values(), wanted, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_cells_of_other_functions_are_written_out() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([layers.Input((3, 2), name="x"), layers.GRU(2, activation="gelu")])
    x = floats(2, 3, 2)
    (found,) = run(model, {"x": x}).values()
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


class Ordered(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return keras.ops.take_along_axis(x, keras.ops.argsort(x, axis=1), axis=1)


STEPS = {
    "stacked cells": ((5, 3), layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)])),
    "stacked with all states": ((5, 3), layers.RNN(
        [layers.SimpleRNNCell(4), layers.SimpleRNNCell(2)], return_sequences=True,
        go_backwards=True)),
    "rows of images": ((4, 6, 2), layers.ConvLSTM1D(3, 3, return_sequences=True)),
    "along an axis": ((4, 6), Ordered()),
}


@pytest.mark.parametrize("name", STEPS)
def test_layers_at_any_batch(name: str) -> None:
    shape, layer = STEPS[name]
    keras.utils.set_random_seed(2)
    model, x = keras.Sequential([layers.Input(shape, name="x"), layer]), floats(3, *shape)
    (found,) = run(model, {"x": x}).values()
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files(tmp_path: Any, suffix: str) -> None:
    model, path = sequential(), tmp_path / f"small{suffix}"
    model.save(path)
    loaded, x = load(path), floats(1, 10, 9, 2)
    assert loaded.name == "small"
    np.testing.assert_allclose(loaded(x)["probs"], model.predict(x, verbose=0), atol=1e-6)
    assert [n for n, _ in loaded.trace().outputs] == ["probs"]


def test_code_in_files_is_refused(tmp_path: Any) -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "code.keras")
    with pytest.raises(SourceError, match="Python code"):
        load(tmp_path / "code.keras")
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(SourceError, match="cannot be read"):
        load(tmp_path / "broken.h5")
