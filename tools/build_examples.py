"""Builds the page of every example: `python tools/build_examples.py build`.

An example with a `page.html` of its own becomes a folder: the page, the scripts beside it, and the
model as a classic script, so that it works from the disk. The others get the generated page.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def names() -> list[str]:
    """Every folder with a model, sorted."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/model.py"))


def build(name: str, out: Path, *, verify: bool = True) -> Path:
    """Build one example below `out`; the path of its page."""
    import transpile
    from transpile.sources import resolve
    source = EXAMPLES / name
    model = resolve(str(source / "model.py"))
    if not (source / "page.html").exists():
        page = out / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        transpile.build(model, page, verify=verify)
        return page
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "page.html", folder / "index.html")
    for script in source.glob("*.js"):
        shutil.copy(script, folder)
    transpile.build(model, folder / "model.js", format="iife", verify=verify)
    return folder / "index.html"


def main() -> None:
    """Build all into the folder given, and print where the pages are."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    for name in names():
        print(build(name, out).resolve().as_uri())


if __name__ == "__main__":
    main()
