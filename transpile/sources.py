"""`SOURCE` on the command line: a model file, or a Python file or module and a name in it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from transpile.errors import SourceError
from transpile.frontends.foreign import FILES, front_end_of, load

UNREADABLE = {
    ".tflite": "TensorFlow Lite", ".joblib": "scikit-learn", ".pkl": "pickle",
    ".safetensors": "safetensors",
}
"""Model files without a front end: the name of their format by suffix."""

_MISSING = object()


def resolve(source: str) -> Any:
    """The object that `file.py:name`, `package.module:name` or a model file means.

    The name may be left out where the file holds exactly one model.

    Raises:
        SourceError: there is no such file, module or name, the file fails to import, or it is a
            model file without a front end.
    """
    place, name = _split(source)
    suffix = Path(place).suffix.lower()
    if suffix in UNREADABLE:
        raise SourceError(f"{place}: {UNREADABLE[suffix]} files cannot be read",
                          why="they hold code that would run, or weights without a model",
                          fix="load the model in a Python file and give file.py:name")
    if suffix in FILES:
        return load(place)
    module = _load_file(Path(place)) if suffix == ".py" else _load_module(place)
    return _attribute(module, name, place) if name else _only_model(module, place)


def _split(source: str) -> tuple[str, str]:
    """`C:\\x.py:f` has a drive letter: only a name without path characters counts."""
    place, colon, name = source.rpartition(":")
    if not colon or "/" in name or "\\" in name or name.endswith(".py"):
        return source, ""
    return place, name


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise SourceError(f"there is no file {path}", fix="give file.py:name")
    full = path.resolve()
    key = f"_transpile_source_{hashlib.sha256(str(full).encode()).hexdigest()[:12]}_{full.stem}"
    spec = importlib.util.spec_from_file_location(key, full)
    if spec is None or spec.loader is None:
        raise SourceError(f"{path} is not a Python file", fix="give file.py:name")
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module  # dataclasses and pickles look their module up
    try:
        with _on_path(full.parent):
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[key]
        raise _import_error(str(path), error) from error
    return module


def _load_module(place: str) -> ModuleType:
    if not all(part.isidentifier() for part in place.split(".")):
        raise SourceError(f"{place!r} is neither a Python file nor a module",
                          fix="give file.py:name or package.module:name")
    try:
        with _on_path(Path.cwd()):
            return importlib.import_module(place)
    except BaseException as error:
        raise _import_error(place, error) from error


class Opened:
    """Records the files that Python opens for reading, such as weights beside a model's source.

    Audit hooks cannot be removed: one is added at first use, and it is idle outside of `with`.
    """

    _active: list[Opened] = []  # noqa: RUF012
    _hooked = False

    def __init__(self) -> None:
        self.files: set[Path] = set()

    def __enter__(self) -> Opened:
        if not Opened._hooked:
            sys.addaudithook(Opened._audit)
            Opened._hooked = True
        Opened._active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Opened._active.remove(self)

    @staticmethod
    def _audit(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and Opened._active and isinstance(args[0], str):
            mode = args[1]
            if isinstance(mode, str) and not set(mode) & set("wax+"):
                for recorder in Opened._active:
                    recorder.files.add(Path(args[0]))

    def below(self, folder: Path) -> list[Path]:
        """The recorded files inside `folder`, sorted; installed packages and caches left out."""
        folder = folder.resolve()
        found = {p.resolve() for p in self.files if p.is_file()}
        return sorted(p for p in found if p.is_relative_to(folder) and not _foreign(p))


def _foreign(path: Path) -> bool:
    return bool({"site-packages", "__pycache__", ".git"} & set(path.parts)) or path.suffix == ".pyc"


def local_modules(folder: Path) -> list[Path]:
    """The source files inside `folder` that Python has imported, sorted."""
    folder = folder.resolve()
    # Some packages put modules there whose file is a bare name: those are no files of the folder.
    files = {Path(f).resolve() for m in list(sys.modules.values())
             if (f := getattr(m, "__file__", None)) and f.endswith(".py") and Path(f).is_file()}
    return sorted(p for p in files if p.is_relative_to(folder) and not _foreign(p))


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """The file's own folder comes first, as under `python file.py`, for this import only."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _import_error(place: str, error: BaseException) -> BaseException:
    from transpile.errors import TranspileError
    if isinstance(error, (KeyboardInterrupt, TranspileError)):
        return error
    if isinstance(error, ModuleNotFoundError) and error.name == place.split(".")[0]:
        return SourceError(f"there is no module {place}", fix="give file.py:name, or install it")
    return SourceError(f"{place} cannot be imported", where=_innermost(error),
                       why=f"{type(error).__name__}: {error}")


def _innermost(error: BaseException) -> str:
    """`file:line` of the last frame outside of Python's own import machinery."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen") and file not in (__file__, importlib.__file__):
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _attribute(module: ModuleType, name: str, place: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, _MISSING)
        if value is _MISSING:
            known = ", ".join(_models(module)) or "none"
            raise SourceError(f"{place} has no {name!r}", why=f"models in it: {known}",
                              fix=f"give {place}:NAME with one of them")
    return value


def _models(module: ModuleType) -> dict[str, Any]:
    """The models of a module by name; one object under two names counts once."""
    from transpile.model import Model
    found: dict[int, str] = {}
    for name, value in vars(module).items():
        if isinstance(value, Model) or (not isinstance(value, type) and front_end_of(value)):
            found.setdefault(id(value), name)
    return {name: getattr(module, name) for name in found.values()}


def _only_model(module: ModuleType, place: str) -> Any:
    models = _models(module)
    if len(models) != 1:
        known = ", ".join(models) or "none"
        raise SourceError(f"{place} holds {len(models)} models", why=f"models in it: {known}",
                          fix=f"say which: {place}:NAME")
    return next(iter(models.values()))
