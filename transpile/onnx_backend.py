"""An ONNX back end that runs the emitted JavaScript, for any suite of the standard.

Modules run on one Node process that stays. They are built for the shapes of the inputs that they
first meet, and inputs that decide a shape (the new shape of a Reshape, the k of a TopK) become
constants: a module is built again where these change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, helper
from onnx.backend.base import Backend, BackendRep, namedtupledict

from transpile.emit.module import emit_module
from transpile.emit.options import EmitOptions
from transpile.errors import ShapeError, UnsupportedError
from transpile.frontends.onnx import import_model, static_types
from transpile.frontends.onnx_check import check_model
from transpile.frontends.onnx_values import ValueNeededError
from transpile.ir.graph import Graph
from transpile.ir.types import narrow_array
from transpile.verify.node import shared_host

TARGETS = ("js", "wasm")
"""Where models run; a module for a later target holds the earlier ones, too."""


class Rep(BackendRep):  # type: ignore[misc]
    """A model, and the modules built from it so far.

    Args:
        proto: the model.
        target: where it runs.
    """

    def __init__(self, proto: ModelProto, target: str = "js") -> None:
        if target not in TARGETS:
            raise UnsupportedError(f"there is no target {target!r}",
                                   fix=f"use one of {', '.join(TARGETS)}")
        check_model(proto)
        self.proto, self.target = proto, target
        self.modules: dict[Any, tuple[str, Graph]] = {}
        self.fixed: set[str] = set()

    def run(self, inputs: Any, **_: Any) -> tuple[Any, ...]:
        """The outputs, a named tuple, each in the dtype that the model declares.

        Args:
            inputs: arrays in the order of the model's inputs, or by name.
        """
        arrays = self._by_name(inputs)
        source, graph = self._module(arrays)
        feeds = {i.name: _plain(i.name, arrays[i.name]) for i in graph.inputs}
        found = shared_host().run(source, feeds, self.target, "cjs")
        values = [self._declared(info, found[info.name]) for info in self.proto.graph.output]
        return tuple(namedtupledict("Outputs", [o.name for o in self.proto.graph.output])(*values))

    def _by_name(self, inputs: Any) -> dict[str, np.ndarray]:
        if isinstance(inputs, Mapping):
            return {n: np.asarray(v) for n, v in inputs.items()}
        infos = list(self.proto.graph.input)
        initial = {t.name for t in self.proto.graph.initializer}
        if len(inputs) != len(infos):
            infos = [i for i in infos if i.name not in initial]
        if any(isinstance(v, (list, type(None))) for v in inputs):
            raise UnsupportedError("sequences and optional values are no tensors")
        return {i.name: np.asarray(v) for i, v in zip(infos, inputs, strict=False)}

    def _module(self, arrays: Mapping[str, np.ndarray]) -> tuple[str, Graph]:
        self.fixed |= {n for n, a in arrays.items() if a.size == 0}
        while True:
            values = {n: a for n, a in arrays.items() if n in self.fixed}
            key = (tuple((n, a.shape) for n, a in arrays.items()),
                   tuple((n, a.tobytes()) for n, a in values.items()))
            try:
                if key not in self.modules:
                    self.modules[key] = self._build(arrays, values)
                return self.modules[key]
            except ValueNeededError as error:
                new = set(error.inputs) - self.fixed
                if not new:
                    raise
                self.fixed |= new

    def _build(self, arrays: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]
               ) -> tuple[str, Graph]:
        from transpile.compile import lower_all
        types = static_types(self.proto, {n: a for n, a in arrays.items() if n not in values})
        graph = import_model(self.proto, types, values)
        programs = lower_all(graph, TARGETS[:TARGETS.index(self.target) + 1])
        emitted = emit_module(programs, EmitOptions(format="cjs"))
        return emitted.code, graph

    def _declared(self, info: Any, array: np.ndarray) -> np.ndarray:
        elem = info.type.tensor_type.elem_type
        return array.astype(helper.tensor_dtype_to_np_dtype(elem)) if elem else array


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """An array in a dtype of the modules; UnsupportedError for values that do not fit."""
    if array.dtype.name in ("bfloat16", "float16"):
        return array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise UnsupportedError(f"the input {name!r} holds {array.dtype}")
    try:
        return narrow_array(array, f"the input {name!r}")
    except ShapeError as error:
        raise UnsupportedError(error.what, why=error.why) from None


class TranspileBackend(Backend):  # type: ignore[misc]
    """`onnx.backend.base.Backend` over the emitted modules."""

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", *, target: str = "js",
                **_: Any) -> Rep:
        """A model ready to run.

        Raises:
            UnsupportedError: a NotImplementedError too; it says what cannot be compiled.
        """
        if not cls.supports_device(device):
            raise UnsupportedError(f"there is no device {device!r}", fix="use CPU")
        return Rep(model, target)

    @classmethod
    def run_model(cls, model: ModelProto, inputs: Any, device: str = "CPU",
                  **options: Any) -> tuple[Any, ...]:
        """The outputs of a model, once."""
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """True for the CPU, which runs Node."""
        return device.split(":")[0] == "CPU"


prepare, run_model = TranspileBackend.prepare, TranspileBackend.run_model
supports_device = TranspileBackend.supports_device


def run(model: ModelProto, inputs: Sequence[Any], target: str = "js") -> list[np.ndarray]:
    """The outputs of `model` for `inputs`, computed by emitted JavaScript.

    Raises:
        UnsupportedError: the model uses what cannot be compiled.
    """
    return list(Rep(model, target).run(inputs))


def run_wasm(model: ModelProto, inputs: Sequence[Any]) -> list[np.ndarray]:
    """The same, computed by WebAssembly."""
    return run(model, inputs, "wasm")
