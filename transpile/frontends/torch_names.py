"""Names in what torch.onnx writes: of layers, sizes, and inputs that are outputs, too."""

from __future__ import annotations

from typing import Any


def name_layers(proto: Any) -> None:
    """Nodes take the path of their layer as their name: `/layer1/conv/Conv`."""
    from ast import literal_eval
    for node in proto.graph.node:
        scopes = next((p.value for p in node.metadata_props
                       if p.key == "pkg.torch.onnx.name_scopes"), "[]")
        paths = [s for s in literal_eval(scopes)[:-1] if s]
        node.name = f"/{paths[-1].replace('.', '/')}/{node.op_type}" if paths else ""


def name_sizes(proto: Any) -> None:
    """Sizes that torch.export invented a name for get one from where they stand."""
    new: dict[str, str] = {}
    for info in proto.graph.input:
        for axis, size in enumerate(info.type.tensor_type.shape.dim):
            if size.dim_param:
                default = "batch" if axis == 0 else f"{info.name}_{axis}"
                size.dim_param = new.setdefault(size.dim_param, default)


def name_inputs(proto: Any) -> None:
    """Inputs that are outputs, too, keep their name, which torch.onnx gives to the output."""
    suffix, outputs = "_orig", {o.name for o in proto.graph.output}
    new = {}
    for info in proto.graph.input:
        name = info.name.removesuffix(suffix)
        if name != info.name and name in outputs:
            new.update({info.name: name, name: f"{name}_result"})
    for value in (*proto.graph.input, *proto.graph.output):
        value.name = new.get(value.name, value.name)
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = [new.get(n, n) for n in names]
