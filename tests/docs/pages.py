"""Runs the blocks of a documentation page, in order, in one namespace, and takes what they print.

A ```python block is run. A ```text block right behind it is its output. A ```console block holds
a command after `$ `, and what it prints, up to a line `…` if there is one.

`python tests/docs/pages.py PAGE …` writes the outputs of a real run into the page; a test compares.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])[-−+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """What stands between two fences, its language and where its text starts and ends."""

    language: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Shown:
    """An output the page shows, where, and what the run printed."""

    block: Block
    line: int
    printed: str


def blocks(page: str) -> list[Block]:
    return [
        Block(fence[1], fence[2], fence.start(2), fence.end(2)) for fence in _FENCE.finditer(page)
    ]


def run(path: Path) -> list[Shown]:
    """Every output the page shows beside what its blocks print; errors are raised as they are."""
    page = path.read_text()
    namespace: dict[str, object] = {"__name__": "page"}
    shown, printed, last = [], None, None
    for block in blocks(page):
        line = page.count("\n", 0, block.start) + 1
        if block.language == "python":
            code = compile("\n" * (line - 1) + block.text, str(path), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, namespace)
            printed, last = out.getvalue(), block
        elif block.language == "text" and last is not None and _follows(page, last, block):
            shown.append(Shown(block, line, printed))
            last = None
        elif block.language == "console":
            shown.append(Shown(block, line, _cut(block.text, _commands(block.text))))
    return shown


def differences(shown: str, printed: str) -> str | None:
    """None if they agree: words exactly, each number within one unit of its last place."""
    told, got = _words(shown), _words(printed)
    if told != got:
        pairs = zip(told, got, strict=False)
        where = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(told), len(got)))
        return f"the page says {told[where : where + 4]}, the run printed {got[where : where + 4]}"
    for told_number, got_number in zip(
        _NUMBER.findall(shown), _NUMBER.findall(printed), strict=True
    ):
        unit = max(_unit(told_number), _unit(got_number))
        if abs(_value(told_number) - _value(got_number)) > 1.01 * unit:
            return f"the page says {told_number}, the run printed {got_number}"
    return None


def _follows(page: str, block: Block, other: Block) -> bool:
    """Whether nothing but the fences stands between."""
    return page[block.end : other.start].split() == ["```", "```text"]


def _cut(shown: str, printed: str) -> str:
    """The printed lines, as many as the page shows before a line `…`."""
    before, dots, _ = shown.partition("\n…\n")
    if not dots:
        return printed
    return "\n".join([*printed.splitlines()[: before.count("\n") + 1], "…", ""])


def _commands(text: str) -> str:
    from varshift._cli import main

    out = io.StringIO()
    for command in re.findall(r"^\$ (.*(?:(?<=\\)\n.*)*)", text, re.MULTILINE):
        out.write(f"$ {command}\n")
        words = shlex.split(command.replace("\\\n", " "))
        assert words[0] == "varshift", f"{words[0]} is not run here"
        argv, sys.argv = sys.argv, words
        try:
            with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
                main()
        finally:
            sys.argv = argv
    return out.getvalue()


def _words(text: str) -> list[str]:
    return _NUMBER.sub("#", text).split()


def _value(number: str) -> float:
    return float(number.replace("−", "-"))


def _unit(number: str) -> float:
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def _written(path: Path) -> str:
    page = path.read_text()
    for shown in reversed(run(path)):
        lines = "\n".join(line.rstrip() for line in shown.printed.strip("\n").split("\n")) + "\n"
        page = page[: shown.block.start] + lines + page[shown.block.end :]
    return page


if __name__ == "__main__":
    for name in sys.argv[1:]:
        target = Path(name)
        target.write_text(_written(target))
