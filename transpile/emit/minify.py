"""Comments and white space out of a module, by the package rjsmin."""

from __future__ import annotations

import re

from transpile.errors import DependencyError

_KEPT = re.compile(r"^// (?:.*: made by transpile|(?:content|weights) ).*\n", re.MULTILINE)
"""What tells a file apart: its maker, its content hash, and how weights are stored."""


def minify(code: str) -> str:
    """`code` without comments and needless white space, some lines of the header excepted.

    Names stay as they are.

    Raises:
        DependencyError: rjsmin is missing.
    """
    try:
        from rjsmin import jsmin
    except ImportError:
        raise DependencyError("--minify needs the package rjsmin",
                              fix="pip install rjsmin") from None
    header = code[:code.index("\n\n") + 1]
    body: str = jsmin(code)
    return "".join(_KEPT.findall(header)) + body.strip() + "\n"
