"""Doctests in docstrings become code blocks: Markdown would take `>>>` for three quotations."""

from __future__ import annotations

from typing import Any

import griffe


class Doctests(griffe.Extension):
    """Fences every run of lines from `>>>` to the next empty line."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite the docstring before it is parsed."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """The text with fences around its doctests, at their own indentation."""
    lines: list[str] = []
    indent: str | None = None
    for line in text.split("\n"):
        if indent is None and line.lstrip().startswith(">>> "):
            indent = line[: len(line) - len(line.lstrip())]
            if lines and lines[-1].strip() and not lines[-1].strip().endswith(":"):
                lines.append("")
            lines.append(f"{indent}```pycon")
        elif indent is not None and not line.strip():
            lines.append(f"{indent}```")
            indent = None
        lines.append(line)
    return "\n".join(lines if indent is None else [*lines, f"{indent}```"])
