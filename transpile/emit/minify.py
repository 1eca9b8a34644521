"""Comments and white space out of a module, by the package rjsmin."""

from __future__ import annotations

import re

from transpile.errors import DependencyError

_HEADER = re.compile(r"\A(?:'use strict';\n)?(?://[^\n]*\n)+")


def minify(code: str) -> str:
    """`code` without comments and needless white space; names stay.

    Raises:
        DependencyError: rjsmin is missing.
    """
    try:
        from rjsmin import jsmin
    except ImportError:
        raise DependencyError("--minify needs the package rjsmin",
                              fix="pip install rjsmin") from None
    result: str = jsmin(code)
    return result.strip() + "\n"
