"""How much of a model may be copied while it is lent: a share of what memory is free."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

__all__ = ["Room"]

_MEMINFO = Path("/proc/meminfo")
_ALWAYS = 256 << 20  # bytes that are copied without asking what is free
_SHARE = 4  # of what is free, one part in so many
_UNKNOWN = 4 << 30  # where the system does not say


class Room:
    """Bytes that may still be copied, device by device."""

    def __init__(self) -> None:
        self._used: dict[torch.device, int] = {}
        self._bounds: dict[torch.device, int] = {}

    def takes(self, tensor: Tensor) -> bool:
        """Whether a copy of it may be made; if so, it is counted."""
        device = tensor.device
        used = self._used.get(device, 0) + tensor.numel() * tensor.element_size()
        if used > _ALWAYS and used > self._bound(device):
            return False
        self._used[device] = used
        return True

    def _bound(self, device: torch.device) -> int:
        if device not in self._bounds:
            self._bounds[device] = _free(device) // _SHARE + self._used.get(device, 0)
        return self._bounds[device]


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return _UNKNOWN
    line = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return 1024 * int(line.split()[1]) if line else _UNKNOWN
