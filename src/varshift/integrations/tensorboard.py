"""What a monitor has seen, into TensorBoard: a curve for each norm, a histogram of its channels.

from varshift.integrations import tensorboard

with tensorboard.open_writer("runs/one") as writer:  # or any SummaryWriter that is there
    for batch in loader:
        ...
        if monitor.step(batch):
            tensorboard.write(monitor, writer)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from varshift._monitor.monitor import Monitor
from varshift.errors import MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Writer", "open_writer", "write"]


class Writer(Protocol):
    """What is asked of a writer: torch's `SummaryWriter` and tensorboardX's have it."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> Any:
        """One number of a curve."""

    def add_histogram(self, tag: str, values: Any, global_step: int | None = None) -> Any:
        """Many numbers at one step."""


def open_writer(folder: str | Path, **keywords: Any) -> Any:
    """A `torch.utils.tensorboard.SummaryWriter` on a folder; a context manager that closes it.

    Args:
        folder: where the files go, made if it is not there.
        keywords: as `SummaryWriter` takes them.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard", "open_writer()") from error
    return SummaryWriter(str(folder), **keywords)


def write(
    monitor: Monitor,
    writer: Writer,
    *,
    step: int | None = None,
    prefix: str = "varshift",
    channels: bool = True,
) -> bool:
    """Write the monitor's last look; gives whether there was one. Needs no tensorboard itself.

    Scalars under the names of `monitor.metrics()`, and for each norm a histogram of Δ over its live
    channels, `varshift/delta/PATH`, (C,) values.

    Args:
        monitor: after a `step` that gave a record.
        writer: torch's `SummaryWriter`, tensorboardX's, or anything with the same two methods.
        step: where on the axis; by default the look's own step.
        prefix: what all names start with.
        channels: whether to write the histograms.

    Example:
        >>> import torch, varshift as vs
        >>> class Printer:
        ...     def add_scalar(self, tag, value, step): print(step, tag, round(value, 1))
        >>> _ = torch.manual_seed(0)
        >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm)
        >>> monitor = vs.Monitor(model, every=2, warn=False)
        >>> for _ in range(2):
        ...     x = torch.randn(4096, 4)
        ...     _ = model(x)
        ...     if monitor.step(x):
        ...         _ = write(monitor, Printer(), channels=False)  # doctest: +ELLIPSIS
        2 varshift/overhead ...
        2 varshift/worst 2.0
        2 varshift/severity/1 2.0
        2 varshift/shift/1 0.5
    """
    if not monitor.history:
        return False
    record = monitor.history[-1]
    at = record.step if step is None else step
    for name, value in monitor.metrics(prefix).items():
        writer.add_scalar(name, value, at)
    if channels:
        for path, norm in record.norms.items():
            live = _finite(norm.delta)
            if len(live):
                writer.add_histogram(f"{prefix}/delta/{path}", live.numpy(), at)
    return True


def _finite(values: Tensor) -> Tensor:
    return values[values.isfinite()]
