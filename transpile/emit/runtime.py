"""The runtime's JS files, and which of their functions a module needs.

Every file of `runtime_js/` is an ES module of top-level `export function` and `export const`
declarations, each with its comment. A module inlines only those that it reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from transpile.errors import InternalError

_START = re.compile(r"(?P<comment>(?:^//[^\n]*\n)*)^export (?:async )?(?:function|const) "
                    r"(?P<name>\w+)", re.MULTILINE)
_WORD = re.compile(r"(?<![\w.$'])[A-Za-z_][\w$]*")


@dataclass(frozen=True)
class Declaration:
    """One top-level declaration: its source with its comment, without `export`."""

    name: str
    source: str

    @property
    def words(self) -> set[str]:
        """Every identifier in the code, properties left out."""
        return set(words(self.source)) - {self.name}


def words(source: str) -> Iterable[str]:
    """Identifiers in `source` outside line comments and after no dot."""
    return _WORD.findall(re.sub(r"^\s*//.*$|\s//.*$", "", source, flags=re.MULTILINE))


def runtime_folder() -> Path:
    """`runtime_js`: beside the package in a checkout, inside it once installed."""
    package = Path(__file__).resolve().parent.parent
    return next(f for f in (package / "runtime_js", package.parent / "runtime_js") if f.is_dir())


@lru_cache(maxsize=1)
def declarations() -> dict[str, Declaration]:
    """All of the runtime by name, in the order of files and lines."""
    found: dict[str, Declaration] = {}
    for path in sorted(runtime_folder().glob("*.js")):
        text = path.read_text(encoding="ascii")
        starts = list(_START.finditer(text))
        for match, following in zip(starts, [*starts[1:], None], strict=True):
            body = text[match.start():following.start() if following else len(text)]
            if match["name"] in found:
                raise InternalError(f"two runtime functions are named {match['name']}")
            source = body.strip().replace("export ", "", 1)
            found[match["name"]] = Declaration(match["name"], source)
    return found


def inline(needed: Iterable[str]) -> str:
    """The declarations that `needed` reaches, in a fixed order; other words are ignored."""
    table = declarations()
    reached: set[str] = set()
    pending = [n for n in needed if n in table]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += [w for w in table[name].words if w in table]
    kept = [d.source for d in table.values() if d.name in reached]
    return "\n\n".join(kept) + "\n" if kept else ""
