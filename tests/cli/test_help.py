"""`--help` and `-h` of every command: within 80 columns, with examples that run as they stand."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
import torch
import typer

from varshift._cli.root import app, main

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes, drop):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(drop))
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(drop), nn.Linear(8, classes))

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean((2, 3)))


def make(classes=2, drop=0.5):
    torch.manual_seed(0)
    return Net(classes, drop)
"""
DATA = """
import torch


def train():
    torch.manual_seed(1)
    return [(torch.randn(32, 3, 12, 12), torch.arange(32) % 2) for _ in range(8)]


def test():
    torch.manual_seed(2)
    return [(torch.randn(32, 3, 12, 12), torch.arange(32) % 2) for _ in range(4)]


def val():
    torch.manual_seed(3)
    return [(torch.randn(32, 3, 12, 12), torch.arange(32) % 2) for _ in range(4)]
"""
# Minutes each, and run as they are by tests of their own.
LONG = ("varshift demo", "varshift reproduce fig4")


def commands():
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        yield (name,)
        yield from ((name, inner) for inner in getattr(command, "commands", {}))


COMMANDS = [(), *commands()]
WITHOUT_A_MODEL = ("demo", "reproduce", "theory")


@pytest.fixture
def varshift(capsys, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["varshift", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        held = capsys.readouterr()
        return end.value.code or 0, held.out, held.err

    return run


def examples(text):
    """The lines below "Examples:", those that a backslash continues as one."""
    _, found, after = text.partition("  Examples:\n")
    assert found, text
    lines = [line.strip() for line in after.splitlines() if line.strip()]
    return [line.strip() for line in " ".join(lines).replace("\\ ", "").split("varshift ")[1:]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_fits_and_shows_examples(varshift, command):
    code, out, _ = varshift(*command, "-h")
    assert (code, out) == varshift(*command, "--help")[:2]
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "..." not in out.partition("\n\nCommands:")[2]
    assert examples(out)


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS[1:] if c[0] not in WITHOUT_A_MODEL], ids=" ".join
)
def test_help_describes_the_arguments_of_a_model(varshift, command):
    out = " ".join(varshift(*command, "--help")[1].split())
    assert "--model-kwargs NAME=VALUE …" in out
    assert "such as classes=10 drop=0.3" in out
    assert "FILE[#KEY]" in out


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET, encoding="utf-8")
    Path("data.py").write_text(DATA, encoding="utf-8")
    space = {}
    exec(NET + DATA, space)
    net = space["make"]()
    with torch.no_grad():
        for inputs, _ in space["train"]() * 10:
            net(inputs)
    torch.save(net.state_dict(), "weights.pt")
    image = pytest.importorskip("PIL.Image", reason="no pillow; pip install '.[dev]'")
    for part in ("train", "val"):
        for number in range(64):
            folder = Path("pictures", part, "ab"[number % 2])
            folder.mkdir(parents=True, exist_ok=True)
            noise = torch.randint(0, 255, (70, 70, 3), dtype=torch.uint8)
            image.fromarray(noise.numpy()).save(folder / f"{number}.png")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_examples_run_as_they_stand(varshift, here, command):
    if "pictures" in (shown := varshift(*command, "-h")[1]) or "timm" in shown:
        pytest.importorskip("timm", reason="no timm; pip install '.[zoo]'")
    for line in examples(shown):
        if not f"varshift {line}".startswith(LONG):
            code, _, error = varshift(*shlex.split(line))
            assert code in (0, 1), (line, error)
            assert "error" not in error, (line, error)
