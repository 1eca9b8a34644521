"""The PyTorch front end: modules and exported programs, through torch.export and ONNX.

torch.export traces the module in evaluation mode with named sizes kept, torch.onnx writes what it
found, and the ONNX importer does the rest. PyTorch is imported only when one of these is used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from transpile.errors import DependencyError, SourceError, TraceError, UnsupportedError
from transpile.frontends.foreign import needs
from transpile.frontends.torch_dims import (
    TRIES_WITH_BOUNDS,
    Bounds,
    beyond,
    dynamic_shapes,
    example_sizes,
    suggested_bounds,
)
from transpile.frontends.torch_errors import cannot_export, first_line, refuse_quantised
from transpile.ir.dims import evaluate
from transpile.ir.graph import Graph
from transpile.ir.types import TensorType
from transpile.model import Model, as_spec

OPSET = 23
"""The opset that torch.onnx writes: the first with attention as one operator."""


class TorchModel(Model):
    """An nn.Module or an ExportedProgram; calling it runs PyTorch on NumPy arrays.

    Args:
        source: the module or program.
        specs: a type or example for each parameter of `forward`; a program knows its own.
    """

    def __init__(self, source: Any, specs: Mapping[str, Any] | None = None, *,
                 outputs: Sequence[str] | None = None, labels: Any = None) -> None:
        self.program = None if hasattr(source, "forward") else source
        module = source if self.program is None else source.module()
        super().__init__(ready(module) if self.program is None else module, specs or {},
                         outputs=outputs, labels=labels)
        self.name = type(source).__name__ if self.program is None else "model"

    def __call__(self, *arrays: Any, **named: Any) -> dict[str, np.ndarray]:
        """The outputs by name."""
        import torch
        from torch.utils import _pytree as pytree
        with torch.no_grad(), evaluating(self.fn):
            result = self.fn(*map(as_torch, arrays), **{n: as_torch(a) for n, a in named.items()})
        leaves = [t.detach().cpu().numpy() for t in pytree.tree_leaves(result)
                  if isinstance(t, torch.Tensor)]
        return dict(zip(self.outputs or output_names(self.fn, result), leaves, strict=True))

    def trace(self, inputs: Mapping[str, Any] | None = None) -> Graph:
        """The graph.

        Raises:
            TraceError: an input has no type, or torch.export cannot trace the module.
        """
        self.specs.update({n: as_spec(v) for n, v in (inputs or {}).items()})
        types = {n: s.type for n, s in self.specs.items()}
        if self.program is not None:
            return self._import(self.program, types)
        types = ordered_types(self.fn, types)
        self.specs = {n: self.specs[n] for n in types}
        return self._import(exported(self.fn, types), types)

    def _import(self, program: Any, types: Mapping[str, TensorType]) -> Graph:
        from transpile.frontends.onnx import import_model
        proto = onnx_message(program)
        graph = import_model(proto, types, name=self.name, origin=self.name)
        names = self.outputs or program_outputs(program, self.fn)
        if len(names) == len(graph.outputs):
            graph = replace(graph, outputs=tuple(zip(names, (n for _, n in graph.outputs),
                                                     strict=True)))
        return graph


def load(path: str | os.PathLike[str]) -> TorchModel:
    """Read an exported program (`.pt2`).

    Raises:
        SourceError: it cannot be read, or it holds weights without the module.
        DependencyError: PyTorch is missing.
    """
    needs("torch")
    place = Path(path)
    if place.suffix.lower() != ".pt2":
        raise SourceError(
            f"{place} holds weights, not the module that they are of",
            fix="write a file model.py with net = Net() and net.load_state_dict(torch.load("
                f'"{place.name}", weights_only=True)), and give model.py:net')
    if not place.is_file():
        raise SourceError(f"there is no file {place}")
    import torch
    try:
        with quiet():
            program = torch.export.load(str(place))
    except Exception as error:  # the archive's reader raises whatever it meets
        raise SourceError(f"{place} is no exported program", why=first_line(error),
                          fix="write it with torch.export.save(torch.export.export(...), path)"
                          ) from None
    model = TorchModel(program)
    model.name = place.stem
    return model


def ready(module: Any) -> Any:
    """The module itself, or a float32 copy of one in another precision."""
    import copy

    import torch
    refuse_quantised(module)
    floats = {p.dtype for p in module.parameters() if p.is_floating_point()}
    if floats <= {torch.float32}:
        return module
    return copy.deepcopy(module).float()


@contextlib.contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """The module in evaluation mode, put back afterwards."""
    training = [m for m in module.modules() if m.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """PyTorch's warnings and log lines are kept away."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def as_torch(value: Any) -> Any:
    """An array as a tensor; int32 becomes int64, which indices and most operators want."""
    import torch
    array = np.array(value)
    kind = {"i": np.int64, "f": np.float32}.get(array.dtype.kind)
    return torch.from_numpy(array if kind is None else array.astype(kind))


