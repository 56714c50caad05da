"""What a soak does again and again: every verb on models of several kinds, faces, commands."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

import varshift as vs
from contract.models import MODULES
from faults.features import FEATURES
from faults.features import data as small
from faults.injecting import Disk, Loader, raising_forward
from faults.verbs import VERBS
from problems.noisy_nets import Conv, Mlp
from varshift._cli.root import main as command_line
from varshift._draw import fragment, sarif
from varshift._loading import load_checkpoint, save_checkpoint

LENT = str(Path(__file__).parents[1] / "contract" / "lent.py")
COMMANDS = ("inspect", "measure", "explain", "predict", "check", "diagnose", "footprint")


def jobs(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """By name, everything that one round does, in order."""
    lasting = FEATURES["counter"]()
    for verb, run in VERBS.items():
        yield f"{verb}, one model all the time", partial(_undone, run, lasting)
        for name in ("counter", "parameter_data", "hook_added"):
            yield f"{verb} of {name}", partial(_fresh, run, name)
        for fault in ("loader", "forward"):
            yield f"{verb} with a {fault} that raises", partial(_failing, run, fault)
    for name, make in _models().items():
        for verb in ("measure", "explain", "diagnose", "recalibrate"):
            yield f"{verb} of {name}", partial(_on, verb, make)
    yield "every face", partial(_drawn, folder)
    yield "checkpoints", partial(_saved, folder)
    for command in COMMANDS:
        yield f"varshift {command}", partial(_command, command, folder)
    yield "a command that fails", partial(_command, "measure", folder, "nowhere")


def _undone(run, net):
    result = run(net, Loader())
    if (undo := getattr(result, "undo", None)) is not None:
        undo()


def _fresh(run, name):
    run(FEATURES[name](), Loader())


def _failing(run, fault):
    """An error's traceback holds frames, and they hold the model: all of it must go again."""
    net = FEATURES["counter"]()
    with contextlib.suppress(Disk, vs.VarshiftError):
        if fault == "loader":
            run(net, Loader(2, Disk("disk")))
        else:
            with raising_forward(net, 3, Disk("in forward")):
                run(net, Loader())


def _models():
    """Each with the shape of one of its samples."""
    compiled = torch.compile(MODULES["linear"](), backend="eager")  # torch keeps each for good
    return {
        "an MLP": lambda: (Mlp(), (8,)),
        "convolutions": lambda: (Conv(), (3, 8, 8)),
        "sample noise": lambda: (MODULES["sample"](), (6,)),
        "a mask by hand": lambda: (MODULES["mask"](), (4,)),
        "one norm twice": lambda: (MODULES["reused"](), (4,)),
        "functional": lambda: (MODULES["functional"](), (6,)),
        "compiled": lambda: (compiled, (6,)),
        "half": lambda: (Conv().to(torch.bfloat16), (3, 8, 8)),
    }


def _on(verb, make):
    net, shape = make()
    kind = next(net.parameters()).dtype
    generator = torch.Generator().manual_seed(0)
    getattr(vs, verb)(net, [torch.randn(32, *shape, generator=generator).to(kind) for _ in "123"])


def _drawn(folder):
    from matplotlib import pyplot

    net = FEATURES["counter"]()
    found = vs.measure(net, small())
    str(found), found.to_frame(), fragment(found), found.plot()
    pyplot.close("all")
    found.to_html(folder / "page.html")
    sarif(vs.check(net, small()[0]), folder)


def _saved(folder):
    for suffix in (".pt", ".safetensors"):
        net = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
        load_checkpoint(net, save_checkpoint(net, folder / f"weights{suffix}"))


def _command(command, folder, target="noisy"):
    before = sys.argv
    sys.argv = ["varshift", command, f"{LENT}:{target}", "--data", f"{LENT}:batches"]
    sys.argv += ["--report", str(folder / "report.html")]
    try:
        with (
            contextlib.suppress(SystemExit),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            command_line()
    finally:
        sys.argv = before
