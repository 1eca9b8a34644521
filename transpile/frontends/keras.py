"""The Keras 3 front end: any model that Keras can load, rebuilt on its PyTorch back end.

Keras chooses its back end once for a process. With the back end torch a Keras layer is an
nn.Module, and the PyTorch front end takes the model from there. A model of another back end is
written to a `.keras` file and converted by a process of its own that uses torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transpile.errors import SourceError, TraceError, UnsupportedError
from transpile.frontends.foreign import needs
from transpile.frontends.keras_layers import input_specs, path_names, restored
from transpile.ir.graph import Graph
from transpile.ir.types import TensorType
from transpile.model import Model, as_spec


class KerasModel(Model):
    """A Keras model; calling it runs Keras.

    Args:
        model: Sequential, functional, or a subclass of keras.Model that is built or has types.
        specs: types by input name; default: the model's own inputs, None as a name.
    """

    def __init__(self, model: Any, specs: Mapping[str, Any] | None = None, *,
                 outputs: Sequence[str] | None = None, labels: Any = None) -> None:
        super().__init__(model, {**input_specs(model), **(specs or {})}, outputs=outputs,
                         labels=labels)
        self.name = getattr(model, "name", "") or type(model).__name__

    def __call__(self, *arrays: Any, **named: Any) -> dict[str, np.ndarray]:
        """The outputs by name."""
        import keras
        values = [np.asarray(a) for a in (*arrays, *named.values())]
        given = packed(self.fn, dict(zip(self.specs, values, strict=True)))
        result = self.fn(given, training=False) if takes_training(self.fn) else self.fn(given)
        flat = keras.tree.flatten(result)
        names = self.outputs or output_names(self.fn, result)
        return dict(zip(names, [keras.ops.convert_to_numpy(t) for t in flat], strict=True))

    def trace(self, inputs: Mapping[str, Any] | None = None) -> Graph:
        """The graph.

        Raises:
            TraceError: the types of a subclassed model's inputs are not known.
            UnsupportedError: PyTorch cannot trace or write some layer.
        """
        needs("torch", "onnx", "onnxscript")
        given = {n: as_spec(v) for n, v in (inputs or {}).items()}
        unknown = [n for n in given if self.specs and n not in self.specs]
        if unknown:
            raise TraceError(f"{self.name} has no input called {unknown[0]!r}",
                             fix=f"its inputs are {', '.join(self.specs)}")
        self.specs.update(given)
        if not self.specs:
            raise TraceError(f"the types of the inputs of {self.name} are not known",
                             fix="give them: --input 'x=float32[batch,28,28,1]'")
        from transpile.frontends.onnx import import_model
        types = {n: s.type for n, s in self.specs.items()}
        proto = message(self.fn, types)
        graph = import_model(proto, types, name=self.name, origin=self.name)
        return self._rename(graph) if self.outputs else graph


def message(model: Any, types: Mapping[str, TensorType]) -> Any:
    """The ONNX message of a model, in this process or in one with the back end torch."""
    import keras
    if keras.backend.backend() == "torch":
        return torch_message(model, types)
    return converted_elsewhere(model, types)


def torch_message(model: Any, types: Mapping[str, TensorType]) -> Any:
    """The same for a model of the back end torch."""
    import torch

    from transpile.frontends import keras_recurrent
    from transpile.frontends import torch as front_end
    from transpile.frontends.torch_dims import example_sizes

    class Flat(torch.nn.Module):  # type: ignore[misc]
        """The model with an argument for each input and a result for each output."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            given = packed(model, dict(zip(types, tensors, strict=True)))
            result = model(given, training=False) if takes_training(model) else model(given)
            self.names = output_names(model, result)
            return tuple(keras.tree.flatten(result))

    import keras
    with path_names(model):
        flat = Flat()
        with torch.no_grad():  # layers that are not built yet make their weights now
            flat(*(front_end.example(t, next(example_sizes(types))) for t in types.values()))
        with keras_recurrent.kept_whole():
            program = front_end.exported(flat, types, positional=True)
        proto = front_end.onnx_message(program, keras_recurrent.translations())
    rename(proto, list(types), flat.names)
    restored(proto, model)
    return proto


