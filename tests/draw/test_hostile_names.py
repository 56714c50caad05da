"""Names that are markup of every face at once: each shows them, and obeys none."""

from __future__ import annotations

import io
import json
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from torch import nn

import varshift as vs
from varshift._draw import fragment, sarif, workflow_commands

matplotlib.use("agg")
HARM = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
PARTS = [
    *("<x-evil onx=1>", '"onx=1 ', "'onx=1 ", "</script>", "</style>", "-->", "]]>", "&lt;"),
    *("[bold red]", "[/]", "[link=file:///]", "{{7*7}}", "{%x%}", "{x-evil}", "%(x)s", "%n"),
    *("$(x-evil)", "`x-evil`", ";x-evil", "| x-evil", "\\", "$\\frac$", "$x^2$", "_{a}"),
    *("\x1b[2J", "\x9b31m", "\n", "\r", "\u202e", "\u2028", "\ud800", "\x00", "::error::", "##[x]"),
]
names = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=5)), min_size=1, max_size=4)
hostile = names.map(lambda parts: "".join(parts).replace(".", ",") or "x")
several = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def results(name):
    torch.manual_seed(0)
    net = nn.Sequential()
    for kind, layer in (("d", nn.Dropout(0.5)), ("n", nn.BatchNorm1d(3)), ("h", nn.Linear(3, 2))):
        net.add_module(f"{kind}{name}", layer)
    net[1].running_mean.add_(0.1)
    data = torch.randn(96, 3).split(32)
    return vs.measure(net, data), vs.check(net, data[0])


class Tags(HTMLParser):
    """The elements and attributes of a page, but for texts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = {}, set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(scope="module")
def plain():
    return [Tags(fragment(result)) for result in results("plain")]


@several
@given(name=hostile)
def test_pages_and_notebooks(name, plain):
    for result, usual in zip(results(name), plain, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            page = result.to_html(Path(folder, "page.html")).read_text("utf-8")
        for text in (page, fragment(result)):
            seen = Tags(text)
            assert not any("evil" in tag for tag in seen.tags)
            assert not any(each.startswith(("onx", '"', "'")) for each in seen.attributes)
            assert not HARM.search(text)
            # A name that is cut has the whole of it as its title.
            assert Tags(fragment(result)).attributes - {"title"} == usual.attributes - {"title"}


@several
@given(name=hostile)
def test_terminals_and_runners(name):
    for result in results(name):
        held = io.StringIO()
        console = Console(file=held, width=4000, force_terminal=True, color_system="truecolor")
        console.print(result.table())
        text = re.sub(r"\x1b\[[\d;]*m", "", held.getvalue())  # rich's own colours
        assert not HARM.search(text)
        assert "\x1b]" not in held.getvalue()  # a link
        assert "\n" not in repr(result)
        for part in ("[bold red]", "[/]", "[link=file:///]"):
            assert part not in name or part in text
    commands = workflow_commands(results(name)[1], Path.cwd())
    assert all(re.match("::(warning|notice) [^:]*::", line) for line in commands.splitlines())


@several
@given(name=hostile)
def test_files_for_machines(name):
    measured, found = results(name)
    assert f"n{name}" in json.loads(json.dumps(measured.to_dict()))["sites"]
    told = json.loads(json.dumps(sarif(found, Path.cwd())))
    for one in told["runs"][0]["results"]:
        assert not HARM.search(one["message"]["text"])


@settings(several, max_examples=8)
@given(name=hostile)
def test_plots(name):
    from matplotlib import pyplot

    axes = results(name)[0].plot()
    axes.figure.canvas.draw()  # here matplotlib reads its mathematics
    assert all(not HARM.search(each.get_text()) for each in axes.get_yticklabels())
    pyplot.close("all")
