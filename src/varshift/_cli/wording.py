"""Messages of the verbs in the words of the command line: `places=` is `--place` there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from varshift.errors import VarshiftError

if TYPE_CHECKING:
    from varshift._base import Result

__all__ = ["in_options", "optioned", "worded"]

# Arguments that are options under another name; all others are spelt alike but for the dashes.
_NAMED = {"places": "place", "moved": "move", "example": "input-shape"}
_ARGUMENTS = (
    *("data", "example", "held_out", "kind", "max_held_out", "max_samples", "max_severity"),
    *("method", "momentum", "moved", "noise", "passes", "places", "test_data", "width"),
)
_FLAGS = {"labels=False": "--no-labels", "include_frozen=True": "--include-frozen"}
_FORWARD = re.compile(r"forward=lambda model, batch: (?:…|model\(…\))")
_PASSED = re.compile(rf"\b(?<![-\w.])({'|'.join(_ARGUMENTS)})=(?:'([^']*)'|([\w.:-]*\w))?")
_RATES = re.compile(r"\b(?<![-\w.])(drop_p|keep_p|sigma|beta|tau)\b(?!\))")
_OPENING = re.compile(r"^(places|momentum)(?= (?:is|names) )")  # of a refusal by `footprint`
_GIVEN = re.compile(r"^(mean|var|var_test|energy|stored_var|rho|d_cos2|bound|slope|intercept)\b")


def optioned(message: str, command: str = "") -> str:
    """The message with options for arguments; only `theory` takes rates as options of their own.

    >>> optioned("pass kind='values' if they are numbers; name it in places= to ask")
    'pass --kind values if they are numbers; name it in --place to ask'
    >>> optioned("pass exactly one of drop_p, tau", "theory")
    'pass exactly one of --drop-p, --tau'
    """
    for said, flag in _FLAGS.items():
        message = message.replace(said, flag)
    message = _FORWARD.sub("--forward file.py:function, a function of (model, batch),", message)
    message = _PASSED.sub(_option, message)
    if command == "footprint":
        message = _OPENING.sub(_option, message)
    if command == "theory":
        message = _GIVEN.sub(_dashed, _RATES.sub(_dashed, message))
    return message


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