def rename(proto: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Inputs and outputs of a message take the names that the model has for them."""
    new: dict[str, str] = {}
    for infos, names in ((proto.graph.input, inputs), (proto.graph.output, outputs)):
        for info, name in zip(infos, names, strict=True):
            new[info.name] = name
    taken = {n for node in proto.graph.node for n in node.output} | {
        t.name for t in proto.graph.initializer}
    for name in sorted(taken - set(new)):
        if name in new.values():
            new[name] = f"{name}_inner"
    for node in proto.graph.node:
        node.input[:] = [new.get(n, n) for n in node.input]
        node.output[:] = [new.get(n, n) for n in node.output]
    for item in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        item.name = new.get(item.name, item.name)
    del proto.graph.value_info[:]


def packed(model: Any, values: Mapping[str, Any]) -> Any:
    """Inputs as the model takes them: bare, a list, a dict, or any nesting of these."""
    import keras
    structure, flat = getattr(model, "_inputs_struct", None), list(values.values())
    if structure is not None:
        return keras.tree.pack_sequence_as(structure, flat)
    return flat[0] if len(flat) == 1 else flat


def takes_training(model: Any) -> bool:
    """True if the model's call can be told that this is no training."""
    return bool(getattr(model, "_call_has_training_arg", False))


def output_names(model: Any, result: Any) -> list[str]:
    """Keys of a dict, or the names of the layers that give the outputs."""
    from transpile.frontends.numpy import unique
    if isinstance(result, Mapping):
        return [str(k) for k in result]
    count = len(result) if isinstance(result, (tuple, list)) else 1
    layers = [getattr(h[0], "name", "") for t in (getattr(model, "outputs", None) or ())
              if (h := getattr(t, "_keras_history", None))]
    return list(unique(layers if len(layers) == count else
                       ["output"] if count == 1 else [f"output{k}" for k in range(count)]))


def load(path: str | os.PathLike[str]) -> KerasModel:
    """Read a `.keras`, `.h5` or `.hdf5` file, without running code that it holds.

    Raises:
        SourceError: it cannot be read, or it holds Python code (a Lambda layer).
        DependencyError: Keras, or h5py for the older format, is missing.
    """
    place = Path(path)
    if not place.is_file():
        raise SourceError(f"there is no file {place}")
    use_torch()
    needs("keras", "h5py")
    import keras

    from transpile.frontends.torch import quiet
    try:
        with quiet():
            model = keras.models.load_model(str(place), compile=False, safe_mode=True)
    except Exception as error:  # the readers raise whatever they meet
        text = " ".join(str(error).split())
        code = "lambda" in text.lower()
        raise SourceError(
            f"{place} cannot be read" + (": it holds Python code" if code else ""),
            why=f"{type(error).__name__}: {text[:200]}",
            fix="replace Lambda layers by layers of Keras" if code else
            "load it in a Python file that defines its classes, and give file.py:name") from None
    result = KerasModel(model)
    result.name = place.stem
    return result


def use_torch() -> None:
    """Keras uses torch in this process, unless it is imported or told otherwise already."""
    if "keras" not in sys.modules and not os.environ.get("KERAS_BACKEND"):
        needs("torch")
        os.environ["KERAS_BACKEND"] = "torch"


def converted_elsewhere(model: Any, types: Mapping[str, TensorType]) -> Any:
    """The message of a model of another back end, by a process that loads it with torch."""
    from transpile.frontends.onnx import parse
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "model.keras"), Path(folder, "model.onnx")
        model.save(source)
        arguments = [str(source), str(result), *(f"{n}={t}" for n, t in types.items())]
        done = subprocess.run([sys.executable, "-m", "transpile.frontends.keras", *arguments],
                              env={**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH":
                                   os.pathsep.join(sys.path)},
                              capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().split("\n")[-1]
            raise UnsupportedError(f"{model.name} cannot be converted with the back end torch",
                                   why=last[:300], fix="set KERAS_BACKEND=torch to see more")
        return parse(result.read_bytes(), model.name)


def main(source: str, result: str, *inputs: str) -> None:
    """Convert a file: what `converted_elsewhere` runs."""
    types = {}
    for text in inputs:
        name, _, type_ = text.partition("=")
        types[name] = TensorType.parse(type_)
    Path(result).write_bytes(message(load(source).fn, types).SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
