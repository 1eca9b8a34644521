"""What fusion puts into one kernel: graphs as text, and the groups that come of them."""

from __future__ import annotations

import pytest

from transpile.fuse import fuse
from transpile.ir.text import parse_graph

X = "%x = input : float32[4, 6]"
W = "%w = input : float32[6, 8]"
CASES = {
    "an elementwise chain is one kernel": (f"""
        {X}
        %a = exp(%x) : float32[4, 6]
        %b = neg(%a) : float32[4, 6]
        %c = mul(%b, %x) : float32[4, 6]
        return y=%c""", [("map", "a b c")]),
    "an output is stored, and what follows starts again": (f"""
        {X}
        %a = exp(%x) : float32[4, 6]
        %b = neg(%a) : float32[4, 6]
        return y=%a, z=%b""", [("map", "a"), ("map", "b")]),
    "a dear value with two readers in different kernels is computed once": (f"""
        {X}
        {W}
        %a = exp(%x) : float32[4, 6]
        %b = contract(%a, %w) {{equation='mk,kn->mn'}} : float32[4, 8]
        %c = sum(%a) {{axes=(0,), keepdims=False}} : float32[6]
        return y=%b, z=%c""", [("map", "a"), ("reduce", "b"), ("reduce", "c")]),
    "bias and activation go into the product's kernel": (f"""
        {X}
        {W}
        %v = input : float32[8]
        %a = contract(%x, %w) {{equation='mk,kn->mn'}} : float32[4, 8]
        %b = add(%a, %v) : float32[4, 8]
        %c = tanh(%b) : float32[4, 8]
        return y=%c""", [("reduce", "a b c")]),
    "a residual is added in the second product's kernel": (f"""
        {X}
        %u = input : float32[6, 6]
        %a = contract(%x, %u) {{equation='mk,kn->mn'}} : float32[4, 6]
        %b = exp(%a) : float32[4, 6]
        %c = contract(%b, %u) {{equation='mk,kn->mn'}} : float32[4, 6]
        %d = add(%c, %b) : float32[4, 6]
        return y=%d""", [("reduce", "a b"), ("reduce", "c d")]),
    "an elementwise operand is computed inside a plain reduction": (f"""
        {X}
        %a = mul(%x, %x) : float32[4, 6]
        %b = sum(%a) {{axes=(1,), keepdims=False}} : float32[4]
        %c = sqrt(%b) : float32[4]
        return y=%c""", [("reduce", "a b c")]),
    "but not inside a product, which would compute it many times": (f"""
        {X}
        {W}
        %a = exp(%x) : float32[4, 6]
        %b = contract(%a, %w) {{equation='mk,kn->mn'}} : float32[4, 8]
        return y=%b""", [("map", "a"), ("reduce", "b")]),
    "a transpose is only another index": (f"""
        {X}
        %v = input : float32[8, 6]
        %a = transpose(%v) {{perm=(1, 0)}} : float32[6, 8]
        %b = contract(%x, %a) {{equation='mk,kn->mn'}} : float32[4, 8]
        return y=%b""", [("reduce", "a b")]),
    "a softmax is one row kernel": (f"""
        {X}
        %a = max(%x) {{axes=(1,), keepdims=True}} : float32[4, 1]
        %b = sub(%x, %a) : float32[4, 6]
        %c = exp(%b) : float32[4, 6]
        %d = sum(%c) {{axes=(1,), keepdims=True}} : float32[4, 1]
        %e = div(%c, %d) : float32[4, 6]
        return y=%e""", [("rows", "a b c d e")]),
    "over columns it is not": (f"""
        {X}
        %a = max(%x) {{axes=(0,), keepdims=True}} : float32[1, 6]
        %b = sub(%x, %a) : float32[4, 6]
        return y=%b""", [("reduce", "a"), ("map", "b")]),
    "a product is no part of a row kernel": (f"""
        {X}
        {W}
        %a = contract(%x, %w) {{equation='mk,kn->mn'}} : float32[4, 8]
        %b = sum(%a) {{axes=(0, 1), keepdims=False}} : float32[]
        return y=%b""", [("reduce", "a"), ("reduce", "b")]),
    "a reshape needs no kernel": (f"""
        {X}
        %a = exp(%x) : float32[4, 6]
        %b = reshape(%a) {{shape=(24,)}} : float32[24]
        return y=%b""", [("map", "a")]),
    "a sort stands alone": (f"""
        {X}
        %a = exp(%x) : float32[4, 6]
        %b = sort(%a) {{axis=1, descending=False}} : float32[4, 6]
        %c = neg(%b) : float32[4, 6]
        return y=%c""", [("map", "a"), ("routine", "b"), ("map", "c")]),
}


@pytest.mark.parametrize("case", CASES)
def test_groups(case: str) -> None:
    text, expected = CASES[case]
    graph = parse_graph(f'graph "g"\n{text}')
    order = {n: i for i, n in enumerate(graph.nodes)}
    found = [(g.kind, " ".join(n.name for n in sorted(g.members, key=order.__getitem__)))
             for g in fuse(graph)]
    assert found == expected


@pytest.mark.parametrize("case", CASES)
def test_every_node_is_computed_in_one_group(case: str) -> None:
    graph = parse_graph(f'graph "g"\n{CASES[case][0]}')
    members = [n for g in fuse(graph) for n in g.members]
    assert len(members) == len(set(members))
    computed = {n for n in graph.nodes if n.op not in ("input", "constant", "reshape")}
    assert computed <= set(members)
