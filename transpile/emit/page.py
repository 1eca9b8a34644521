from __future__ import annotations
def page(program, options, global_name, code):
    return code
