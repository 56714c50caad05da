"""`varshift check`: as a process once, then in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent
FACTORIES = str(HERE / "problems" / "factories.py")
NOISY, CLEAN, DATA = (f"{FACTORIES}:{name}" for name in ("noisy", "clean", "batches"))
SHAPE = ("--input-shape", "3,8,8")


def test_as_a_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "varshift", "check", NOISY, *SHAPE],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env=os.environ | {"NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 1, done.stderr
    assert "VS102 noise-through-weights" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


def test_exit_codes(varshift):
    assert varshift("check", CLEAN, *SHAPE)[0] == 0
    code, out, _ = varshift("check", NOISY, *SHAPE, "--exit-zero")
    assert code == 0
    assert "1 finding above severity 1.1" in out
    assert varshift("check", NOISY, *SHAPE, "--max-severity", "50")[0] == 0
    assert varshift("check", NOISY, *SHAPE, "--ignore", "VS102,VS2")[0] == 0
    assert varshift("check", NOISY, *SHAPE, "--select", "VS2")[0] == 0
    assert varshift("check", NOISY, *SHAPE, "--ignore-module", "2=VS102")[0] == 0
    two = ("--ignore-module", "2=VS102", "--ignore-module", "2=VS2")
    assert varshift("check", NOISY, *SHAPE, *two)[0] == 0
    assert varshift("check", NOISY, "--data", DATA)[0] == 1


def test_json_is_measured_with_data(varshift):
    code, out, _ = varshift("check", NOISY, "--data", DATA, "--format", "json")
    told = json.loads(out)
    assert code == 1
    assert told["schema"] == "varshift.findings/1"
    assert [(f["code"], f["basis"], f["how"]) for f in told["findings"]] == [
        ("VS102", "data", "measured")
    ]
    assert told["findings"][0]["line"]["file"] == FACTORIES  # a bare Sequential: its factory


def test_sarif_and_github(varshift, tmp_path):
    code, _, _ = varshift("check", NOISY, *SHAPE, "--format", "sarif", "--out", "found.sarif")
    assert code == 1
    log = json.loads((tmp_path / "found.sarif").read_text(encoding="utf-8"))
    assert log["runs"][0]["results"][0]["ruleId"] == "VS102"
    code, out, _ = varshift("check", NOISY, *SHAPE, "--format", "github")
    assert code == 1
    assert out.startswith("::warning title=VS102 noise-through-weights::")
    code, out, _ = varshift("check", CLEAN, *SHAPE, "--format", "github")
    assert code == 0
    assert [line.partition("::")[2][:30] for line in out.splitlines()] == [
        "notice title=varshift::the inp"  # which are made up
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("check",), 2, "nothing to check: give a TARGET"),
        (("check", NOISY), 2, "give an example: either --input-shape"),
        (("check", NOISY, *SHAPE, "--data", DATA), 2, "either --input-shape to predict, or --data"),
        (("check", NOISY, *SHAPE, "--format", "xml"), 2, "none of text, json, html, sarif, github"),
        (("check", NOISY, *SHAPE, "--format", "html"), 2, "--format html needs --out FILE.html"),
        (("check", NOISY, *SHAPE, "--select", "E5"), 2, "select: 'E5' is no code"),
        (("check", NOISY, *SHAPE, "--ignore-module", "VS1"), 2, "has no '='"),
        (("check", NOISY, *SHAPE, "--fix-with", "luck", "--fix", "-"), 2, "none of relocate"),
        (("check", NOISY, *SHAPE, "--fix-with", "dropout"), 2, "give --fix FILE, or --fix - too"),
        (("check", NOISY, *SHAPE, "--select", ","), 2, "select: '' is no code"),
        (
            ("check", NOISY, *SHAPE, "--out", "no/a.json"),
            2,
            "--out 'no/a.json': there is no folder",
        ),
        (("check", NOISY, *SHAPE, "--fix", "no/a.patch"), 2, "--fix 'no/a.patch': there is no"),
        (("check", NOISY, *SHAPE, "--out", "."), 2, "--out '.' is a folder"),
        (("check", f"{FACTORIES}:breaks", *SHAPE, "--out", "no/a"), 2, "there is no folder 'no'"),
        (("check", NOISY, *SHAPE, "--task", "sorting"), 2, "leave it out or pass 'regression'"),
        (("check", NOISY, "--input-shape", "3,8"), 3, "the model raised"),
        (("check", f"{FACTORIES}:breaks", *SHAPE), 3, "no such weights"),
        (("check", NOISY, "--data", f"{FACTORIES}:raising_loader"), 3, "disk gone"),
    ],
)
def test_errors_are_sentences(varshift, arguments, code, said):
    found, out, error = varshift(*arguments)
    assert found == code
    assert said in error
    assert "Traceback" not in error
    assert out == ""


def test_the_project_says_what_the_command_line_does_not(varshift, tmp_path):
    place = tmp_path / "pyproject.toml"
    head = f'[tool.varshift]\ntarget = "{NOISY}"\ninput-shape = "3,8,8"\n'
    place.write_text(head, encoding="utf-8")
    assert varshift("check")[0] == 1
    assert varshift("check", CLEAN)[0] == 0
    place.write_text(head + "max-severity = 50\n", encoding="utf-8")
    assert varshift("check")[0] == 0
    assert varshift("check", "--max-severity", "1.1")[0] == 1
    silent = head + '[tool.varshift.per-module-ignores]\n"2" = ["VS102"]\n'
    place.write_text(silent, encoding="utf-8")
    assert varshift("check")[0] == 0
    place.write_text(head + "max_severity = 50\n", encoding="utf-8")
    code, _, error = varshift("check")
    assert code == 2
    assert "has no key 'max_severity'; did you mean 'max-severity'?" in error


def test_the_project_is_found_from_further_down(varshift, tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    table = '[tool.varshift]\ntarget = "net.py:make"\ninput-shape = "8"\n'
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    code, _, error = varshift("check")
    assert code == 1, error
    monkeypatch.chdir(tmp_path)
    code, out, error = varshift("check", "--fix", "-")
    assert code == 1, error
    assert out.startswith("--- net.py\n+++ net.py\n@@")


def test_the_projects_checkpoint_is_for_the_projects_target(varshift, tmp_path):
    table = f'[tool.varshift]\ntarget = "{NOISY}"\ncheckpoint = "w.pt"\ninput-shape = "3,8,8"\n'
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    assert varshift("check")[0] == 2  # there is no such file
    assert varshift("check", CLEAN)[0] == 0


def test_annotations_are_relative_to_the_checkout(varshift, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "net.py").write_text(NET, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    arguments = ("check", "net.py:make", "--input-shape", "8", "--format", "github")
    assert varshift(*arguments)[1].startswith("::warning file=net.py,")
    (tmp_path / ".git").mkdir()
    assert varshift(*arguments)[1].startswith("::warning file=deep/net.py,")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "deep"))
    assert varshift(*arguments)[1].startswith("::warning file=net.py,")


NET = """\
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.norm(F.dropout(x, 0.5, self.training)))


