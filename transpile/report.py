"""What a build made: sizes, memory, work, and how well each target agreed with Python."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from transpile.emit.weights import Text


Progress = Callable[[str, int, int], None]
"""Called with a stage, and how much of how much of it is done; total 0 where unknown."""


def silent(stage: str, done: int, total: int) -> None:
    """The progress callback that shows nothing."""


@dataclass(frozen=True)
class TargetResult:
    """How one target fared in verification.

    Attributes:
        runs: sets of inputs that were tried.
        max_error: the largest absolute error of any output.
        max_rel: the largest error relative to the largest magnitude of its output.
        max_ulps: the largest error in float32 numbers.
    """

    runs: int
    max_error: float
    max_rel: float
    max_ulps: int


@dataclass(frozen=True)
class Loss:
    """How far an output is off because weights are stored in fewer bits.

    Attributes:
        largest: the largest absolute difference; `relative` to the largest magnitude.
        rms: the root mean square of the differences over that of the output. For integers and
            bools it is, like `relative`, the share of elements that differ.
    """

    largest: float
    relative: float
    rms: float


@dataclass(frozen=True)
class Report:
    """The closing table of a build as data.

    Attributes:
        code_bytes: the module without its weights.
        code_gzip: the same, compressed (gzip -9).
        weight_bytes: the weights as numbers, before base64.
        files: bytes of what lies beside the module, by name.
        total_bytes: the whole file; `total_gzip` compressed, about so for many megabytes.
        memory: peak bytes of a run, weights included; text where it depends on named sizes.
        flops: floating-point operations of a run, likewise.
        kernels: distinct functions; `calls` of them in a run.
        removed: nodes that each pass took away.
        stored: bytes of weights by how they are stored: float32, float16, int8, ...
        refused: weights that are stored with more bits than asked for, as the error would have
            been too large.
        loss: by output, what fewer bits cost; empty where not measured, or where there are none.
        compute: which products are in integers; empty where none were asked for.
        fitted: types of inputs whose declared sizes did not fit the model; empty for none.
        winograd: how many convolutions by which tile; empty for none.
        strassen: how many products by Strassen's algorithm; empty for none.
        webgl: draws, programs and textures, and what runs on the CPU between draws.
        verified: by target; empty if verification was left out.
        seconds: by stage.
    """

    name: str
    targets: tuple[str, ...]
    code_bytes: int
    code_gzip: int
    weight_bytes: int
    total_bytes: int
    total_gzip: int
    memory: int | str
    flops: int | str
    kernels: int
    calls: int
    removed: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    stored: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    loss: Mapping[str, Loss] = field(default_factory=dict)
    webgl: str = ""
    compute: str = ""
    winograd: str = ""
    strassen: str = ""
    fitted: str = ""
    verified: Mapping[str, TargetResult] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        from dataclasses import asdict
        return asdict(self)

    def table(self, title: str = "") -> Table:
        """The closing table, for `rich.print`."""
        from rich.markup import escape
        from rich.table import Table
        table = Table(title=escape(title or self.name), show_header=False, title_justify="left")
        table.add_column(style="bold")
        table.add_column()
        for label, text in self.rows():
            table.add_row(escape(label), escape(text))
        return table

    def rows(self) -> list[tuple[str, str]]:
        """Labels and values of the table."""
        removed = ", ".join(f"{name} {count}" for name, count in self.removed.items() if count)
        rows = [("inputs", f"{self.fitted}, as no other sizes fit")] if self.fitted else []
        rows += [
            ("code", f"{size(self.code_bytes)}, {size(self.code_gzip)} gzip"),
            ("weights", self._weights()),
            ("file", f"{size(self.total_bytes)}, {size(self.total_gzip)} gzip"),
            ("peak memory", size(self.memory)),
            ("work", f"{count(self.flops)}FLOP a run"),
            ("kernels", f"{self.kernels}, called {self.calls} times"),
            ("nodes removed", removed or "none"),
        ]
        rows += [(label, text) for label, text in (
            ("arithmetic", self.compute), ("winograd", self.winograd),
            ("strassen", self.strassen), ("webgl", self.webgl))
                 if text]
        rows += [(f"loss in {name}", _lost(loss)) for name, loss in self.loss.items()]
        rows += [(f"verified {name}", _verdict(result)) for name, result in self.verified.items()]
        if not self.verified:
            rows.append(("verified", "no"))
        return [*rows, ("seconds", _times(self.seconds))]

    def _weights(self) -> str:
        """Their bytes, by storage where that is not simply float32, and what was refused."""
        text = size(self.weight_bytes)
        if set(self.stored) & {"float16", "int8"}:
            text += f" ({', '.join(f'{name} {size(n)}' for name, n in self.stored.items())})"
        text += "".join(f", in {name}" for name in self.files)
        if self.refused:
            shown = ", ".join(self.refused[:4]) + (", ..." if len(self.refused) > 4 else "")
            text += f"; too far off, so kept in more bits: {shown}"
        return text


SAMPLED, PART = 1 << 23, 1 << 20
"""Of a text of several times `SAMPLED`, about so much is compressed, in parts of `PART`."""


def sizes_of(text: Text) -> tuple[int, int]:
    """Bytes of `text`, plain and under gzip -9, of a very long one extrapolated from parts of it,
    evenly spread."""
    from transpile.emit.weights import blocks
    size = sum(map(len, text))
    every = max(size // SAMPLED, 1)
    parts = islice(blocks(text, PART if every > 1 else max(size, 1)), 0, None, every)
    return size, every * sum(len(gzip.compress(part, 9, mtime=0)) for part in parts)


def size(value: int | str) -> str:
    """Bytes for people: 512 B, 1.5 kB; an expression in named sizes stays one."""
    return f"{value} B" if isinstance(value, str) else f"{count(value)}B"


def count(value: int | str) -> str:
    """A number with a metric prefix and a space before the unit to come."""
    if isinstance(value, str):
        return f"{value} "
    for factor, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}" if value < 1000 * factor else (
                f"{value // factor} {prefix}")
    return f"{value} "


def _verdict(result: TargetResult) -> str:
    return (f"{result.runs} runs, largest error {result.max_error:.2g} "
            f"({result.max_rel:.2g} relative, {result.max_ulps} ulps)")


def _lost(loss: Loss) -> str:
    return f"at most {loss.largest:.2g} ({loss.relative:.2g} relative, rms {loss.rms:.2g})"


def _times(seconds: Mapping[str, float]) -> str:
    parts = ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items())
    return f"{sum(seconds.values()):.2f}" + (f" ({parts})" if parts else "")
