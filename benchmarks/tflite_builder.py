"""TensorFlow Lite flatbuffers: tensors and operators of one subgraph, written in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite

ALIGNMENT = 16
"""Of the weights in the file, in bytes."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph."""

    index: int
    shape: tuple[int, ...]


class GraphBuilder:
    """Collects tensors and operators; `finish` gives the file's bytes."""

    def __init__(self) -> None:
        self.fb = flatbuffers.Builder(1 << 20)
        self.tensors: list[int] = []
        self.operators: list[int] = []
        self.codes: list[str] = []
        self.buffers: list[int] = [self._table("Buffer")]

    def tensor(self, shape: Sequence[int], data: np.ndarray | None = None) -> Value:
        """A float32 tensor, or a constant of `data`'s type."""
        number = 0 if data is None else self._buffer(data)
        integer = data is not None and data.dtype == np.int32
        kind = tflite.TensorType.INT32 if integer else tflite.TensorType.FLOAT32
        name = self.fb.CreateString(f"t{len(self.tensors)}")
        dims = self._vector(shape)
        self.tensors.append(self._table("Tensor", Shape=dims, Type=kind, Buffer=number, Name=name))
        return Value(len(self.tensors) - 1, tuple(shape))

    def constant(self, data: Any) -> Value:
        array = np.asarray(data)
        array = array.astype(np.int32 if array.dtype.kind == "i" else np.float32)
        return self.tensor(array.shape, array)

    def op(self, code: str, inputs: Sequence[Value], shapes: Sequence[Sequence[int]],
           options: str = "", **fields: Any) -> list[Value]:
        """Add an operator with results of `shapes`; `fields` are those of its option table."""
        if code not in self.codes:
            self.codes.append(code)
        results = [self.tensor(shape) for shape in shapes]
        record: dict[str, Any] = {
            "OpcodeIndex": self.codes.index(code),
            "Inputs": self._vector([v.index for v in inputs]),
            "Outputs": self._vector([v.index for v in results])}
        if options:
            record["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, options)
            record["BuiltinOptions"] = self._table(options, **fields)
        self.operators.append(self._table("Operator", **record))
        return results

    def finish(self, x: Value, y: Value) -> bytes:
        """The file with input `x` and output `y`."""
        graph = self._table(
            "SubGraph", Tensors=self._offsets(self.tensors), Inputs=self._vector([x.index]),
            Outputs=self._vector([y.index]), Operators=self._offsets(self.operators))
        codes = [self._code(getattr(tflite.BuiltinOperator, code)) for code in self.codes]
        model = self._table(
            "Model", Version=3, OperatorCodes=self._offsets(codes),
            Subgraphs=self._offsets([graph]), Buffers=self._offsets(self.buffers))
        self.fb.Finish(model, b"TFL3")
        return bytes(self.fb.Output())

    def _code(self, number: int) -> int:
        return self._table("OperatorCode", DeprecatedBuiltinCode=min(number, 127),
                           BuiltinCode=number, Version=1)

    def _buffer(self, data: np.ndarray) -> int:
        raw = np.frombuffer(data.tobytes(), np.uint8)
        self.fb.StartVector(1, len(raw), ALIGNMENT)
        self.fb.head -= len(raw)
        self.fb.Bytes[self.fb.head:self.fb.head + len(raw)] = raw.tobytes()
        self.buffers.append(self._table("Buffer", Data=self.fb.EndVector()))
        return len(self.buffers) - 1

    def _vector(self, numbers: Sequence[int]) -> int:
        return int(self.fb.CreateNumpyVector(np.asarray(numbers, np.int32)))

    def _offsets(self, items: Sequence[int]) -> int:
        self.fb.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.fb.PrependUOffsetTRelative(item)
        return int(self.fb.EndVector())

    def _table(self, name: str, **fields: Any) -> int:
        getattr(tflite, f"{name}Start")(self.fb)
        for key, value in fields.items():
            getattr(tflite, f"{name}Add{key}")(self.fb, value)
        return int(getattr(tflite, f"{name}End")(self.fb))
