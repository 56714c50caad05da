"""The table of `make matrix` in both READMEs, made from docs/results/versions.jsonl."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.markdown_tables import head, row
from benchmarks.matrix import PYTHONS, ROOT, TORCHES, records

__all__ = ["main", "rows", "written"]

_BETWEEN = re.compile(r"(<!-- versions -->\n).*?(<!-- /versions -->)", re.DOTALL)
_CHINESE = {
    "passed": "通过",
    "failed": "失败",
    "skipped": "跳过",
    "no wheels": "没有安装包",
    "not run yet": "尚未运行",
}


def main() -> None:
    """Write the table into README.md and README.zh-CN.md."""
    for name, words in (("README.md", {}), ("README.zh-CN.md", _CHINESE)):
        path = ROOT / name
        path.write_text(written(path.read_text(), words))


def written(text: str, words: dict[str, str]) -> str:
    """The page with its table made anew."""
    if not _BETWEEN.search(text):
        raise SystemExit("no place for the table: <!-- versions --> … <!-- /versions -->")
    table = "\n".join(rows(words))
    return _BETWEEN.sub(lambda held: f"{held[1]}{table}\n{held[2]}", text)


def rows(words: dict[str, str]) -> list[str]:
    """A row per torch, a column per Python."""
    done = {(record["torch"], record["python"]): record for record in records()}
    pythons = [f"Python {python}" for python in PYTHONS]
    lines = [head("torch", *pythons, words=1 + len(PYTHONS))]
    for torch in TORCHES:
        told = [_told(done.get((torch, python)), words) for python in PYTHONS]
        lines.append(row(torch, *told))
    return lines


def _told(record: dict[str, Any] | None, words: dict[str, str]) -> str:
    def word(name: str) -> str:
        return words.get(name, name)

    if record is None:
        return word("not run yet")
    if record["outcome"] != "run":
        return word(record["outcome"])
    counts = ("passed", "failed", "skipped")
    return ", ".join(f"{record[name]} {word(name)}" for name in counts)


if __name__ == "__main__":
    main()
