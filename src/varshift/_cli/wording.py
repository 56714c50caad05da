"""Messages of the verbs in the words of the command line: `places=` is `--place` there."""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varshift.errors import VarshiftError

if TYPE_CHECKING:
    from varshift._base import Result

__all__ = ["in_options", "optioned", "whence", "worded"]

# Arguments that are options under another name; all others are spelt alike but for the dashes.
_NAMED = {"places": "place", "moved": "move", "example": "input-shape"}
_ARGUMENTS = (
    *(
        "data",
        "example",
        "forward",
        "frozen",
        "held_out",
        "kind",
        "max_held_out",
        "max_samples",
        "max_severity",
    ),
    *("method", "momentum", "moved", "noise", "passes", "places", "test_data", "width"),
)
_FLAGS = {"labels=False": "--no-labels", "include_frozen=True": "--include-frozen"}
_FORWARD = re.compile(r"forward=lambda model, batch: (?:…|model\(…\))")
_PASSED = re.compile(rf"\b(?<![-\w.])({'|'.join(_ARGUMENTS)})=(?:'([^']*)'|([\w.:-]*\w))?")
_RATES = re.compile(r"\b(?<![-\w.])(drop_p|keep_p|sigma|beta|tau)\b(?!\))")
# Of refusals, which begin with the argument's name.
_OPENED = (
    *("every", "frozen", "into", "kind", "level", "max_held_out", "max_samples", "max_severity"),
    *("method", "momentum", "passes", "places", "seed", "task", "width", "workers"),
)
_OPENING = re.compile(rf"^({'|'.join(_OPENED)})(?= (?:is|names|must) | ')")
_GIVEN = re.compile(
    r"^(mean|var|var_test|energy|stored_var|rho|d_cos2|bound|slope|intercept|d|filters|level)"
    r"(?= (?:is|has|=) )"
)


def optioned(message: str, command: str = "") -> str:
    """The message with options for arguments, that of a refusal by `command` also at its beginning.

    Only `theory` takes rates as options of their own.

    >>> optioned("pass kind='values' if they are numbers; name it in places= to ask")
    'pass --kind values if they are numbers; name it in --place to ask'
    >>> optioned("pass exactly one of drop_p, tau", "theory")
    'pass exactly one of --drop-p, --tau'
    >>> optioned("max_samples is 0; it must be at least 1", "measure")
    '--max-samples is 0; it must be at least 1'
    """
    for said, flag in _FLAGS.items():
        message = message.replace(said, flag)
    message = _FORWARD.sub("--forward file.py:function, a function of (model, batch),", message)
    message = _PASSED.sub(_option, message)
    if command == "theory":
        return _GIVEN.sub(_dashed, _RATES.sub(_dashed, message))
    return _OPENING.sub(_option, message) if command else message


def worded(error: BaseException, command: str = "") -> str:
    """An error's message with options for arguments, but for what others say in it."""
    cause: BaseException | None = error
    while isinstance(cause, VarshiftError):
        cause = cause.__cause__
    theirs = "" if cause is None else str(cause)
    if not theirs:
        return optioned(str(error), command)
    before, said, after = str(error).partition(theirs)
    return optioned(before, command) + said + optioned(after, command)


def whence(error: BaseException) -> str:
    """In brackets: what was done when it was raised, and the last line that is no library's."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    passed = (*libraries, str(Path(__file__).parents[1]), "<")
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if not each.filename.startswith(passed)]
    said = list(getattr(error, "__notes__", ()))
    said += [f"at {own[-1].filename}:{own[-1].lineno}"] if own else []
    return f"({', '.join(said)}{'; ' if said else ''}--debug shows {'all' if said else 'where'})"


def in_options(result: Result) -> Any:
    """The result with its notes and reasons so worded; its figures are the same."""
    held: dict[str, Any] = {each.name: getattr(result, each.name) for each in _init_fields(result)}
    changed: dict[str, Any] = {}
    if held.get("notes"):
        changed["notes"] = tuple(map(optioned, held["notes"]))
    if isinstance(held.get("reason"), str):
        changed["reason"] = optioned(held["reason"])
    if isinstance(held.get("skipped"), Mapping):
        changed["skipped"] = {path: optioned(why) for path, why in held["skipped"].items()}
    return replace(result, **changed)  # type: ignore[type-var]


def _init_fields(result: Any) -> list[Any]:
    return [each for each in fields(result) if each.init]


def _option(found: re.Match[str]) -> str:
    name = _NAMED.get(found[1], found[1]).replace("_", "-")
    value = "".join(each or "" for each in found.groups()[1:])
    return f"--{name} {value}" if value else f"--{name}"


def _dashed(found: re.Match[str]) -> str:
    return "--" + found[1].replace("_", "-")
