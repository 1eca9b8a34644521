"""Names from a model made safe: as JS identifiers, in strings, comments and HTML."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable

_RESERVED_WORDS = """
abstract arguments async await boolean break byte case catch char class const continue debugger
default delete do double else enum eval export extends false final finally float for function goto
if implements import in instanceof int interface let long native new null of package private
protected public return short static super switch synchronized this throw throws transient true try
typeof undefined var void volatile while with yield get set constructor prototype NaN Infinity
Array ArrayBuffer Boolean Buffer Error Float32Array Int32Array JSON Map Math Number Object Promise
RegExp String Symbol TypeError Uint8Array atob document exports global globalThis module name
process require self window
"""

RESERVED = frozenset(_RESERVED_WORDS.split())
"""Keywords of any ECMAScript version, and globals that an emitted module may use."""

_WINDOW_WORDS = """
alert applicationCache blur caches close closed confirm console cookieStore crypto customElements
event external fetch find focus frameElement frames history indexedDB innerHeight innerWidth length
localStorage location locationbar menubar moveBy moveTo navigation navigator open opener origin
outerHeight outerWidth parent performance personalbar postMessage print prompt resizeBy resizeTo
screen screenLeft screenTop screenX screenY scroll scrollBy scrollTo scrollX scrollY scrollbars
sessionStorage speechSynthesis status statusbar stop styleMedia toolbar top trustedTypes
"""

WINDOW = frozenset(_WINDOW_WORDS.split())
"""Properties of a browser's window, which a global variable must not replace."""

_LINE_ENDS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")

_ENDS = re.compile(r"\*(?=/)|/(?=\*)|<(?=/|!|script)", re.IGNORECASE)
"""What would end a comment or a script, once the next character follows."""


def identifier(name: str) -> str:
    """`name` as an ASCII identifier: letters keep their place, everything else becomes `_`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_$]+", "_", plain).strip("_")[:60]
    return f"_{words}" if words[:1].isdigit() else words or "value"


class Namespace:
    """Hands out unique identifiers, readable where the name allows it.

    Args:
        taken: identifiers that no name may get, besides `RESERVED`.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(RESERVED) | set(taken)
        self._given: dict[object, str] = {}

    def get(self, name: str, key: object = None) -> str:
        """The identifier of `name`: the same for the same `key` (default: the name)."""
        key = name if key is None else key
        if key not in self._given:
            self._given[key] = self.fresh(name)
        return self._given[key]

    def fresh(self, name: str) -> str:
        """A new identifier that looks like `name`."""
        base = result = identifier(name)
        number = 2
        while result in self._taken:
            result, number = f"{base}{'_' if base[-1].isdigit() else ''}{number}", number + 1
        self._taken.add(result)
        return result


def js_string(text: str) -> str:
    """A string literal in pure ASCII that is also safe inside `<script>`."""
    literal = json.dumps(text).replace("<", "\\u003c")
    if "'" in literal or '\\"' in literal:
        return literal
    return f"'{literal[1:-1]}'"


def js_key(name: str) -> str:
    """A property name in an object literal; `__proto__` becomes an own property, too."""
    if name == "__proto__":
        return "['__proto__']"
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) else js_string(name)


def js_member(name: str) -> str:
    """The access to a property, from the dot or bracket on."""
    plain = re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII)
    return f".{name}" if plain else f"[{js_string(name)}]"


def comment_text(text: str) -> str:
    """Text for one line of a comment: ASCII, and nothing in it ends the comment or a script."""
    line = _LINE_ENDS.sub(" ", text).encode("ascii", "replace").decode()
    return _ENDS.sub(r"\g<0> ", line).strip()


def html_text(text: str) -> str:
    """Text for HTML content and quoted attributes."""
    import html
    return html.escape(text, quote=True)
