"""What mkdocs does not do by itself: patterns in the nav, scripts in pages, pages still to come."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_INCLUDE = re.compile(r"^<!-- include (\S+\.py) -->$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Put the pages a pattern matches in its place, without those the nav names itself."""
    docs = Path(config["docs_dir"])
    named = set(_named(config["nav"]))
    config["nav"] = _expanded(config["nav"], docs, named)
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Scripts come in; a link to a pending page that is not there becomes text."""
    docs, folder = Path(config["docs_dir"]), posixpath.dirname(page.file.src_uri)
    pending = {name for name in config["extra"]["pending"] if not (docs / name).exists()}

    def plain(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        return f"{link[1]} (to come)" if target in pending else link[0]

    markdown = _INCLUDE.sub(
        lambda found: f"```python\n{(docs / found[1]).read_text()}```", markdown
    )
    # A lost anchor is led on.
    for anchor, target in config["extra"]["anchors"].get(page.file.src_uri, {}).items():
        if not re.search(rf"^#+ .*\b{anchor}\b", markdown, re.MULTILINE | re.IGNORECASE):
            markdown = markdown.replace(f"](#{anchor})", f"]({target})")
    return _LINK.sub(plain, markdown) if pending else markdown


def _named(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [] if "*" in nav else [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [name for part in parts for name in _named(part)]


def _expanded(nav: list[Any], docs: Path, named: set[str]) -> list[Any]:
    done: list[Any] = []
    for item in nav:
        if isinstance(item, str) and "*" in item:
            found = sorted(path.relative_to(docs).as_posix() for path in docs.glob(item))
            done += [name for name in found if name not in named]
        elif isinstance(item, dict):
            ((title, value),) = item.items()
            done.append(
                {title: _expanded(value, docs, named) if isinstance(value, list) else value}
            )
        else:
            done.append(item)
    return done