def ordered_types(module: Any, types: Mapping[str, TensorType]) -> dict[str, TensorType]:
    """The inputs in the order of `forward`; TraceError for unknown and missing ones."""
    from transpile.frontends.numpy import bind
    known = dict(types)
    example = getattr(module, "example_input_array", None)
    if not known and example is not None:
        import inspect
        first = next(iter(inspect.signature(module.forward).parameters))
        known[first] = as_spec(example.detach().cpu().numpy()).type
    return {n: known[n] for n in bind(module.forward, known, type(module).__name__)}


def exported(module: Any, types: Mapping[str, TensorType], positional: bool = False) -> Any:
    """The ExportedProgram of a module for inputs of these types.

    Args:
        positional: `forward(*tensors)` takes them in order, not by name.

    Raises:
        TraceError: torch.export cannot trace it, or a named size must be a number.
    """
    problem: Exception | None = None
    for sizes in example_sizes(types):
        try:
            return _export(module, types, sizes, positional)
        except (TraceError, KeyboardInterrupt):
            raise
        except Exception as error:  # whatever the user's forward raises
            first, problem = problem is None, problem or error
            found = _export_from_bounds(module, types, positional, error) if (
                first and types) else None
        if found is not None:
            return found
    raise cannot_export(module, problem) from problem


def _export(module: Any, types: Mapping[str, TensorType], sizes: Mapping[str, int],
            positional: bool, bounds: Bounds | None = None) -> Any:
    """One try, with examples of these sizes.

    Args:
        bounds: of named sizes; with these, no size is looked at to see if it is 1.
    """
    import torch

    from transpile.frontends.torch_assignment import indexed_by_tensor
    from transpile.frontends.torch_recurrent import kept_whole
    arrays = {n: example(t, sizes) for n, t in types.items()}
    fast = torch.backends.mha.get_fastpath_enabled()
    settings = torch.fx.experimental._config  # what mark_unbacked asks for, for all sizes
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with quiet(), kept_whole(), indexed_by_tensor(), evaluating(module), torch.no_grad(), (
                contextlib.nullcontext() if bounds is None
                else settings.patch(backed_size_oblivious=True)):
            shapes = dynamic_shapes(types, bounds or {})
            if positional:
                packed = (tuple(shapes.values()),) if shapes else None
                return torch.export.export(module, tuple(arrays.values()), strict=False,
                                           dynamic_shapes=packed)
            return torch.export.export(module, (), arrays, strict=False, dynamic_shapes=shapes)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _export_from_bounds(module: Any, types: Mapping[str, TensorType], positional: bool,
                        problem: Exception) -> Any:
    """With the bounds that the module's windows and tables need; None if that does not help.

    Args:
        problem: of an export without bounds.
    """
    for sizes in example_sizes(types, TRIES_WITH_BOUNDS):
        given = _needed_bounds(module, types, sizes, positional, problem, {})
        for start in [given, {}] if given else [{}]:
            bounds = dict(start)
            for _ in range(4):
                try:
                    return _export(module, types, sizes, positional, bounds)
                except Exception as error:  # whatever the user's forward raises
                    more = _needed_bounds(module, types, sizes, positional, error, bounds)
                if not more:
                    break
                bounds.update(more)
    return None


def _needed_bounds(module: Any, types: Mapping[str, TensorType], sizes: Mapping[str, int],
                   positional: bool, problem: Exception, known: Bounds
                   ) -> dict[str, tuple[int, int]]:
    """Those that torch.export suggests, where the module itself fails beyond them.

    Where it does not, it takes another branch there, and none is returned.
    """
    more = suggested_bounds(problem, known)
    takes_other_branch = any(_runs(module, types, {**sizes, n: size}, positional)
                             for n, size in beyond(more, known))
    return {} if takes_other_branch else more


