from __future__ import annotations

import pytest

import varshift as vs
from varshift._check.configuration import configuration


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

[tool.varshift.per-module-ignores]
"encoder.*" = ["VS102", "VS104"]
"head" = "VS1"
"""


def test_every_key_is_read_from_the_nearest_table(tmp_path):
    write(tmp_path, FULL)
    inner = write(tmp_path / "a" / "b", "[tool.other]\nx = 1\n")  # a file without the table
    said = configuration(inner)
    assert said.file == (tmp_path / "pyproject.toml").resolve()
    assert said.target == f"{tmp_path.resolve() / 'net.py'}:make"
    assert (said.input_shape, said.max_severity) == (("3,8,8",), 2.0)
    assert (said.select, said.ignore, said.task) == (("VS1", "VS2"), ("VS106",), "regression")
    assert said.per_module_ignores == {"encoder.*": ("VS102", "VS104"), "head": ("VS1",)}
    assert said.docs_url == "https://example.org/rules"
    assert configuration(write(tmp_path / "c", "[tool.varshift]\n")).target is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max-sevrity = 1.1", r"has no key 'max-sevrity'; did you mean 'max-severity'\?"),
        ("x = 1", r"has no key 'x'; there are target, input-shape"),
        ("max-severity = '2'", "max-severity is '2'; write a number"),
        ("max-severity = true", "max-severity is True; write a number"),
        ("select = 1", "select is 1; write a list of strings"),
        ("target = 1", "target is 1; write a string"),
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
        ("docs-url", "x.py", False),
    ],
)
def test_files_are_found_from_the_tables_folder(tmp_path, key, value, placed):
    write(tmp_path, f'[tool.varshift]\n{key} = "{value}"\n')
    inner = tmp_path / "a"
    inner.mkdir()
    said = getattr(configuration(inner), key.replace("-", "_"))
    assert said == (str(tmp_path.resolve() / value) if placed else value)
    away = tmp_path.resolve() / "elsewhere" / "net.py"
    write(tmp_path, f'[tool.varshift]\ntarget = "{away.as_posix()}:make"\n')
    assert configuration(inner).target == f"{away}:make"
