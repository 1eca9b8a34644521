"""What of the ONNX standard can be imported, from the tables themselves."""

from __future__ import annotations

from transpile.frontends.onnx_ops import BUILDERS, REFUSED, find, load_all
from transpile.frontends.onnx_protos import has_function_body, onnx_package

MICROSOFT = "com.microsoft"
"""The domain of what onnxruntime adds to the standard."""


def coverage() -> list[tuple[str, str, str]]:
    """Every operator of the newest opsets: its name, how it is imported, and why it is not.

    Returns:
        rows of name, "built" (a builder of `onnx_ops`), "composed" (by the standard's own
        definition) or "no", and a reason for "no".
    """
    defs = onnx_package().defs
    load_all()
    newest = {(s.domain, s.name): s for s in sorted(defs.get_all_schemas_with_history(),
                                                    key=lambda s: s.since_version)}
    rows = []
    for (domain, name), schema in sorted(newest.items()):
        if schema.deprecated and (domain, name) not in BUILDERS:
            continue
        shown = f"{domain}.{name}" if domain else name
        rows.append((shown, *_state(domain, name, schema.since_version)))
    others = sorted(name for domain, name in BUILDERS if domain == MICROSOFT)
    return rows + [(f"{MICROSOFT}.{name}", "built", "") for name in others]


def _state(domain: str, name: str, version: int) -> tuple[str, str]:
    if find(domain, name, version):
        return "built", ""
    if (domain, name) not in REFUSED and has_function_body(domain, name, version):
        return "composed", ""
    return "no", REFUSED.get((domain, name), "")
