from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import varshift as vs
from varshift._check.configuration import configuration, passed_over
from varshift._loading import keywords_of


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


FULL = """
[tool.varshift]
target = "net.py:make"
input-shape = "3,8,8"
max-severity = 2
select = ["VS1", "VS2"]
ignore = ["VS106"]
task = "regression"
docs-url = "https://example.org/rules"
image-size = 96
model-kwargs = { classes = 10, drop = 0.3, act = "relu", widths = [8, 16] }

[tool.varshift.per-module-ignores]
"encoder.*" = ["VS102", "VS104"]
"head" = "VS1"
"""


def test_every_key_is_read_from_the_nearest_table(tmp_path):
    write(tmp_path, FULL)
    (tmp_path / ".git").mkdir()
    inner = write(tmp_path / "a" / "b", "[tool.other]\nx = 1\n")  # a file without the table
    said = configuration(inner)
    assert said.file == (tmp_path / "pyproject.toml").resolve()
    assert said.target == f"{tmp_path.resolve() / 'net.py'}:make"
    assert (said.input_shape, said.max_severity) == (("3,8,8",), 2.0)
    assert (said.select, said.ignore, said.task) == (("VS1", "VS2"), ("VS106",), "regression")
    assert said.per_module_ignores == {"encoder.*": ("VS102", "VS104"), "head": ("VS1",)}
    assert said.image_size == 96
    found = keywords_of(said.model_kwargs)
    assert found == {"classes": 10, "drop": 0.3, "act": "relu", "widths": [8, 16]}
    assert said.docs_url == "https://example.org/rules"
    assert configuration(write(tmp_path / "c", "[tool.varshift]\n")).target is None


@pytest.mark.parametrize("kind", ["a folder", "a file"])
def test_nothing_above_the_repository_is_read(tmp_path, kind):
    write(tmp_path, FULL)
    root = tmp_path / "work" / "repository"
    inner = root / "package" / "deep"
    inner.mkdir(parents=True)
    if kind == "a folder":
        (root / ".git").mkdir()
    else:  # a worktree's, a submodule's
        (root / ".git").write_text("gitdir: ../../elsewhere\n", encoding="utf-8")
    assert configuration(inner).file is None
    assert configuration(root).file is None
    assert passed_over(inner) == (tmp_path / "pyproject.toml").resolve()
    write(root, "[tool.varshift]\ntask = 'regression'\n")
    assert configuration(inner).file == (root / "pyproject.toml").resolve()
    assert passed_over(inner) is None


def test_without_a_repository_the_folder_alone_is_read(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    write(tmp_path, FULL)
    assert configuration(tmp_path).task == "regression"
    assert configuration(inner).file is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners there")
def test_a_table_of_another_user_is_not_read(tmp_path, monkeypatch):
    """As one that anybody put into a shared folder above, with a `.git` beside it."""
    write(tmp_path, FULL)
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "inner"
    inner.mkdir()
    whose = Path.lstat
    strange = SimpleNamespace(st_uid=os.getuid() + 1)
    monkeypatch.setattr(
        Path, "lstat", lambda path: strange if path.name == "pyproject.toml" else whose(path)
    )
    assert configuration(inner).file is None
    assert configuration(tmp_path).task == "regression"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max-sevrity = 1.1", r"has no key 'max-sevrity'; did you mean 'max-severity'\?"),
        ("x = 1", r"has no key 'x'; there are target, input-shape"),
        ("max-severity = '2'", "max-severity is '2'; write a number"),
        ("max-severity = true", "max-severity is True; write a number"),
        ("select = 1", "select is 1; write a list of strings"),
        ("target = 1", "target is 1; write a string"),
        ("image-size = 0", "image-size is 0; write a whole number"),
        ("image-size = true", "image-size is True; write a whole number"),
        ("model-kwargs = 3", "model-kwargs is 3; write a list"),
        ("model-kwargs = ['a-b=3']", "model-kwargs holds 'a-b=3'; write model-kwargs = {"),
        ("model-kwargs = ['drop']", "model-kwargs holds 'drop'; write model-kwargs = {"),
        ("model-kwargs = {a-b = 3}", "model-kwargs holds 'a-b=3'; write model-kwargs = {"),
        ("per-module-ignores = ['VS1']", "per-module-ignores is a table"),
        ("per-module-ignores = { a = 1 }", "per-module-ignores 'a' is 1; write a list"),
        ("=", "is no TOML"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path, line, said):
    write(tmp_path, f"[tool.varshift]\n{line}\n")
    with pytest.raises(vs.UsageError, match=said):
        configuration(tmp_path)


def test_a_table_that_is_none(tmp_path):
    write(tmp_path, "[tool]\nvarshift = 1\n")
    with pytest.raises(vs.UsageError, match="must be a table"):
        configuration(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "placed"),
    [
        ("target", "lib/net.py:make", True),
        ("target", "package.module:make", False),
        ("data", "loaders.py:train", True),
        ("data", "x.npy", True),
        ("data", "cifar10:test", False),
        ("data", "package.module:loader", False),
        ("checkpoint", "weights.safetensors", True),
        ("checkpoint", "weights", True),
        ("checkpoint", "weights.pt#ema", True),
        ("baseline", "known.json", True),
        ("docs-url", "x.py", False),
    ],
)
def test_files_are_found_from_the_tables_folder(tmp_path, key, value, placed):
    write(tmp_path, f'[tool.varshift]\n{key} = "{value}"\n')
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "a"
    inner.mkdir()
    said = getattr(configuration(inner), key.replace("-", "_"))
    assert said == (str(tmp_path.resolve() / value) if placed else value)
    away = tmp_path.resolve() / "elsewhere" / "net.py"
    write(tmp_path, f'[tool.varshift]\ntarget = "{away.as_posix()}:make"\n')
    assert configuration(inner).target == f"{away}:make"


def test_a_file_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    write(tmp_path, "[tool.varshift]\n")

    def refused(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(vs.UsageError, match=r"pyproject.toml cannot be read \(Permission denied"):
        configuration(tmp_path)
