"""Every extra, from the built wheel, in an empty environment: `make extras`.

An extra passes where its own command works; what it does not bring must be missed with a sentence.
Finished extras stand in build/extras/done.jsonl and are not tried again for the same wheel.

EXTRAS       "cli,report": these alone
CPU_WHEELS   an index with CPU builds of torch, tried first
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.matrix import ROOT, installer, uv

FOLDER = ROOT / "build/extras"
_NET = """
import torch, varshift as vs
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
data = torch.randn(40, 3).split(10)
"""


def missing(call: str, extra: str) -> str:
    """Code that holds `call` to say which extra it wants."""
    return f"""{_NET}
try:
    {call}
except vs.errors.MissingExtraError as error:
    assert "[{extra}]" in str(error), error
    print(error)
else:
    raise SystemExit("nothing was missed")
"""


# What each brings, and what is missed without it.
TRIED: dict[str, tuple[str, ...]] = {
    "": (
        f"{_NET}\nprint(vs.measure(net, data))",
        missing("vs.measure(net, data).table()", "cli"),
        missing("vs.measure(net, data).to_frame()", "report"),
        missing("vs.measure(net, data).plot()", "report"),
        # Not `to_html`: jinja2, all that it needs, comes with torch.
        missing("__import__('varshift.integrations.lightning')", "lightning"),
        missing("__import__('varshift.integrations.transformers')", "transformers"),
    ),
    "cli": (
        "import subprocess as s; s.run(['varshift', 'check', '--explain', 'VS101'], check=True)",
        f"{_NET}\nimport rich; rich.print(vs.measure(net, data).table())",
        missing("vs.measure(net, data).plot()", "report"),
    ),
    "report": (
        f"{_NET}\nvs.measure(net, data).to_html('shift.html')",
        f"{_NET}\nvs.measure(net, data).to_frame(); vs.measure(net, data).plot()",
    ),
    "foreign": ("import h5py, onnx",),
    "demo": (
        "import subprocess; subprocess.run(['varshift', 'demo', '--epochs', '1'], check=True)",
    ),
    "reproduce": (
        "import subprocess; subprocess.run(['varshift', 'reproduce', '--list'], check=True)",
    ),
    "zoo": ("import timm, torchvision, varshift",),
    "lightning": ("from varshift.integrations.lightning import NoiseOffStatistics as N; N()",),
    "transformers": ("from varshift.integrations.transformers import NoiseOffStatistics",),
    "tensorboard": ("from varshift.integrations.tensorboard import open_writer",),
    "ray": ("import ray.train, varshift",),
    "bench": ("import fvcore, matplotlib, torchinfo, torchlens, varshift",),
    "docs": ("import latex2mathml, mkdocs, material, mkdocstrings, varshift",),
}


def main() -> None:
    """Try what was not yet tried with this wheel."""
    wheels = sorted((ROOT / "dist").glob("varshift-*.whl"))
    if not wheels:
        sys.exit("no wheel in dist/: make dist")
    wheel = wheels[-1]
    stamp = f"{wheel.name} {wheel.stat().st_mtime_ns}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    record = FOLDER / "done.jsonl"
    lines = record.read_text().splitlines() if record.exists() else []
    done = {tuple(json.loads(line)) for line in lines}
    asked = os.environ.get("EXTRAS")
    failed = []
    for extra in TRIED if asked is None else asked.split(","):
        if (stamp, extra) in done and asked is None:
            continue
        said = tried(extra, wheel)
        print(f"{extra or '(core)'}: {said or 'fine'}", flush=True)
        if said:
            failed.append(extra or "(core)")
        else:
            with record.open("a") as file:
                file.write(json.dumps([stamp, extra]) + "\n")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def tried(extra: str, wheel: Path) -> str:
    """What went wrong with an extra; nothing if nothing did."""
    environment = FOLDER / (extra or "core")
    shutil.rmtree(environment, ignore_errors=True)
    without_pip = ["--without-pip"] if uv() else []
    subprocess.run([sys.executable, "-m", "venv", *without_pip, str(environment)], check=True)
    try:
        cpu = os.environ.get("CPU_WHEELS", "")
        if cpu:
            run([*installer(environment), "--no-deps", "--index-url", cpu, "torch"], environment)
        target = f"{wheel}[{extra}]" if extra else str(wheel)
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        ended = run([*installer(environment), *constraints, target], environment)
        if ended.returncode:
            return ended.stderr[-2000:]
        for code in TRIED[extra]:
            ended = run([str(environment / "bin/python"), "-c", code], environment)
            if ended.returncode:
                return (ended.stdout + ended.stderr)[-2000:]
        return ""
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def run(command: list[str], environment: Path) -> subprocess.CompletedProcess[str]:
    """In a folder without the sources, so that what is imported is what was installed."""
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PATH": path}
    return subprocess.run(
        command, cwd=environment, env=surroundings, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    main()
