"""What the front ends that go through ONNX cover, from the tables of their exporters and ours."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Set
from typing import Any

Rows = list[tuple[str, str, str]]
"""(name, kind, "" or why it is not supported). A name without a reason has a form in ONNX."""


def torch_rows() -> Rows:
    """PyTorch's operators that torch.onnx has a form of, and those of our own.

    A form that is written with an operator of ONNX that we refuse is no support: its source tells.
    """
    from transpile.frontends.foreign import needs
    from transpile.frontends.torch import quiet
    from transpile.frontends.torch_decompositions import decompositions
    from transpile.frontends.torch_recurrent import LAYERS
    needs("torch", "onnx", "onnxscript")
    with quiet():
        from onnxscript.function_libs.torch_lib import registration, ops  # noqa: F401, I001
    from transpile.frontends.onnx_coverage import coverage
    refused = {name for name, how, _ in coverage() if how == "no"}
    rows = {name.removesuffix(".default").replace("::", "."): _needed(forms, refused)
            for name, forms in registration.default_registry.items() if "::" in name}
    rows.update((str(op).removesuffix(".default"), "") for op in decompositions())
    return sorted([*((name, "operator", why) for name, why in rows.items()),
                   *((f"nn.{name}", "layer kept whole", "") for name in LAYERS)])


def _needed(forms: Any, refused: Set[str]) -> str:
    """What all forms of an operator need of ONNX that is refused; empty if one needs nothing."""
    sources = [inspect.getsource(getattr(f, "func", None) or f.function)
               for f in (*forms.overloads, *forms.complex)]
    found = [sorted(refused & set(re.findall(r"\bop\.([A-Z]\w*)\(", s))) for s in sources]
    return "" if not all(found) else f"it needs ONNX's {', '.join(found[0])}" if found else ""


def keras_rows() -> Rows:
    """The layers of the installed Keras, and why some are refused.

    The others are traced by PyTorch; whether each operation in them has a form is in `torch_rows`.
    """
    from transpile.frontends.foreign import needs
    from transpile.frontends.keras import use_torch
    use_torch()
    needs("keras")
    import keras
    refused = {"Lambda": "it holds Python code", "TorchModuleWrapper": "",
               "TFSMLayer": "it runs TensorFlow", "StringLookup": "strings are not supported",
               "TextVectorization": "strings are not supported",
               "JaxLayer": "it runs JAX", "FlaxLayer": "it runs JAX",
               "HashedCrossing": "strings are not supported", "Hashing": "it hashes strings"}
    layers = {name: value for name, value in vars(keras.layers).items()
              if isinstance(value, type) and issubclass(value, keras.layers.Layer)}
    return sorted((name, "layer", refused.get(name, "")) for name in layers if name != "Layer")


def sklearn_rows() -> Rows:
    """scikit-learn's estimators that skl2onnx converts to operators of ours."""
    from transpile.frontends.foreign import needs
    needs("skl2onnx")
    from skl2onnx import supported_converters
    from sklearn.utils import all_estimators
    known = {name for name, _ in all_estimators()} | {"ColumnTransformer", "FeatureUnion",
                                                      "Pipeline"}
    strings = ("Vectorizer", "Hasher")
    rows = []
    for name in known.intersection(supported_converters(from_sklearn=True)):
        why = "strings are not supported" if any(s in name for s in strings) else ""
        rows.append((name, "estimator", why))
    return sorted(rows)


TABLES: dict[str, Callable[[], Any]] = {
    "torch": torch_rows, "keras": keras_rows, "sklearn": sklearn_rows}
"""By front end."""
