"""A build script in Python: a module is compiled again only if what it follows from has changed.

    python build.py [OUT]

`transpile.build(..., cache=True)` compares the content hash in the module that is there with that
of the model, its weights and the options, and gives None where they agree. The depfile is for what
runs this script: ninja, make, or a watcher.
"""

from __future__ import annotations

import sys
from pathlib import Path

import transpile
from transpile.sources import resolve

HERE = Path(__file__).resolve().parent
MODELS = {"line": HERE.parent / "linear" / "model.py", "digit": HERE.parent / "digits" / "model.py"}


def main() -> int:
    """Build all; 1 if a model cannot be compiled or fails its verification."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    out.mkdir(parents=True, exist_ok=True)
    for name, source in MODELS.items():
        path = out / f"{name}.mjs"
        try:
            module = transpile.build(
                resolve(f"{source}:{name}"), path, cache=True,
                depfile=path.with_suffix(".mjs.d"),
                depends=[source, source.with_name("weights.npz")],
            )
        except transpile.TranspileError as error:
            print(f"{source}: {error}", file=sys.stderr)
            return 1
        size = f"{module.report.total_bytes} bytes" if module else "up to date"
        print(f"{path}: {size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
