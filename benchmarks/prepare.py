"""The folder that the benchmarks run in: peers from npm, and every model in every peer's format."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

import transpile
from benchmarks import layers, onnx_file, tfjs_file, tflite_file
from benchmarks.models import MODELS

HERE = Path(__file__).parent
SCRIPTS = HERE / "js"
TARGETS = ("js", "wasm")


def install_peers(folder: Path) -> None:
    """Copy the scripts to `folder` and install what package.json names, if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for script in SCRIPTS.iterdir():
        shutil.copy(script, folder)
    digest = hashlib.sha256((folder / "package.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    npm = shutil.which("npm")
    command = [npm] if npm else [shutil.which("python3") or "python3", "-m", "nodejs.npm"]
    subprocess.run([*command, "install", "--ignore-scripts", "--no-package-lock", "--no-audit",
                    "--no-fund", "--loglevel=error"], cwd=folder, check=True)
    stamp.write_text(digest)


def export_peers(name: str, stem: Path) -> None:
    """Write STEM.onnx, .tflite, .json, .bin, and the input and NumPy's output for it."""
    model = MODELS[name]()
    net = layers.describe(model)
    x = np.random.default_rng(7).standard_normal(net.shape).astype(np.float32)
    onnx_file.write(net, f"{stem}.onnx")
    tflite_file.write(net, stem.with_suffix(".tflite"))
    tfjs_file.write(net, stem.with_suffix(".json"))
    x.tofile(f"{stem}.x.bin")
    np.asarray(model(x), np.float32).tofile(f"{stem}.y.bin")
    stem.with_suffix(".shape").write_text(json.dumps(net.shape))


def build_module(name: str, stem: Path, weights_file: bool = False) -> transpile.Module:
    """Our module with both targets; its result is checked before it is timed.

    It lies at STEM.mjs, or with its weights in a file of their own at STEM.side.mjs.
    """
    path = stem.with_suffix(".side.mjs" if weights_file else ".mjs")
    module = transpile.build(MODELS[name](), path, targets=TARGETS, verify=False,
                             weights_file=weights_file)
    assert module is not None
    return module


def build_webgl(name: str, stem: Path) -> None:
    """Our module with WebGL2 at STEM.webgl.mjs, its weights in a file as the other's are."""
    transpile.build(MODELS[name](), stem.with_suffix(".webgl.mjs"), targets=("js", "webgl"),
                    weights_file=True, verify=False)


def prepare_model(name: str, folder: Path, say: Callable[[str], None]) -> Path:
    """Everything of one model in `folder`; the peers' files are kept from run to run."""
    stem = folder / "models" / name
    stem.parent.mkdir(exist_ok=True)
    made_by = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(HERE.glob("*.py"))
                                      if p.stem in SOURCES)).hexdigest()
    stamp = stem.with_suffix(".stamp")
    if not stamp.exists() or stamp.read_text() != made_by:
        say(f"{name}: writing the peers' files")
        export_peers(name, stem)
        stamp.write_text(made_by)
    return stem


SOURCES = ("models", "layers", "onnx_file", "tfjs_file", "tflite_file", "tflite_builder")
"""What the peers' files depend on."""