def _runs(module: Any, types: Mapping[str, TensorType], sizes: Mapping[str, int],
          positional: bool) -> bool:
    import torch
    arrays = {n: example(t, sizes) for n, t in types.items()}
    try:
        with quiet(), evaluating(module), torch.no_grad():
            module(*arrays.values()) if positional else module(**arrays)
    except Exception:  # whatever the user's forward raises
        return False
    return True


def example(type_: TensorType, sizes: Mapping[str, int]) -> Any:
    shape = tuple(evaluate(d, sizes) for d in type_.shape)
    rng = np.random.default_rng(0)
    if type_.dtype == "float32":
        return as_torch(rng.random(shape, np.float32))
    return as_torch(np.zeros(shape, type_.dtype))


def onnx_message(program: Any, more: Mapping[Any, Callable[..., Any]] = MappingProxyType({})
                 ) -> Any:
    """What torch.onnx writes for an exported program, layer paths as the names of nodes.

    Args:
        more: how it writes further operators.

    Raises:
        UnsupportedError: PyTorch has no ONNX form of an operator.
        DependencyError: onnx or onnxscript is missing.
    """
    needs("onnx", "onnxscript")
    import onnxscript
    import torch

    from transpile.frontends.torch_decompositions import decomposed
    from transpile.frontends.torch_names import name_inputs, name_layers, name_sizes
    from transpile.frontends.torch_recurrent import translations
    from transpile.frontends.torch_tidy import tidy
    refuse_divisor(program)
    try:
        # Attention on parameters takes another path where gradients count, with other strides.
        with quiet(), contextlib.redirect_stdout(None), torch.no_grad():
            written = torch.onnx.export(
                decomposed(program), dynamo=True, opset_version=OPSET, verbose=False,
                external_data=False, optimize=False, custom_translation_table={
                    **translations(getattr(onnxscript, f"opset{OPSET}")), **more})
            tidy(written.model)
            proto = written.model_proto
    except ImportError as error:
        raise DependencyError("a package that torch.onnx uses is missing", why=str(error),
                              fix="pip install onnx onnxscript") from None
    except Exception as error:  # every kind of failure inside of the exporter
        cause = error.__cause__ or error
        raise UnsupportedError("torch.onnx cannot write this module",
                               why=first_line(cause)) from error
    name_layers(proto)
    name_sizes(proto)
    name_inputs(proto)
    return proto


def refuse_divisor(program: Any) -> None:
    """UnsupportedError for an argument that torch.onnx drops without a word."""
    for node in program.graph.nodes:
        if str(node.target).startswith("aten.avg_pool") and (
                node.kwargs.get("divisor_override") or (len(node.args) > 6 and node.args[6])):
            raise UnsupportedError("a pool with divisor_override is not supported",
                                   why="torch.onnx drops it",
                                   fix="multiply the result of a pool without it")


def output_names(module: Any, result: Any) -> list[str]:
    """Names for what `forward` returns: keys, fields, or the variables of its `return`."""
    from torch.utils import _pytree as pytree

    from transpile.frontends.numpy import unique
    if isinstance(result, Mapping):
        named = [(str(k), v) for k, v in result.items()]
    elif isinstance(result, (tuple, list)):
        fields = getattr(result, "_fields", None) or returned_names(module, len(result))
        named = list(zip(fields, result, strict=True))
    else:
        named = [(returned_names(module, 1)[0], result)]
    return unique(n for n, v in named for _ in pytree.tree_leaves(v))


def returned_names(module: Any, count: int) -> list[str]:
    """The variables in the `return` statement of `forward`, else output, or output0, ..."""
    from transpile.frontends.numpy import entry, sequence_names, single_name
    from transpile.frontends.source import returned
    code = entry(module.forward)[1]
    own = code is not None and f"{os.sep}torch{os.sep}" not in code.co_filename
    expressions = returned(code) if own and code is not None else []
    if count == 1:
        return [single_name(expressions) or "output"]
    return sequence_names(expressions, count)


def program_outputs(program: Any, module: Any) -> list[str]:
    """The same for an exported program, whose structure of results it knows."""
    spec = program.call_spec.out_spec
    return output_names(module, spec.unflatten([0] * spec.num_leaves))
