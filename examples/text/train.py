"""Trains the network with PyTorch on files of Python's standard library and of Node's package.

Snippets are drawn at random from the files that `import sys` and `import nodejs` lead to; whole
files are held out. Seeded: the same installation gives the same result.
"""

from __future__ import annotations

import random
import re
import sysconfig
from pathlib import Path

import nodejs
import numpy as np
import torch
from model import LANGUAGES, LENGTH
from torch import Tensor, nn

NODE = Path(nodejs.__file__).parent
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
SOURCES = {
    "Python": [(STANDARD_LIBRARY, "*.py")],
    "JavaScript": [(NODE, "**/*.js")],
    "C and C++": [(NODE / "include" / "node", "*.h"), (NODE / "include" / "node", "[uc]*/**/*.h"),
                  (Path(sysconfig.get_path("include")), "**/*.h")],
    "HTML": [(NODE, "**/*.html")],
    "English": [(NODE, "**/*.md"), (NODE, "**/LICENSE*"), (STANDARD_LIBRARY, "LICENSE*")],
}
SNIPPETS, HELD_OUT_SNIPPETS, EPOCHS = 9000, 400, 14


def prose(text: str) -> str:
    """The plain paragraphs of a Markdown file: no code, lists, tables, links or headings."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    paragraphs = (" ".join(p.split("\n")) for p in re.split(r"\n\s*\n", text))
    return "\n".join(p for p in paragraphs if re.match(r"[A-Z][^`<>|\[\]*_=]{50,}$", p))


def read(language: str) -> list[str]:
    """The texts of all files of a language, in a fixed order, at most 60 kB of each."""
    paths = [p for folder, pattern in SOURCES[language] for p in sorted(folder.glob(pattern))]
    texts = [p.read_text(encoding="utf-8", errors="replace")[:60_000] for p in paths]
    if language == "English":
        texts = [prose(text) for text in texts]
    return [text for text in texts if len(text) > 200]


def snippet(text: str, rng: random.Random) -> str:
    """12 to 64 characters from the beginning of some line that is not a comment's."""
    lines = text.split("\n")
    for _ in range(20):
        first = rng.randrange(len(lines))
        rest = "\n".join(lines[first:first + 4])
        if rng.random() < 0.5:
            rest = rest.lstrip()
        if not re.match(r"\s*(#(?!\s*(include|define|if|endif))|//|/?\*|$)", rest):
            break
    return rest[:rng.randint(12, LENGTH)].rstrip()


def snippets(part: int, count: int) -> tuple[Tensor, Tensor]:
    """`count` snippets per language: codes [n, 64], labels [n]. Every fifth file is of part 1."""
    rng = random.Random(part)
    codes, labels = [], []
    for label, language in enumerate(LANGUAGES):
        texts = [t for i, t in enumerate(read(language)) if (i % 5 == 4) == (part == 1)]
        for text in rng.choices(texts, weights=[len(t) ** 0.5 for t in texts], k=count):
            found = snippet(text, rng).encode("utf-32-le")
            ids = np.minimum(np.frombuffer(found, np.uint32), 127)
            codes.append(np.pad(ids, (LENGTH - len(ids), 0)))
            labels.append(label)
    return torch.from_numpy(np.stack(codes).astype(np.int64)), torch.tensor(labels)


class Network(nn.Module):
    """Embedding, one GRU, and a linear layer on its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.characters = nn.Embedding(128, 12)
        self.gru = nn.GRU(12, 40, batch_first=True)
        self.output = nn.Linear(40, len(LANGUAGES))

    def forward(self, codes: Tensor) -> Tensor:
        states, _ = self.gru(self.characters(codes))
        return self.output(states[:, -1])


def train(model: Network, codes: Tensor, labels: Tensor) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(codes)).split(256):
            loss = nn.functional.cross_entropy(
                model(codes[batch]), labels[batch], label_smoothing=0.05
            )
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
        schedule.step()


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Network()
    train(model, *snippets(0, SNIPPETS))
    codes, labels = snippets(1, HELD_OUT_SNIPPETS)
    with torch.no_grad():
        right = (model(codes).argmax(1) == labels).float()
    print(f"accuracy on {len(labels)} snippets of held-out files: {right.mean().item():.2%}")
    for label, language in enumerate(LANGUAGES):
        print(f"  {language:<12}{right[labels == label].mean().item():.2%}")
    arrays = {
        "characters": model.characters.weight,
        "input_weight": model.gru.weight_ih_l0, "input_bias": model.gru.bias_ih_l0,
        "state_weight": model.gru.weight_hh_l0, "state_bias": model.gru.bias_hh_l0,
        "output_weight": model.output.weight, "output_bias": model.output.bias,
    }
    np.savez(
        Path(__file__).with_name("weights.npz"),
        **{name: a.detach().numpy() for name, a in arrays.items()},
    )


if __name__ == "__main__":
    main()
