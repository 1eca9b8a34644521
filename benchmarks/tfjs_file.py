"""The layers as one file of weights in TensorFlow's layouts and a list that says where they lie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.layers import Layer, Net


def write(net: Net, path: Path) -> None:
    """Save `path` (JSON) and beside it the weights with the suffix `.bin`."""
    weights: list[np.ndarray] = []
    layers, offset = [], 0
    for layer in net.layers:
        places = {}
        for name, array in layer.arrays.items():
            array = channels_last(layer, array)
            places[name] = {"offset": offset, "shape": array.shape}
            weights.append(array.ravel())
            offset += array.size
        layers.append({"kind": layer.kind, "inputs": layer.inputs, "arrays": places,
                       **layer.attrs})
    path.write_text(json.dumps({"shape": net.shape, "layers": layers}))
    np.concatenate(weights).tofile(path.with_suffix(".bin"))


def channels_last(layer: Layer, array: np.ndarray) -> np.ndarray:
    """A weight as TensorFlow has it: [h, w, in, out], depthwise [h, w, channels, 1], [in, out]."""
    if array.ndim == 4:
        return array.transpose(2, 3, 0, 1) if layer.attrs["groups"] > 1 else (
            array.transpose(2, 3, 1, 0))
    if array.ndim == 2:
        return rows_channels_last(layer, array).T
    return array


def rows_channels_last(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """[out, in] with the inputs in the order of an image that has its channels last."""
    chw = layer.attrs.get("chw")
    if not chw:
        return weight
    return weight.reshape(len(weight), *chw).transpose(0, 2, 3, 1).reshape(weight.shape)
