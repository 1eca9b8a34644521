"""What a run does in order, as lines of JS: calls, branches and loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from transpile.emit.layout import VIEWS, element_offset, js_dim, shape_list
from transpile.emit.names import js_string
from transpile.program import Branch, Buffer, Call, Program, Repeat, Task


@dataclass(frozen=True)
class TaskPrinter:
    """Prints tasks.

    Attributes:
        call: a call's `text`, `comment`, `written` buffer and kernel's `name`.
        dim_name: the JS variable of a named dimension.
        debug: steps tell what they wrote.
        in_js, in_wasm: the targets that the module has.
    """

    program: Program
    buffers: Mapping[str, Buffer]
    call: Callable[[Call], dict[str, str]]
    dim_name: Callable[[str], str]
    debug: bool
    in_js: bool
    in_wasm: bool

    def lines(self, tasks: Sequence[Task], depth: int = 0) -> Iterator[dict[str, str]]:
        """Lines with comments, indented below branches and loops."""
        for task in tasks:
            if isinstance(task, Call):
                parts = self.call(task)
                yield {"line": "  " * depth + parts["line"], "comment": parts["comment"]}
                continue
            inner = [task.body] if isinstance(task, Repeat) else [task.then, task.otherwise]
            for head, body in zip([self.head(task), "} else {"], inner, strict=False):
                if body or head != "} else {":
                    yield self.plain(head, depth)
                    yield from self.lines(body, depth + 1)
            yield self.plain("}", depth)

    def plain(self, text: str, depth: int) -> dict[str, str]:
        return {"line": "  " * depth + text, "comment": ""}

    def head(self, task: Branch | Repeat) -> str:
        """The line that begins a branch or loop. A loop counts in memory, where kernels read."""
        if isinstance(task, Branch):
            return f"if ({self.scalar(task.condition)}) {{"
        counter, limit = self.scalar(task.counter), task.limit
        tests = [] if limit is None else [
            f"{counter} < {limit if isinstance(limit, int) else self.scalar(limit)}"]
        tests += [] if task.condition is None else [self.scalar(task.condition)]
        return f"for ({counter} = 0; {' && '.join(tests)}; {counter}++) {{"

    def scalar(self, name: str) -> str:
        """The one number in a buffer."""
        buffer = self.buffers[name]
        at = js_dim(element_offset(buffer), self.dim_name)
        return f"heap.{VIEWS[buffer.type.dtype]}[{at}]"

    def steps(self) -> list[str]:
        """Fields of every step: what it is called, how it is run, and in a debug build its output.

        A branch or loop is one step, with further ones that run nothing for its other results.
        """
        found = []
        for number, task in enumerate(self.program.tasks):
            fields = list(self.fields(task))
            runs = [self.run(number, task), *["() => undefined"] * (len(fields) - 1)]
            found += [f"{f}, run: {run}" for f, run in zip(fields, runs, strict=True)]
        return found

    def fields(self, task: Task) -> Iterator[str]:
        if isinstance(task, Call):
            parts = self.call(task)
            kernel = task.kernel if self.debug else parts["name"]
            yield self.result(task.label, kernel, parts["written"])
        else:
            kind = "branch" if isinstance(task, Branch) else "loop"
            yield from (self.result(label, kind, buffer) for label, buffer in task.results)

    def result(self, label: str, kernel: str, written: str) -> str:
        fields = [f"label: {js_string(label)}", f"kernel: {js_string(kernel)}"]
        if self.debug:
            buffer = self.buffers[written]
            at, size = (js_dim(d, self.dim_name) for d in (element_offset(buffer),
                                                           buffer.type.size))
            view = f"heap.{VIEWS[buffer.type.dtype]}"
            fields += [f"buffer: {js_string(buffer.name)}", f"dtype: '{buffer.type.dtype}'",
                       f"shape: {shape_list(buffer.type, self.dim_name)}",
                       f"read: () => {view}.subarray({at}).slice(0, {size})"]
        return ", ".join(fields)

    def run(self, number: int, task: Task) -> str:
        """A function that does one task, in JS or in wasm, as it is found."""
        dims = ", ".join(map(self.dim_name, self.program.dims))
        in_wasm = f"wasm.exports.step{number}({dims})"
        if not self.in_js:
            return f"() => {in_wasm}"
        if isinstance(task, Call):
            text = self.call(task)["text"]
            return f"() => wasm ? {in_wasm} : {text}" if self.in_wasm else f"() => {text}"
        text = " ".join(line["line"].strip() for line in self.lines([task]))
        return f"() => {{ {f'if (wasm) {in_wasm}; else ' if self.in_wasm else ''}{text} }}"
