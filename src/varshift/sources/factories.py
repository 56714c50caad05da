"""`module:factory` and `file.py:factory`: the user's own code, imported as they would."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from varshift.errors import ModelError, UsageError

__all__ = ["load_factory", "load_model"]


def load_model(target: str) -> nn.Module:
    """The model that `target` names: a module object, or what a factory without arguments returns.

    Raises UsageError for a target that cannot be found, ModelError for a factory that fails.
    """
    made = load_factory(target)
    if not isinstance(made, nn.Module):
        raise UsageError(f"{target!r} gave a {type(made).__name__}; it must give a torch.nn.Module")
    return made


def load_factory(target: str) -> Any:
    """What `target` names; called without arguments if it is a function or a class."""
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(
            f"{target!r} is no target; write package.module:factory or file.py:factory"
        )
    module = _from_file(Path(place)) if place.endswith(".py") else _from_import(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{place!r} has no {part!r}{_near(part, dir(found))}")
        found = getattr(found, part)
    if isinstance(found, nn.Module) or not callable(found):
        return found
    try:
        return found()
    except Exception as error:
        raise ModelError(
            f"{target!r} raised {type(error).__name__} when called without arguments: {error}"
        ) from error


def _from_import(name: str) -> ModuleType:
    with _here_on_path():
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name + ".").startswith(error.name + "."):
                raise UsageError(
                    f"there is no module {name!r} on the path or in this folder; for a file write "
                    f"{name.replace('.', '/')}.py:…"
                ) from error
            raise UsageError(f"importing {name!r} failed: {error}") from error
        except Exception as error:
            raise _import_failed(name, error) from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{str(path)!r} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    with _here_on_path(path.resolve().parent):
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise _import_failed(str(path), error) from error
    return module


def _import_failed(name: str, error: Exception) -> UsageError:
    return UsageError(f"importing {name!r} raised {type(error).__name__}: {error}")


@contextmanager
def _here_on_path(*more: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [*(str(folder) for folder in more), str(Path.cwd())]
    try:
        yield
    finally:
        sys.path[:] = before


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 3) or [n for n in names if n[0] != "_"][:5]
    return f"; it has {', '.join(near)}" if near else ""
