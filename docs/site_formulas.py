"""Formulas become MathML when the site is built: browsers draw it, and nothing is fetched.

A page has a formula as GitHub renders it: a ```math block, or $`…`$ within a line. Both are LaTeX,
of which `align*` lines rows up. mkdocs calls `on_page_content` with the page after Markdown.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Any

from latex2mathml.converter import convert

_BLOCK = re.compile(r'<pre class="math"><code>(.*?)</code></pre>', re.DOTALL)
_INLINE = re.compile(r"\$<code>([^<]*)</code>\$")
# What the converter leaves as it was: a command it does not know, or an alignment it does not read.
_LEFT_OVER = re.compile(r"\\[a-zA-Z]*|<mi>&</mi>")


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """The page with its formulas in MathML; a Chinese page says that it is one."""
    html = _BLOCK.sub(lambda found: f'<div class="math">{mathml(found[1], "block")}</div>', html)
    html = _INLINE.sub(lambda found: mathml(found[1], "inline"), html)
    if page.file.src_uri.endswith(".zh.md"):
        html = f'<div lang="zh-CN">{html}</div>'
    return html


def mathml(latex: str, display: str) -> str:
    """One formula, escaped as in HTML, as a `math` element that keeps its LaTeX as `alttext`.

    Raises:
        ValueError: LaTeX of which the converter leaves something as it was.
    """
    latex = unescape(latex).strip()
    made = convert(latex, display=display).replace(
        r"\_", "_"
    )  # it keeps the backslash within \text
    if left := _LEFT_OVER.search(made):
        raise ValueError(
            f"latex2mathml does not read {left[0]} in {latex!r}; write it with commands it knows"
        )
    return made.replace("<math ", f'<math alttext="{escape(latex)}" ', 1)
