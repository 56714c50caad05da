"""Every test here runs on the processor, and once more on the accelerator where there is one."""

from __future__ import annotations

import pytest
import torch

ACCELERATORS = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "xpu": lambda: hasattr(torch, "xpu") and torch.xpu.is_available(),
}
FOUND = next((name for name, there in ACCELERATORS.items() if there()), None)


@pytest.fixture(
    params=["cpu", pytest.param("accelerator", marks=pytest.mark.accelerator)], scope="module"
)
def device(request):
    if request.param == "cpu":
        return torch.device("cpu")
    if FOUND is None:
        pytest.skip("no accelerator here; on a machine with one: python -m benchmarks accelerator")
    return torch.device(FOUND, 0)


@pytest.fixture
def accelerator():
    if FOUND is None:
        pytest.skip("no accelerator here; on a machine with one: python -m benchmarks accelerator")
    return torch.device(FOUND, 0)
