"""The page of `make mutants`, made from its records."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.markdown_tables import head, row, table
from benchmarks.mutants.equivalent import EQUIVALENT
from benchmarks.mutants.plan import GROUPS, PAGE
from benchmarks.mutants.records import LIVES, records

__all__ = ["page", "write"]

_KINDS = ("killed", "hung", "equivalent", "survived")


def write() -> None:
    """Write the page and print its first table."""
    text = page(list(records().values()))
    PAGE.write_text(text)
    print(text.partition("## By file")[0])


def page(found: list[dict[str, Any]]) -> str:
    """What became of each mutant, by group and by file; then who lives, and why."""
    told = [record | {"kind": _kind(record)} for record in found]
    equivalent = [record for record in told if record["kind"] == "equivalent"]
    survived = [record for record in told if record["kind"] == "survived"]
    reasons = [(_change(one), EQUIVALENT[one["key"]]) for one in equivalent]
    parts = [
        "# Mutants",
        f"{len(told)} small changes to the source out of a fixed sample, each met by the tests of "
        "its rooms; `make mutants` makes this page (how: `benchmarks/README.md`), and meets what "
        "changed files have new in the sample. “Hung”: the tests did not end, which counts as "
        "killed. “Equivalent”: no test can tell it, for the reason below. The share is killed and "
        "hung among all that are not equivalent.",
        _table("group", [(name, [r for r in told if r["group"] == name]) for name in GROUPS], told),
        "## By file",
        _table("file", [(f, [r for r in told if r["file"] == f]) for f in _files(told)], told),
        "## Equivalent",
        table(["change", "why no test can tell"], reasons, words=2),
        "## Survived",
        table(["change"], [(_change(one),) for one in survived]),
    ]
    return "\n\n".join(parts) + "\n"


def _files(told: list[dict[str, Any]]) -> list[str]:
    return sorted({record["file"] for record in told})


def _kind(record: dict[str, Any]) -> str:
    if record["outcome"] in LIVES:
        return "equivalent" if record["key"] in EQUIVALENT else "survived"
    return str(record["outcome"])


def _table(
    name_of: str, rows: list[tuple[str, list[dict[str, Any]]]], told: list[dict[str, Any]]
) -> str:
    lines = [head(name_of, "mutants", *_KINDS, "share")]
    for name, members in [*rows, ("**all**", told)]:
        counts = Counter(record["kind"] for record in members)
        dead = counts["killed"] + counts["hung"]
        real = dead + counts["survived"]
        share = f"{100 * dead / real:.0f} %" if real else "—"
        lines.append(row(name, len(members), *(counts[kind] for kind in _KINDS), share))
    return "\n".join(lines)


def _change(record: dict[str, Any]) -> str:
    before, after = (_code(record[side]) for side in ("before", "after"))
    where = f"{record['file']}, `{record['function'] or 'top'}`"
    return f"`{record['key']}` {where}: {before} → {after}"


def _code(text: str) -> str:
    short = text if len(text) <= 120 else text[:119] + "…"
    return f"`` {short.replace('|', chr(92) + '|')} ``"
