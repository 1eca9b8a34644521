"""What emitted modules are to reach, by model."""

from __future__ import annotations

SPEED = {
    "mlp": {"onnxruntime-web": 1.3, "tfjs-wasm": 2.0, "LiteRT.js": 2.0},
    "lenet": {"onnxruntime-web": 2.4, "tfjs-wasm": 2.4, "LiteRT.js": 2.0},
    "mobilenetv2": {"onnxruntime-web": 1.9, "tfjs-wasm": 1.5, "LiteRT.js": 1.1},
    "resnet18": {"onnxruntime-web": 3.3, "tfjs-wasm": 3.0, "LiteRT.js": 2.7,
                 "onnxruntime native": 1 / 1.3},
    "transformer": {"onnxruntime-web": 1.6, "tfjs-wasm": 2.2, "LiteRT.js": 1.2},
    "lstm": {"onnxruntime-web": 1.5, "tfjs-wasm": 5.0, "LiteRT.js": 1.5},
}
"""How many times as fast as a peer the wasm target is."""

WEBGL = {"steady": 2.0, "first": 4.0, "draws": None, "first draws": 2.0, "programs": 4.0}
"""tfjs-webgl's time of a run, time to the first result, draws of a run, draws until the first
result, and programs, over ours."""

PLAIN_SPEED = {"mlp": {"tfjs-cpu": 3.0}, "lenet": {"tfjs-cpu": 10.0}}
"""The same for plain JavaScript."""

CODE_GZIP = {"mlp": 6000, "lenet": 9000, "mobilenetv2": 40000}
"""Bytes of a module with js and wasm besides its weights, gzip -9."""

COLD_START = {"mlp": 0.5, "lenet": 1.0, "mobilenetv2": 1.0}
"""Time to the first prediction, over an empty page, relative to the fastest peer's."""

COLD_START_SIDE = {"lenet": 0.6, "mobilenetv2": 0.6}
"""The same with the weights in a file of their own."""


def memory(weights: int, arena: int, side: bool) -> float:
    """Bytes at the peak, over an empty page or process.

    Args:
        weights: bytes of the weights.
        arena: bytes of everything else that the module plans.
        side: the weights are in a file of their own.
    """
    return weights + 1.3 * arena + 10e6 + (0 if side else 2 * weights)
