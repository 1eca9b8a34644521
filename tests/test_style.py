"""The code keeps to its own measures: short lines, short functions, short files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sorted([*ROOT.glob("transpile/**/*.py"), *ROOT.glob("tools/*.py")])
SCRIPTS = sorted([*ROOT.glob("runtime_js/**/*.js"), *ROOT.glob("runtime_js/**/*.mjs")])
EXAMPLES = sorted(ROOT.glob("examples/**/*.py"))
TESTS = sorted(ROOT.glob("tests/**/*.py"))

COLUMNS, FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 100, 400, 50, 8


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function, docstring left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            has_docstring = ast.get_docstring(node, clean=False) is not None
            documented = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
            lines = (node.end_lineno or 0) - node.lineno + 1 - documented
            yield f"{name_of(path)}:{node.lineno} {node.name}", lines


def script_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function that starts and ends at one indentation."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for start, line in enumerate(lines):
        match = re.match(r"( *)(?:export )?(?:default )?(?:async )?function\*? (\w+)\(", line)
        if match:
            closing = (i for i in range(start, len(lines)) if lines[i].startswith(match[1] + "}"))
            yield f"{name_of(path)}:{start + 1} {match[2]}", next(closing, start) - start + 1


def all_functions() -> list[tuple[str, int]]:
    return [f for path in PYTHON for f in python_functions(path)] + [
        f for path in SCRIPTS for f in script_functions(path)]


@pytest.mark.parametrize("path", PYTHON + SCRIPTS + EXAMPLES + TESTS, ids=name_of)
def test_no_line_is_longer_than_100_columns(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [i for i, line in enumerate(lines, 1) if len(line) > COLUMNS] == []


@pytest.mark.parametrize("path", PYTHON + SCRIPTS, ids=name_of)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES


def test_no_function_is_longer_than_50_lines() -> None:
    assert [f for f in all_functions() if f[1] > FUNCTION_LINES] == []


def test_the_median_function_is_shorter_than_8_lines() -> None:
    assert median(lines for _, lines in all_functions()) < MEDIAN_LINES


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_every_script_says_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("//")
