"""The public names, sorted and found; what importing costs in modules."""

from __future__ import annotations

import subprocess
import sys

import varshift


def test_names_are_sorted_and_found():
    assert varshift.__all__ == sorted(varshift.__all__)
    for name in varshift.__all__:
        assert getattr(varshift, name).__module__.startswith("varshift.")
    assert set(varshift.__all__) <= set(dir(varshift))


def test_importing_loads_no_extra():
    code = (
        "import sys, varshift; assert 'torch' not in sys.modules\n"
        "[getattr(varshift, name) for name in varshift.__all__]\n"
        "extras = {'typer', 'rich', 'pandas', 'sklearn', 'timm', 'torchvision', 'jinja2'}\n"
        "extras |= {'h5py', 'onnx'}\n"
        "assert not extras & set(sys.modules), extras & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
