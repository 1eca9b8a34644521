"""Arrays as JSON for the hosts: base64 in the message, or a file when they are large."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transpile.ir.types import narrow_array

FILE_BYTES = 1 << 20
"""Tensors above this size travel as files, which saves the base64 and its copies."""


def encode_inputs(inputs: Mapping[str, object], folder: Path | None) -> dict[str, Any]:
    """Named arrays as `{name: {dtype, shape, base64 | file}}`; files are written to `folder`.

    Raises:
        ShapeError: an array has a dtype or values that the module cannot hold.
    """
    return {name: _encode(narrow_array(value, name), folder, index)
            for index, (name, value) in enumerate(inputs.items())}


def _encode(array: np.ndarray, folder: Path | None, index: int) -> dict[str, Any]:
    tensor: dict[str, Any] = {"dtype": array.dtype.name, "shape": list(array.shape)}
    if folder is None or array.nbytes <= FILE_BYTES:
        return {**tensor, "base64": base64.b64encode(array.tobytes()).decode()}
    path = folder / f"in{index}.bin"
    path.write_bytes(array.tobytes())
    return {**tensor, "file": str(path)}


def decode_outputs(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The arrays of an answer, each in its own dtype and shape; files are removed once read."""
    return {name: _decode(tensor) for name, tensor in outputs.items()}


def _decode(tensor: Mapping[str, Any]) -> np.ndarray:
    if "file" in tensor:
        path = Path(tensor["file"])
        data = path.read_bytes()
        path.unlink()
    else:
        data = base64.b64decode(tensor["base64"])
    shape: tuple[int, ...] = tuple(tensor["shape"])
    return np.array(np.frombuffer(data, np.dtype(tensor["dtype"])).reshape(shape))
