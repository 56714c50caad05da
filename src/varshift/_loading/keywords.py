"""`--model-kwargs k=v`: arguments for what makes the model, as timm's command line has them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from varshift.errors import UsageError

__all__ = ["keywords_of"]


def keywords_of(items: Sequence[str] | None) -> dict[str, Any]:
    """Values are Python literals where they can be read as such, else strings.

    >>> keywords_of(["drop_rate=0.5", "num_classes=10", "act_layer=silu", "in_chans=1"])
    {'drop_rate': 0.5, 'num_classes': 10, 'act_layer': 'silu', 'in_chans': 1}

    Raises UsageError for an item that is no `k=v`, and for `true` and `false`: as strings both are
    true.
    """
    return dict(_pair(item) for item in items or ())


def _pair(item: str) -> tuple[str, Any]:
    name, equals, text = item.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(
            f"--model-kwargs {item!r} is no name=value; write it as --model-kwargs drop_rate=0.5"
        )
    if text in ("true", "false"):
        raise UsageError(
            f"--model-kwargs {item!r}: values are Python's, so write {name}={text.capitalize()} "
            f"(or {name}='\"{text}\"' for the string)"
        )
    try:
        return name, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return name, text
