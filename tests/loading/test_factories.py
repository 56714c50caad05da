from __future__ import annotations

import sys

import pytest
from torch import nn

from varshift._loading import load_factory, load_function, load_model
from varshift.errors import ModelError, UsageError


def test_modules_and_files(tmp_path):
    assert isinstance(load_model("problems.factories:noisy"), nn.Sequential)
    file = tmp_path / "net.py"
    file.write_text("import helper\nfrom torch import nn\nmade = nn.Linear(2, 2)\n")
    (tmp_path / "helper.py").write_text("")
    assert isinstance(load_model(f"{file}:made"), nn.Linear)
    assert load_factory("problems.factories:number") == 3


@pytest.mark.parametrize(
    ("target", "error", "match"),
    [
        ("problems.factories", UsageError, "write package.module:factory"),
        ("no_such_thing:make", UsageError, "no module 'no_such_thing'"),
        ("none.py:make", UsageError, "no file 'none.py'"),
        ("problems.factories:nosy", UsageError, "it has noisy"),
        ("problems.factories:number", UsageError, "gave an int"),
        ("problems.factories:breaks", ModelError, "RuntimeError when called .*no such weights"),
    ],
)
def test_sentences(target, error, match):
    with pytest.raises(error, match=match):
        load_model(target)


def test_a_file_that_cannot_be_imported(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("1 / 0")
    with pytest.raises(UsageError, match="raised ZeroDivisionError"):
        load_model(f"{file}:made")


def written(folder, text):
    (folder / "theirs.py").write_text(text, encoding="utf-8")
    return str(folder / "theirs.py")


SCRIPTS = {
    "import sys\nsys.exit(0)\n": (UsageError, r"called sys.exit\(0\): put what runs as a script"),
    "def make():\n    raise SystemExit(3)\n": (
        ModelError,
        r"called sys.exit\(3\) and gave nothing",
    ),
    "def make(depth, *, width, act=None): ...\n": (
        UsageError,
        "it needs 'depth', 'width'; write a",
    ),
    "def make(): ...\n": (UsageError, "returned None; does it return the model"),
    "from torch import nn\ndef net(): ...\n": (UsageError, "has no 'make'; it has net$"),
}


@pytest.mark.parametrize("text", SCRIPTS)
def test_what_a_file_of_theirs_does(text, tmp_path):
    error, said = SCRIPTS[text]
    with pytest.raises(error, match=said):
        load_model(f"{written(tmp_path, text)}:make")


def test_a_file_that_reads_its_command_line_finds_none(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["varshift", "inspect", "theirs.py:make"])
    text = (
        "import argparse\nfrom torch import nn\n"
        "parser = argparse.ArgumentParser()\nparser.add_argument('--lr', default=0.1)\n"
        "args = parser.parse_args()\ndef make():\n    return nn.Linear(2, 2)\n"
    )
    assert load_model(f"{written(tmp_path, text)}:make").out_features == 2
    assert sys.argv[0] == "varshift"
    with pytest.raises(UsageError, match=r"theirs.py' called sys.exit\(2\)"):
        load_model(f"{written(tmp_path, text.replace('default=0.1', 'required=True'))}:make")


def test_a_file_or_a_checkpoint_without_a_name(tmp_path):
    text = (
        "def _private(): ...\nclass Net: ...\ndef block(width): ...\ndef make_model(depth=3): ...\n"
    )
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=r"such as .*theirs.py:make_model$"):
        load_model(path)
    with pytest.raises(UsageError, match=r"such as .*theirs.py:factory$"):
        load_model(written(tmp_path, "x = 1\0"))
    with pytest.raises(UsageError, match=r"'w.pt' is a checkpoint: name the model it is of"):
        load_model("w.pt")


def test_a_function_is_not_called(tmp_path):
    path = written(tmp_path, "def forward(model, batch):\n    return model(batch)\nnumber = 3\n")
    assert load_function(f"{path}:forward")(abs, -2) == 2
    with pytest.raises(UsageError, match="is an int, which cannot be called"):
        load_function(f"{path}:number")


FORWARDS = """
class Callable:
    def __call__(self, model, batch): ...

def one(model): ...
def three(model, batch, mask): ...
def named(*, model, batch): ...
def more(model, batch, mask=None): ...
def any_(*arguments): ...
callable_ = Callable()
written_in_c = getattr
"""


@pytest.mark.parametrize("name", ["one", "three", "named"])
def test_a_forward_that_takes_no_model_and_batch_is_refused(tmp_path, name):
    (tmp_path / "forwards.py").write_text(FORWARDS)
    with pytest.raises(UsageError, match=rf"'.*{name}' takes \(.*model and a batch"):
        load_function(f"{tmp_path / 'forwards.py'}:{name}")


@pytest.mark.parametrize("name", ["more", "any_", "callable_", "written_in_c"])
def test_a_forward_that_takes_them_is_taken(tmp_path, name):
    (tmp_path / "forwards.py").write_text(FORWARDS)
    assert callable(load_function(f"{tmp_path / 'forwards.py'}:{name}"))


def test_a_lazy_package_is_not_loaded_to_say_what_it_has(tmp_path):
    text = (
        "def net(): ...\ndef __dir__():\n    return ['net', 'heavy']\n"
        "def __getattr__(name):\n    if name == 'heavy':\n"
        "        raise ImportError('needs scipy')\n"
        "    raise AttributeError(name)\n"
    )
    with pytest.raises(UsageError, match=r"has no 'make'; it has net$"):
        load_model(f"{written(tmp_path, text)}:make")


def test_a_dataclass_in_a_factory_file(tmp_path):
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from torch import nn\n@dataclass\nclass Config:\n    width: int = 2\n"
        "def make():\n    return nn.Linear(2, Config().width)\n"
    )
    assert load_model(f"{written(tmp_path, text)}:make").out_features == 2
    assert "theirs" not in sys.modules
