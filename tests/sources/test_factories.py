from __future__ import annotations

import pytest
from torch import nn

from varshift.errors import ModelError, UsageError
from varshift.sources import load_factory, load_model


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
        ("problems.factories:number", UsageError, "gave a int"),
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