def make():
    torch.manual_seed(0)
    return Net()
"""


def test_fix_writes_a_patch_that_ends_the_finding(varshift, tmp_path):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    code, out, error = varshift("check", "net.py:make", "--input-shape", "8", "--fix", "-")
    assert code == 1
    assert out.startswith("--- net.py\n+++ net.py\n@@")
    assert "VS101 noise-before-norm" in error
    code, out, error = varshift("check", "net.py:make", "--input-shape", "8", "--fix", "a.patch")
    assert code == 1
    assert "git apply -p0 a.patch" in error
    subprocess.run(["git", "apply", "-p0", "a.patch"], cwd=tmp_path, check=True)
    assert varshift("check", "net.py:make", "--input-shape", "8")[0] == 0
    code, out, error = varshift("check", NOISY, *SHAPE, "--fix", "b.patch")
    assert "0: Dropout(p=0.5, inplace=False) → Dropout(p=0.0, inplace=False)" in error
    assert "no code to patch" in error
    assert not (tmp_path / "b.patch").exists()


def test_a_target_of_the_table_that_is_a_module_is_found_from_its_folder(
    varshift, tmp_path, monkeypatch
):
    (tmp_path / "tabled_net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "tabled_data.py").write_text(
        "import torch\n\n\ndef batches():\n    return [torch.randn(64, 8)] * 2\n", encoding="utf-8"
    )
    table = '[tool.varshift]\ntarget = "tabled_net:make"\n'
    (tmp_path / "pyproject.toml").write_text(table + 'input-shape = "8"\n', encoding="utf-8")
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    before = list(sys.path)
    code, out, error = varshift("check", "--select", "VS1,VS2")
    assert code == 1, error
    assert "VS101 noise-before-norm" in out
    data = table + 'data = "tabled_data:batches"\nselect = "VS1,VS2"\n'
    (tmp_path / "pyproject.toml").write_text(data, encoding="utf-8")
    code, _, error = varshift("check")
    assert code == 1, error
    assert sys.path == before


def test_a_model_of_two_inputs_is_told_the_way_out(varshift, tmp_path):
    text = NET.replace("forward(self, x)", "forward(self, x, y)")
    (tmp_path / "net.py").write_text(text, encoding="utf-8")
    two = ("--input-shape", "8", "--input-shape", "8")
    code, _, error = varshift("check", "net.py:make", *two)
    assert code == 3
    assert "Pass --forward file.py:function, a function of (model, batch), to say how" in error
    assert "forward=" not in error
    (tmp_path / "two.py").write_text("def both(model, batch):\n    return model(*batch)\n")
    code, _, error = varshift("check", "net.py:make", *two, "--forward", "two.py:both")
    assert code == 1, error


def test_a_file_above_the_folder_is_the_users_own(varshift, tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "deep").mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    arguments = ("check", "../net.py:make", "--input-shape", "8")
    code, _, error = varshift(*arguments, "--fix", "a.patch")
    assert code == 1
    assert "a library" not in error
    (line,) = (line for line in error.splitlines() if "apply it with: " in line)
    command = line.partition("apply it with: ")[2]
    assert command == f"git -C {tmp_path.resolve()} apply -p0 {Path('a.patch').resolve()}"
    subprocess.run(command.split(), check=True)
    assert varshift(*arguments)[0] == 0


def test_a_file_by_a_detour_is_patched_from_here(varshift, tmp_path):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "sub").mkdir()
    arguments = ("check", "sub/../net.py:make", "--input-shape", "8")
    code, out, _ = varshift(*arguments, "--fix", "-")
    assert code == 1
    assert out.startswith("--- net.py\n+++ net.py\n@@")
    subprocess.run(["git", "apply", "-p0"], input=out.encode(), cwd=tmp_path, check=True)
    assert varshift(*arguments)[0] == 0


def test_a_file_in_no_repository_of_ours_names_the_folder(varshift, tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    _, out, error = varshift("check", "../net.py:make", "--input-shape", "8", "--fix", "-")
    assert out == ""
    assert f"outside this folder and its repository: run this in {tmp_path.resolve()}" in error


DICTS = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.drop(x))


def loader():
    return [{"x": torch.randn(64, 4), "labels": torch.zeros(64)} for _ in range(4)]


def take(model, batch):
    return model(batch["x"])
"""


