"""The documentation's page of a rule, which a wheel brings along."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from varshift.results.catalogue import DOCUMENTATION, rule

__all__ = ["rule_page"]

_INSTALLED = Path(__file__).parents[1] / "_rules"
_CHECKOUT = Path(__file__).parents[3] / "docs/rules"
_LINK = re.compile(r"\]\((?!https?://)([^)#]*?)(?:\.md)?(#[^)]*)?\)")


def rule_page(code: str) -> str:
    """The page without its title and its last line of links; "" where an installation lacks it.

    In Markdown, as it is written; what it links to is named by address.

    Raises:
        UsageError: there is no such code.

    >>> rule_page("VS101").split(":")[0]
    'Dropout (or other noise per element) reaches a BatchNorm directly'
    """
    name = f"{rule(code).code}.md"
    for folder in (_CHECKOUT, _INSTALLED):
        if (folder / name).is_file():
            text = (folder / name).read_text(encoding="utf-8")
            return _LINK.sub(_address, text.split("\n", 1)[1].rsplit("\n[All rules]", 1)[0]).strip()
    return ""


def _address(link: re.Match[str]) -> str:
    page, part = link[1], link[2] or ""
    place = [piece for piece in PurePosixPath(f"rules/{page}").parts if piece]
    while ".." in place:
        at = place.index("..")
        del place[at - 1 : at + 1]
    return f"]({DOCUMENTATION}/{'/'.join(place)}.html{part})"
