"""`[tool.varshift]` of the nearest pyproject.toml: what a project asks of its linter."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from varshift.errors import UsageError

__all__ = ["Configuration", "configuration", "passed_over"]


@dataclass(frozen=True)
class Configuration:
    """The table's keys, with - for _; None where a key is not given.

    Attributes:
        file: the pyproject.toml; None where none holds the table.
        target: what to check, as on the command line; files are those beside the pyproject.toml.
        input_shape: shapes without the batch, "3,64,64".
        data, checkpoint: as on the command line, found from the file's folder likewise.
        model_kwargs: "name=value", as on the command line; in the file also a table of them.
        image_size: of pictures from a folder.
        baseline: a file of findings that are known; found from the file's folder.
        max_severity: largest severity allowed.
        select, ignore: code prefixes.
        per_module_ignores: glob → code prefixes.
        task: "regression" or nothing.
        forward: a function of (model, batch), as on the command line.
        docs_url: folder of the rules' pages, for links in SARIF.
    """

    file: Path | None = None
    target: str | None = None
    input_shape: tuple[str, ...] | None = None
    data: str | None = None
    checkpoint: str | None = None
    model_kwargs: tuple[str, ...] | None = None
    image_size: int | None = None
    baseline: str | None = None
    max_severity: float | None = None
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    per_module_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    task: str | None = None
    forward: str | None = None
    docs_url: str | None = None


_KEYS = [held.name.replace("_", "-") for held in fields(Configuration) if held.name != "file"]
_LISTS = ("select", "ignore", "input-shape")
_PATHS = ("checkpoint", "baseline")  # files, whatever their name ends in
_HEADER = re.compile(r"^\s*\[\s*tool\s*\.\s*varshift\b", re.MULTILINE)
_FILES = (".py", ".pt", ".npy", ".npz", ".safetensors")


def configuration(folder: Path) -> Configuration:
    """The table of the nearest pyproject.toml that has one, `folder` itself first.

    It names code that is run, so it must be the project's own: looked for up to the root of the
    repository, where `.git` is, and without a repository in `folder` alone.

    Raises UsageError for a file that is no TOML, an unknown key, or a value of the wrong kind.
    """
    folder = folder.resolve()
    for place in _places(folder):
        file = place / "pyproject.toml"
        table = _table(file) if os.path.isfile(file) else None
        if table is not None:
            return Configuration(file=file, **_values(table, file))
    return Configuration()


def passed_over(folder: Path) -> Path | None:
    """The nearest pyproject.toml with a table that would have been read but for where it lies."""
    folder = folder.resolve()
    read = _places(folder)
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        try:
            if _HEADER.search(file.read_text(encoding="utf-8")):
                return None if place in read else file
        except (OSError, UnicodeDecodeError):  # none, or not for us to read
            continue
    return None


def _places(folder: Path) -> list[Path]:
    """The folder, and those above it up to the root of its repository."""
    places = [folder, *folder.parents]
    # Of a worktree or a submodule .git is a file.
    root = next((at for at, place in enumerate(places) if os.path.exists(place / ".git")), 0)
    return [folder, *(place for place in places[1 : root + 1] if _trusted(place, folder))]


def _trusted(place: Path, folder: Path) -> bool:
    """Whether what lies there is of the user, of root, or of whoever owns the folder below.

    Anybody may make a repository of a folder that all share.
    """
    if not hasattr(os, "getuid"):
        return True
    owners = {os.getuid(), 0, folder.stat().st_uid}
    parts = (place, place / "pyproject.toml", place / ".git")
    return all(part.lstat().st_uid in owners for part in parts if os.path.exists(part))


def _table(file: Path) -> Mapping[str, Any] | None:
    try:
        held = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read ({error.strerror}), and may hold [tool.varshift]: let it be "
            "read, or run the command in another folder"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is no TOML: {error}") from error
    tool = held.get("tool")
    found = tool.get("varshift") if isinstance(tool, dict) else None
    if found is not None and not isinstance(found, dict):
        raise UsageError(f"{file}: tool.varshift must be a table, [tool.varshift]")
    return found


def _values(table: Mapping[str, Any], file: Path) -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_KEYS)}"
            raise UsageError(f"{file}: [tool.varshift] has no key {key!r}; {hint}")
        found[key.replace("-", "_")] = _value(key, value, file)
    return found


def _value(key: str, value: Any, file: Path) -> Any:
    if key in _LISTS:
        return _strings(key, value, file)
    if key == "per-module-ignores":
        if not isinstance(value, dict):
            raise UsageError(
                f'{file}: per-module-ignores is a table, as in "encoder.*" = ["VS102"]'
            )
        return {glob: _strings(f"{key} {glob!r}", codes, file) for glob, codes in value.items()}
    if key == "model-kwargs":
        return _keywords(value, file)
    if key == "image-size":
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{file}: image-size is {value!r}; write a whole number, as in 224")
        return value
    if key == "max-severity":
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UsageError(f"{file}: max-severity is {value!r}; write a number, as in 1.1")
        return float(value)
    if not isinstance(value, str):
        raise UsageError(f"{file}: {key} is {value!r}; write a string")
    return _placed(key, value, file.parent)


def _placed(key: str, value: str, folder: Path) -> str:
    """A relative file as seen from the table's folder: the command may be run further down."""
    if key not in ("target", "data", "forward", *_PATHS):
        return value
    # A factory stands behind the last colon; a drive letter's colon has a slash behind it.
    place, colon, name = value.rpartition(":")
    if not colon or "/" in name or "\\" in name or Path(place).suffix != ".py":
        place, colon, name = value, "", ""
    if key in _PATHS or Path(place).suffix in _FILES:
        place = str(folder / Path(place).expanduser())
    return place + colon + name


def _strings(key: str, value: Any, file: Path) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise UsageError(f"{file}: {key} is {value!r}; write a list of strings")


def _keywords(value: Any, file: Path) -> tuple[str, ...]:
    """As the command line writes them; a table's values as Python's literals."""
    if isinstance(value, dict):
        items = tuple(f"{name}={held!r}" for name, held in value.items())
    else:
        items = _strings("model-kwargs", value, file)
    for item in items:
        name, equals, _ = item.partition("=")
        if not (equals and name.isidentifier()):
            raise UsageError(
                f"{file}: model-kwargs holds {item!r}; write "
                "model-kwargs = { classes = 10, drop = 0.3 }"
            )
    return items
