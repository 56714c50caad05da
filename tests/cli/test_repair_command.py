"""`varshift repair` as a process: what it writes, what it says, and with which code it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import varshift as vs
from problems.commands import varshift
from problems.shifted import pairs, shifted

NETS = """
import torch
from torch import nn
from varshift._cli.demo.net import PreResNet

def frozen():
    net = PreResNet(1, width=8, blocks=2, drop_p=0.7)
    net.blocks[0].norm2.eval()
    return net

class Closed(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm2d(3)

    @torch.no_grad()
    def forward(self, x):
        return self.norm(self.drop(x)).mean((2, 3))
"""
FACTORIES = str(Path(__file__).parent.parent / "problems" / "factories.py")


def repair(*arguments, cwd=None):
    return varshift("repair", *arguments, cwd=cwd)


def trained(tmp_path, *, exact=False):
    """The call that repairs the network, with its checkpoint; with exact statistics or its own."""
    path, net = tmp_path / "trained.pt", shifted("a", 0.7)
    if exact:
        vs.recalibrate(net, [x for x, _ in pairs("train")])
    torch.save(net.state_dict(), path)
    asked = ("--checkpoint", str(path), "--data", "digits", "--held-out", "digits:test")
    return (f"{FACTORIES}:preresnet", *asked)


def test_repaired_weights_are_written_and_the_report_says_before_and_after(tmp_path):
    out = tmp_path / "fixed.safetensors"
    page = tmp_path / "report.html"
    done = repair(*trained(tmp_path), "--method", "recalibrate", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "Repaired by recalibrate: held-out loss " in done.stdout
    assert "as trained" in done.stdout
    assert "kept" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert f"the repaired weights are in {out}" in done.stderr
    before = torch.load(tmp_path / "trained.pt", weights_only=True)
    after = load_file(out)
    assert after.keys() == before.keys()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var"}
    # Repaired a second time there is little left to gain: the file loads, and is judged anew.
    again = repair(
        *(f"{FACTORIES}:preresnet", "--checkpoint", str(out), "--data", "digits:train"),
        *("--held-out", "digits:test", "--method", "recalibrate", "--format", "html"),
        *("--report", str(page)),
    )
    assert again.returncode == 1, again.stderr
    assert "no repair helped" in page.read_text(encoding="utf-8")


def test_nothing_is_written_where_nothing_helps(tmp_path):
    out = tmp_path / "fixed.pt"
    out.write_bytes(b"an older file")
    # The closed form takes the shift out of statistics that have none any more.
    arguments = (*trained(tmp_path, exact=True), "--method", "correct", "--out", str(out))
    done = repair(*arguments, "--format", "json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert not told["accepted"]
    assert told["candidates"][0]["trial"]["loss"]["mean"] > 0
    assert f"nothing was written to {out}" in done.stderr
    assert out.read_bytes() == b"an older file"
    assert repair(*arguments, "--exit-zero").returncode == 0


def test_a_clean_model_exits_with_zero_and_writes_nothing(tmp_path):
    out = tmp_path / "fixed.pt"
    done = repair(f"{FACTORIES}:settled", "--data", f"{FACTORIES}:batches", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "there is nothing to repair; the model is" in done.stdout
    assert not out.exists()


def test_kind_and_frozen_norms_are_passed_on(tmp_path):
    asked = (*trained(tmp_path), "--method", "recalibrate", "--format", "json")
    told = json.loads(repair(*asked, "--kind", "values", "--no-labels").stdout)
    assert told["before"]["accuracy"] is None
    assert not any("were taken for" in note for note in told["notes"])
    (tmp_path / "nets.py").write_text(NETS)
    given = ("--data", "digits", "--held-out", "digits:test", "--method", "recalibrate")
    for more, written in (((), False), (("--include-frozen",), True)):
        done = repair(f"{tmp_path / 'nets.py'}:frozen", *given, "--format", "json", *more)
        told = json.loads(done.stdout)
        tensors = told["candidates"][0]["tensors"]
        assert ("blocks.0.norm2.running_mean" in tensors) == written


def test_a_repair_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    done = repair(
        *(f"{tmp_path / 'nets.py'}:Closed", "--data", f"{FACTORIES}:batches", "--kind", "values"),
        *("--method", "recalibrate,distill"),
    )
    said = " ".join(done.stdout.split())
    assert "distill failed: the model's output does not depend differentiably on its norms" in said
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "folder.pt"), "is a folder; name a file in it, as in folder.pt/fixed.pt"),
        (("--kind", "scores"), "kind is 'scores'; pass one of logits"),
        (("--level", "2"), "level is 2.0; pass a chance between 0 and 1"),
        (("--out", "weights.onnx"), "ends in none of"),
        (("--out", "nowhere/weights.pt"), "there is no folder"),
        (("--method", "magic"), "method 'magic' is none of auto"),
        (("--format", "xml"), "--format 'xml' is none of"),
    ],
)
def test_usage(tmp_path, arguments, said):
    (tmp_path / "folder.pt").mkdir()
    given = (f"{FACTORIES}:settled", "--data", f"{FACTORIES}:batches")
    done = repair(*given, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_loader_that_fails_ends_with_three_and_writes_nothing(tmp_path):
    out = tmp_path / "fixed.pt"
    done = repair(
        *(f"{FACTORIES}:noisy", "--data", f"{FACTORIES}:raising_loader", "--out", str(out))
    )
    assert done.returncode == 3
    assert "disk gone" in done.stderr
    assert not out.exists()
