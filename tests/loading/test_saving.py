"""Weights are saved whole or not at all, and load again."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from varshift._loading import load_checkpoint, save_checkpoint, saving
from varshift.errors import CheckpointError, UsageError


def tied():
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 4, bias=False))
    net[2].weight = net[0].weight
    return net


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_what_is_saved_loads_bit_for_bit(tmp_path, suffix):
    net, fresh = tied(), tied()
    nn.init.normal_(net[1].running_mean)
    path = save_checkpoint(net, tmp_path / f"weights{suffix}")
    load_checkpoint(fresh, path)
    for name, value in net.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("writer failed")])
def test_a_failing_writer_leaves_the_old_file(tmp_path, monkeypatch, suffix, error):
    path = tmp_path / f"weights{suffix}"
    save_checkpoint(tied(), path)
    old = path.read_bytes()

    def fail(state, fresh):
        fresh.write_bytes(b"half")
        raise error

    monkeypatch.setattr(saving, "_save_safetensors", fail)
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(CheckpointError, match="what was there before is as it was"):
        save_checkpoint(tied(), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_disk_that_is_really_full(tmp_path, suffix):
    """The system refuses to write more than 2,000 bytes to a file; the weights need 40,000."""
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"old")
    code = f"""
        import resource, signal, torch
        from varshift.errors import CheckpointError
        from varshift._loading import save_checkpoint
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            save_checkpoint(torch.nn.Linear(100, 100), {str(path)!r})
        except CheckpointError as error:
            print("refused:", error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert "refused:" in done.stdout, done.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_take_weights(tmp_path):
    with pytest.raises(UsageError, match=r"ends in none of \.safetensors, \.pt, \.pth"):
        save_checkpoint(tied(), tmp_path / "weights.onnx")
    with pytest.raises(UsageError, match="there is no folder"):
        save_checkpoint(tied(), tmp_path / "none" / "weights.pt")


def test_a_state_that_safetensors_cannot_hold(tmp_path):
    class More(nn.Linear):
        def get_extra_state(self):
            return {"step": 3}

        def set_extra_state(self, state):
            pass

    with pytest.raises(CheckpointError, match=r"write a \.pt file"):
        save_checkpoint(More(2, 2), tmp_path / "weights.safetensors")
    assert list(tmp_path.iterdir()) == []
    save_checkpoint(More(2, 2), tmp_path / "weights.pt")
