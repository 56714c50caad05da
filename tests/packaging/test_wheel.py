"""The wheel as an index and an installation see it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from varshift.results import RULES
from varshift.results.catalogue import DOCUMENTATION

pytest.importorskip("hatchling", reason="needs hatchling; pip install hatchling")
pytest.importorskip("hatch_fancy_pypi_readme", reason="needs hatch-fancy-pypi-readme; pip has it")

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)]+)\)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the checkout as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as held:
        yield held


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


def test_every_link_of_the_description_leads_somewhere_from_an_index(metadata):
    links = LINK.findall(metadata.get_payload(decode=True).decode())
    assert len(links) > 30
    assert [link for link in links if not link.startswith("https://")] == []


def test_links_into_the_repository_are_of_files_that_are_there(metadata):
    start = "https://github.com/varshift/varshift/blob/main/"
    links = LINK.findall(metadata.get_payload(decode=True).decode())
    inside = [link.removeprefix(start).partition("#")[0] for link in links if start in link]
    assert [path for path in inside if not (ROOT / path).is_file()] == []


def test_it_says_where_its_home_is_and_what_it_runs_on(metadata):
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert {"Homepage", "Source", "Issues", "Changelog"} <= set(urls)
    assert urls["Documentation"] == DOCUMENTATION
    pythons = [f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)]
    assert {*pythons, "Operating System :: OS Independent"} <= set(metadata.get_all("Classifier"))


def test_the_page_of_every_rule_is_inside(wheel):
    assert {f"varshift/_rules/{code}.md" for code in RULES} <= set(wheel.namelist())


def test_an_installation_explains_a_rule_from_its_own_page(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = (
        "import varshift._check.rule_pages as pages; print(pages.__file__); "
        "print(pages.rule_page('VS101'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    where, page = ended.stdout.split("\n", 1)
    assert where.startswith(str(tmp_path))
    assert "## Why" in page
    assert f"{DOCUMENTATION}/theory.html#sources" in page
    assert [link for link in LINK.findall(page) if not link.startswith("https://")] == []


def test_what_a_template_needs_is_named_by_the_extra_that_has_it():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert any(line.startswith("jinja2") for line in extras["report"])
