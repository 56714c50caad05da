"""Context variables, as they were."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import Any

__all__ = ["context_variables", "set_context_variables"]


def context_variables() -> Context:
    """All that are set here."""
    return copy_context()


def set_context_variables(before: Context) -> list[str]:
    """Put back what changed; gives what could not be, in sentences.

    A variable that was not set before cannot be unset without its token: it gets its default.
    """
    failed: list[str] = []
    for variable, value in copy_context().items():
        if variable not in before:
            failed += _back_to_default(variable, value)
        elif before[variable] is not value:
            variable.set(before[variable])
    return failed


def _back_to_default(variable: ContextVar[Any], value: Any) -> list[str]:
    try:
        default = Context().run(variable.get)
    except LookupError:
        return [f"the context variable {variable.name!r} was set by a forward and stays set"]
    if value is not default:
        variable.set(default)
    return []
