"""`module:factory` and `file.py:factory`: the user's own code, imported as they would."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from varshift._files import unreadable
from varshift._loading.foreign.formats import SUFFIXES
from varshift._loading.hubs import from_hub, hub_of
from varshift.errors import ModelError, UsageError, listed

__all__ = ["load_factory", "load_function", "load_model"]

_SHOWN = 8
_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors", ".bin", *SUFFIXES)


def load_model(
    target: str, keywords: Mapping[str, Any] | None = None, notes: list[str] | None = None
) -> nn.Module:
    """The model that `target` names: a library's, a module object, or what a factory returns.

    The factory is called with `keywords`, or without arguments. `notes` takes in what a reader
    must know of the model.

    Raises UsageError for a target that cannot be found, ModelError for a factory that fails.
    """
    keywords = {} if keywords is None else keywords
    if (named := hub_of(target)) is not None:
        return from_hub(*named, keywords, [] if notes is None else notes)
    made = load_factory(target, keywords)
    if made is None:
        raise UsageError(f"{target!r} returned None; does it return the model?")
    if not isinstance(made, nn.Module):
        raise UsageError(
            f"{target!r} gave {_a(type(made).__name__)}; it must give a torch.nn.Module"
        )
    return made


def load_factory(target: str, keywords: Mapping[str, Any] | None = None) -> Any:
    """What `target` names; called, with `keywords` or without arguments, if it can be."""
    keywords = {} if keywords is None else keywords
    found = _named(target)
    if isinstance(found, nn.Module) or not callable(found):
        if keywords:
            raise UsageError(
                f"{target!r} is {_a(type(found).__name__)} and is not called: it takes no "
                "--model-kwargs"
            )
        return found
    _refuse_arguments(target, found, keywords)
    how = f"with {listed(keywords)}" if keywords else "without arguments"
    try:
        with _alone(target):
            return found(**keywords)
    except Exception as error:
        raise ModelError(
            f"{target!r} raised {type(error).__name__} when called {how}: {error}"
        ) from error
    except SystemExit as error:
        raise ModelError(f"{target!r} called sys.exit({error.code!r}) and gave nothing") from error


def load_function(target: str) -> Any:
    """The function that `target` names, as it is, to be called with the model and a batch.

    Raises UsageError for a target that cannot be found, or that cannot be called so.
    """
    found = _named(target)
    if not callable(found):
        raise UsageError(f"{target!r} is {_a(type(found).__name__)}, which cannot be called")
    if not _takes_two(found):
        raise UsageError(
            f"{target!r} takes {inspect.signature(found)}, and is called with the model and a "
            "batch: write def forward(model, batch)"
        )
    return found


def _takes_two(function: Any) -> bool:
    """Whether two arguments fit; what is written in C may not say."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def _named(target: str) -> Any:
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(_no_target(target))
    if not place.endswith(".py") and (os.path.isfile(place) or ".py:" in place):
        raise UsageError(
            f"{target!r} is no target; write package.module:factory or file.py:factory"
        )
    module = _from_file(Path(place)) if place.endswith(".py") else _from_import(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{place!r} has no {part!r}{_near(part, found)}")
        found = getattr(found, part)
    return found


def _no_target(target: str) -> str:
    if Path(target).suffix in _WEIGHTS:
        return (
            f"{target!r} is a checkpoint: name the model it is of as file.py:factory, and the "
            "checkpoint by --checkpoint"
        )
    said = f"{target!r} is no target; write package.module:factory or file.py:factory"
    if Path(target).suffix == ".py" and os.path.isfile(target):
        return f"{said}, such as {target}:{_most_likely(Path(target))}"
    name = target if target.isidentifier() else "resnet18"
    return f"{said}, or for a library's model timm:{name}, torchvision:{name} or hf:FOLDER"


def _most_likely(path: Path) -> str:
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError, OSError):  # no Python, or not for us to read
        return "factory"
    found = [node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    found = [node for node in found if not node.name.startswith("_")]
    return min(found, key=_needs_arguments).name if found else "factory"


def _needs_arguments(node: ast.FunctionDef | ast.ClassDef) -> int:
    """0 for a function that can be called as it is, 1 for a class, 2 for any other function."""
    if isinstance(node, ast.ClassDef):
        return 1
    needed = len(node.args.args) - len(node.args.defaults)
    return 2 * bool(needed or None in node.args.kw_defaults)


def _refuse_arguments(target: str, found: Any, keywords: Mapping[str, Any]) -> None:
    """Raise UsageError where it cannot be called so."""
    if keywords:
        try:
            signature = inspect.signature(found)
        except (TypeError, ValueError):  # built in C, which says nothing
            return
        try:
            signature.bind(**keywords)
        except TypeError as error:
            raise UsageError(
                f"{target!r} cannot be called with --model-kwargs {listed(keywords)}: {error}; "
                f"it takes {listed(signature.parameters)}"
            ) from error
    elif needed := _required(found):
        raise UsageError(
            f"{target!r} cannot be called without arguments, it needs {listed(needed)}; write a "
            "function without arguments that calls it, and name that, or give a model's by "
            "--model-kwargs NAME=VALUE"
        )


def _required(found: Any) -> list[str]:
    """Arguments without a default."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # built in C, which says nothing
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]


def _a(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _from_import(name: str) -> ModuleType:
    if name.startswith("."):  # which import takes for a name within a package
        file = f"for a file write {name}.py:…" if "/" in name else "name it from the top"
        raise UsageError(f"{name!r} is no module of the path or of this folder; {file}")
    with _here_on_path():
        try:
            with _alone(name):
                return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name + ".").startswith(error.name + "."):
                raise UsageError(
                    f"there is no module {name!r} on the path or in this folder; for a file write "
                    f"{name if '/' in name else name.replace('.', '/')}.py:…"
                ) from error
            raise UsageError(f"importing {name!r} failed: {error}") from error
        except (Exception, SystemExit) as error:
            raise _import_failed(name, error) from error


def _from_file(path: Path) -> ModuleType:
    if said := unreadable(path):
        raise UsageError(said)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{str(path)!r} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    with _here_on_path(path.resolve().parent):
        try:
            with _alone(str(path)), _registered(spec.name, module):
                spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise _import_failed(str(path), error) from error
    return module


def _import_failed(name: str, error: BaseException) -> UsageError:
    if isinstance(error, SystemExit):
        return UsageError(
            f"importing {name!r} called sys.exit({error.code!r}): put what runs as a script under "
            'if __name__ == "__main__":'
        )
    return UsageError(f"importing {name!r} raised {type(error).__name__}: {error}")


@contextmanager
def _registered(name: str, module: ModuleType) -> Iterator[None]:
    """While it runs: a dataclass looks its module up by name. Afterwards another may have it."""
    added = sys.modules.setdefault(name, module) is module
    try:
        yield
    finally:
        if added:
            sys.modules.pop(name, None)


@contextmanager
def _here_on_path(*more: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [*(str(folder) for folder in more), str(Path.cwd())]
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """A module that reads its command line is to find none, and not ours."""
    before = sys.argv
    sys.argv = [name]
    try:
        yield
    finally:
        sys.argv = before


def _near(name: str, found: Any) -> str:
    """The names most like it; else what is defined there, before what is only imported."""
    names = [each for each in dir(found) if not each.startswith("_")]
    shown = difflib.get_close_matches(name, names, 3) or _own(found) or names
    more = ", …" if len(shown) > _SHOWN else ""
    return f"; it has {', '.join(shown[:_SHOWN])}{more}" if shown else ""


def _own(found: Any) -> list[str]:
    # Not by getattr: a lazy package would import all that it names.
    home, held = getattr(found, "__name__", None), dict(vars(found)) if _has_dict(found) else {}
    return [
        each
        for each, value in held.items()
        if not each.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", home) == home
    ]


def _has_dict(found: Any) -> bool:
    return hasattr(found, "__dict__")
