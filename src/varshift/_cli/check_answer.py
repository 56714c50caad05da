"""How `varshift check` answers: also for code scanning and for the runners of workflows."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from varshift._cli.output import FileAnswer, draw, put, show, write
from varshift._cli.wording import in_options
from varshift._visible import harmless
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift.results import Findings

__all__ = ["FindingsAnswer", "print_rule", "repository"]


@dataclass(frozen=True)
class FindingsAnswer(FileAnswer):
    """The options by which `check` answers."""

    FORMATS: ClassVar[tuple[str, ...]] = ("text", "json", "html", "sarif", "github")

    format: Annotated[str, typer.Option(help="text, json, html, sarif or github")] = "text"

    def show_findings(self, found: Findings, *, to_stderr: bool) -> None:
        """The findings; on standard error where a patch goes to standard output."""
        aside = to_stderr and self.out is None
        if self.format == "text" and aside:
            draw(in_options(found).table(), None, to_stderr=True)
        elif self.format in ("sarif", "github") or (self.format == "json" and aside):
            self._write(self._text(found), aside=aside)
        else:
            show(found, self.format, self.out)
        self.write_report(found)

    def _write(self, text: str, *, aside: bool) -> None:
        commands = self.format == "github"
        if aside:
            print(text if commands else harmless(text), end="\n" * bool(text), file=sys.stderr)
        elif text or self.out is not None:
            write(text, self.out, commands=commands)

    def _text(self, found: Findings) -> str:
        from varshift._draw import sarif, workflow_commands

        if self.format == "github":
            return workflow_commands(found, repository())
        made: Any = found.to_dict() if self.format == "json" else sarif(found, repository())
        return json.dumps(made, allow_nan=False, indent=1)


def print_rule(code: str) -> None:
    """A rule in a few lines, then its page."""
    from varshift._check.rule_pages import rule_page
    from varshift.results import RULES

    rule = RULES.get(code.upper())
    if rule is None:
        raise UsageError(f"--explain {code!r} is no code; there are {', '.join(RULES)}")
    lines = (
        f"{rule.code} {rule.name}",
        "",
        rule.summary,
        f"Why: {rule.why}.",
        f"Fix: {rule.fix}.",
        f"Read on: {rule.page}" + (f", {rule.source}" if rule.source else ""),
        f"\n{rule_page(rule.code)}",
    )
    head, page = lines[:-1], lines[-1]
    put("".join(f"{textwrap.fill(line, 80, break_long_words=False)}\n" for line in head))
    put(f"{page}\n")


def repository() -> Path:
    """Where the paths of annotations start: the checkout, wherever in it the command is run."""
    said = os.environ.get("GITHUB_WORKSPACE")
    if said:
        return Path(said)
    here = Path.cwd()
    # A worktree's .git is a file.
    return next((place for place in (here, *here.parents) if os.path.exists(place / ".git")), here)