def test_forward_names_how_the_model_takes_a_batch(varshift, tmp_path):
    (tmp_path / "net.py").write_text(DICTS, encoding="utf-8")
    asked = ("check", "net.py:Net", "--data", "net.py:loader")
    code, _, error = varshift(*asked)
    assert code == 3
    assert "Pass --forward file.py:function, a function of (model, batch)" in error
    code, out, _ = varshift(*asked, "--forward", "net.py:take")
    assert (code, "VS101" in out) == (1, True)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.varshift]\ntarget = "net.py:Net"\ndata = "net.py:loader"\nforward = "net.py:take"\n',
        encoding="utf-8",
    )
    assert varshift("check")[0] == 1


def test_a_page_beside_the_table_and_a_rule_in_a_few_lines(varshift, tmp_path):
    (tmp_path / "net.py").write_text(DICTS, encoding="utf-8")
    code, *_ = varshift("check", "net.py:Net", "--input-shape", "4", "--report", "check.html")
    assert code == 1
    assert "VS101 noise-before-norm" in (tmp_path / "check.html").read_text(encoding="utf-8")
    code, out, _ = varshift("check", "--explain", "vs101")
    assert (code, out.splitlines()[0]) == (0, "VS101 noise-before-norm")
    assert "Fix: move the noise behind the last norm" in out
    code, _, error = varshift("check", "--explain", "VS999")
    assert (code, "is no code; there are VS101" in error) == (2, True)


def test_made_inputs_are_told_for_what_they_are(varshift, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef tokens():\n"
        "    return nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.BatchNorm1d(12))\n",
        encoding="utf-8",
    )
    for command in ("check", "inspect", "predict"):
        code, _, error = varshift(command, "net.py:tokens", "--input-shape", "3")
        assert code == 3
        assert "--input-shape 3 is the shape of one sample, without the batch" in error
        assert "for token ids and the like give --data" in error
    code, _, error = varshift("check", "net.py:tokens", "--checkpoint", "no.pt", *SHAPE)
    assert (code, "--checkpoint: there is no file 'no.pt'" in error) == (2, True)
