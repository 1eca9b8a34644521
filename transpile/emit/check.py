"""Parses an emitted module and holds its free names against what a module may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from transpile.errors import InternalError

_GLOBAL_WORDS = """
Array ArrayBuffer Buffer Error Float32Array Infinity Int32Array JSON Math NaN Number Object Promise
String TypeError Uint8Array atob undefined
"""

GLOBALS = frozenset(_GLOBAL_WORDS.split())
"""What a module may use: nothing that evaluates strings, loads code, or reaches the network."""

FORMAT_GLOBALS = frozenset({"module"})
"""What a cjs module uses besides."""

_SKIP = {"type", "loc", "range", "raw", "errors", "comments", "tokens"}


@dataclass
class _Scope:
    """Names declared in a function or block, and those used there."""

    parent: _Scope | None = None
    declared: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)


class _Walker:
    """Collects declarations and uses, scope by scope. `var` counts for its block only: the
    emitted code never relies on hoisting, so that is stricter than the language."""

    def __init__(self) -> None:
        self.scopes: list[_Scope] = []
        self.refused: list[str] = []

    def walk(self, node: Any, scope: _Scope) -> None:
        if isinstance(node, list):
            for item in node:
                self.walk(item, scope)
        elif hasattr(node, "type") and node.type:
            if node.type in _REFUSED:
                self.refused.append(_REFUSED[node.type])
            elif node.type not in _LABELS:
                _HANDLERS.get(node.type, _Walker.children)(self, node, scope)

    def children(self, node: Any, scope: _Scope) -> None:
        for key, value in vars(node).items():
            if key not in _SKIP:
                self.walk(value, scope)

    def inner(self, scope: _Scope | None) -> _Scope:
        fresh = _Scope(scope)
        self.scopes.append(fresh)
        return fresh

    def function(self, node: Any, scope: _Scope) -> None:
        inner = self.inner(scope)
        if node.id and node.type == "FunctionDeclaration":
            scope.declared.add(node.id.name)
        elif node.id:
            inner.declared.add(node.id.name)
        for parameter in node.params:
            self.pattern(parameter, inner)
        if node.type != "ArrowFunctionExpression":
            inner.declared.add("arguments")
        self.walk(node.body, inner)

    def block(self, node: Any, scope: _Scope) -> None:
        self.children(node, self.inner(scope))

    def catch(self, node: Any, scope: _Scope) -> None:
        inner = self.inner(scope)
        self.pattern(node.param, inner)
        self.walk(node.body, inner)

    def declarator(self, node: Any, scope: _Scope) -> None:
        self.pattern(node.id, scope)
        self.walk(node.init, scope)

    def pattern(self, node: Any, scope: _Scope) -> None:
        """Names that a binding pattern declares; defaults in it are uses."""
        kind = node.type if node else None
        if kind == "Identifier":
            scope.declared.add(node.name)
        elif kind == "AssignmentPattern":
            self.pattern(node.left, scope)
            self.walk(node.right, scope)
        elif kind == "RestElement":
            self.pattern(node.argument, scope)
        elif kind == "Property":
            self.pattern(node.value, scope)
        for part in getattr(node, "elements", None) or getattr(node, "properties", None) or []:
            self.pattern(part, scope)

    def identifier(self, node: Any, scope: _Scope) -> None:
        scope.used.add(node.name)

    def prop(self, node: Any, scope: _Scope) -> None:
        if node.computed:
            self.walk(node.key, scope)
        self.walk(node.value, scope)

    def member(self, node: Any, scope: _Scope) -> None:
        self.walk(node.object, scope)
        if node.computed:
            self.walk(node.property, scope)
        elif node.property.name == "constructor":
            self.refused.append("a constructor reached through a value")

    def labelled(self, node: Any, scope: _Scope) -> None:
        self.walk(node.body, scope)

    def export(self, node: Any, scope: _Scope) -> None:
        self.walk(node.local, scope)

    def free(self) -> Iterator[str]:
        """Names that no scope around their use declares."""
        for scope in self.scopes:
            for name in scope.used:
                at: _Scope | None = scope
                while at and name not in at.declared:
                    at = at.parent
                if at is None:
                    yield name


_FUNCTIONS = ("FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression",
              "AsyncFunctionDeclaration", "AsyncFunctionExpression",
              "AsyncArrowFunctionExpression")

_BLOCKS = ("BlockStatement", "ForStatement", "ForOfStatement", "ForInStatement")

_LABELS = ("BreakStatement", "ContinueStatement")
"""What they name is no variable."""

_REFUSED = {"ImportDeclaration": "an import", "Import": "import()"}

_HANDLERS: dict[str, Callable[[_Walker, Any, _Scope], None]] = {
    **dict.fromkeys(_FUNCTIONS, _Walker.function), **dict.fromkeys(_BLOCKS, _Walker.block),
    "CatchClause": _Walker.catch, "VariableDeclarator": _Walker.declarator,
    "Identifier": _Walker.identifier, "Property": _Walker.prop,
    "MemberExpression": _Walker.member, "LabeledStatement": _Walker.labelled,
    "ExportSpecifier": _Walker.export,
}


def parse(code: str) -> Any:
    """The syntax tree of a module or script; InternalError if it is not ES2017."""
    import esprima
    try:
        try:
            return esprima.parseModule(code)
        except esprima.Error:
            return esprima.parseScript(code)
    except esprima.Error as error:
        raise InternalError("the emitted module does not parse", why=str(error)) from error


def free_names(code: str) -> set[str]:
    """The globals that `code` uses, and refused constructs in words."""
    walker = _Walker()
    walker.walk(parse(code), walker.inner(None))
    return {*walker.free(), *walker.refused}


def check_module(code: str, extra: Set[str] = frozenset()) -> None:
    """Hold `code` (weights left out) against `GLOBALS` and `extra`.

    Raises:
        InternalError: it is not ES2017, or uses something that a module must not.
    """
    wrong = sorted(free_names(code) - GLOBALS - FORMAT_GLOBALS - set(extra))
    if wrong:
        raise InternalError(f"the emitted module uses {', '.join(wrong)}",
                            why="a module may only use " + " ".join(sorted(GLOBALS)))
