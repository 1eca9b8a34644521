"""Names from a model never break out of the code, the comments, or the page."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import esprima
import pytest
from emit_programs import copies, emit, run_node
from hypothesis import given
from hypothesis import strategies as st

from transpile.emit.check import check_module
from transpile.emit.names import RESERVED, Namespace, comment_text, identifier, js_key, js_string
from transpile.emit.options import PageOptions
from transpile.errors import InternalError
from transpile.program import Program

HOSTILE = ["*/ alert(1) //", "</script><script>alert(1)</script>", "__proto__", "constructor",
           "it's \"quoted\" `${alert(1)}`", "a\nalert(1)\n//", "a\u2028alert(1)", "<!--", "class",
           "größe", "文字", "", " ", "\\", "\\'", "0", "data", "heap", "inputs", "load", "\x00"]


def hostile(name: str) -> Program:
    """A program in which everything that has a name has this one."""
    base = copies(("float32",), {"float32": name})
    kernels = tuple(replace(k, name=name, formula=f"copy {name}", where=name)
                    for k in base.kernels)
    calls = tuple(replace(c, kernel=name, label=name, formula=name) for c in base.calls)
    return replace(base, name=name, origin=name, kernels=kernels, tasks=calls)


@pytest.mark.parametrize("minify", [False, True])
def test_hostile_names_run(node: str, tmp_path: Path, minify: bool) -> None:
    for i, name in enumerate(HOSTILE):
        module = emit(hostile(name), licence=name, source=name, content_hash=name, debug=True,
                      minify=minify)
        check_module(module.code_without_weights)
        assert module.code.isascii()
        assert module.dts
        (tmp_path / f"hostile{i}.mjs").write_text(module.code, encoding="ascii")
    results = run_node(node, tmp_path, emit(copies()), f"""
      const x = [[1, 2, 3], [4, 5, 6]];
      const results = [];
      for (const name of {json.dumps(HOSTILE)}) {{
        const model = await (await import(`./hostile${{results.length}}.mjs`)).load();
        const given = Object.create(null);
        given[name] = x;
        const [named, bare] = [model.runSync(given), model.runSync(x)];
        results.push([Object.keys(named), Object.values(named)[0].data,
          Object.values(bare)[0].shape, Object.getPrototypeOf(named) === Object.prototype,
          model.inputs[0].name, model.debug(x)[0].label, typeof alert]);
      }}
      show(results);""")
    assert results == [[[f"{name}_out"], [1, 2, 3, 4, 5, 6], [2, 3], True, name, name,
                        "undefined"] for name in HOSTILE]


def test_an_output_named_proto_is_an_own_property(node: str, tmp_path: Path) -> None:
    base = copies(("float32",))
    program = replace(base, outputs=(replace(base.outputs[0], name="__proto__"),))
    result = run_node(node, tmp_path, emit(program), """
      const out = await api.predict([[1, 2, 3], [4, 5, 6]]);
      show([Object.keys(out), Object.getPrototypeOf(out) === Object.prototype]);""")
    assert result == [["__proto__"], True]


def test_hostile_names_in_a_page(node: str, tmp_path: Path) -> None:
    scripts = []
    for name in HOSTILE:
        page = PageOptions(title=name, text=name, labels={f"{name}_out": [name] * 6})
        html = emit(hostile(name), format="html", page=page).code
        assert html.isascii()
        assert len(re.findall(r"<script", html)) == len(re.findall(r"</script", html)) == 2
        scripts += re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    (tmp_path / "main.cjs").write_text(
        f"for (const text of {json.dumps(scripts)}) new (require('vm').Script)(text);")
    subprocess.run([node, "main.cjs"], cwd=tmp_path, check=True)


@given(st.text(max_size=20))
def test_any_text_is_a_string_a_key_and_a_comment(text: str) -> None:
    literal = esprima.parseScript(f"({js_string(text)})").body[0].expression.value
    assert literal.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")
    assert js_string(text).isascii()
    assert "<" not in js_string(text)
    esprima.parseScript(f"({{ {js_key(text)}: 1 }})")
    comment = comment_text(text)
    assert comment.isascii()
    assert comment.isprintable()
    assert not re.search(r"\*/|</|<!--", comment)


@given(st.lists(st.text(max_size=8), max_size=12))
def test_identifiers_are_legal_and_unique(names: list[str]) -> None:
    namespace = Namespace(["taken"])
    given_names = [namespace.get(n) for n in [*names, "taken", "class"]]
    assert len(set(given_names)) == len({*names, "taken", "class"})
    assert all(re.fullmatch(r"[A-Za-z_$][\w$]*", n, re.ASCII) for n in given_names)
    assert not set(given_names) & (RESERVED | {"taken"})


@pytest.mark.parametrize(("name", "expected"), [
    ("fc1.weight", "fc1_weight"), ("hidden", "hidden"), ("layers/0/conv", "layers_0_conv"),
    ("2d", "_2d"), ("größe", "groe"), ("文字", "value"), ("a" * 100, "a" * 60)])
def test_identifiers_are_readable(name: str, expected: str) -> None:
    assert identifier(name) == expected


@pytest.mark.parametrize(("code", "what"), [
    ("eval('1')", "eval"), ("new Function('a')", "Function"), ("fetch('x')", "fetch"),
    ("import('x')", r"import\(\)"), ("import a from 'x'", "an import"),
    ("[].constructor.constructor('x')()", "a constructor"), ("new XMLHttpRequest()", "XMLHttp"),
    ("function f() { g(); }", "g"), ("`${foo}`", "foo"), ("({ a: b })", "b"),
    ("var { c = d } = {}", "d"), ("(x) => globalThis", "globalThis"), ("self['eval']", "self"),
    ("export { zz };", "zz"), ("let f = { e() { return h; } }", "h"), ("a => { { let b } b }", "b"),
    ("setTimeout('x')", "setTimeout"), ("a ?? b", "does not parse"), ("x = 1", "x"),
])
def test_the_check_refuses(code: str, what: str) -> None:
    with pytest.raises(InternalError, match=what):
        check_module(code)


@pytest.mark.parametrize("code", [
    "const { a, b: [c], ...d } = {}; a + c;", "function f(x, { y = x }) { return arguments; }",
    "try { f(); } catch (error) { error; } function f() {}", "for (const v of []) v.eval;",
    "const g = async (z) => await z;", "({ fetch: 1 }).fetch;", "class_: for (;;) break class_;",
])
def test_the_check_accepts(code: str) -> None:
    check_module(code)
