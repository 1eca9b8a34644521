"""Names of weights, by which targets find one another's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import transpile
from transpile import nn
from transpile.compile import lower_all


@pytest.mark.parametrize("size", [8, 64])
def test_targets_find_weights_without_names(size: int) -> None:
    """Of which one target's passes make others than those of another."""
    def model(x: Any) -> Any:
        for factor, (inputs, outputs) in enumerate(((3, 32), (32, 64), (64, 64)), 1):
            weight = np.ones((outputs, inputs, 3, 3), np.float32)
            x = nn.relu(nn.conv2d(x, weight * factor, padding=1))
        return nn.adaptive_avg_pool2d(x, 1)

    graph = transpile.trace(transpile.model(x=transpile.spec("float32", (1, 3, size, size)))(model))
    js, webgl = lower_all(graph, ("js", "webgl"))
    found = {n.name: n.value for n in js.graph.constants}
    stored = {b.name for b in js.buffers}
    for node in webgl.graph.constants:
        if node.value.size > 1:
            assert node.name in stored
            np.testing.assert_array_equal(node.value, found[node.name])
