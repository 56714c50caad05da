"""What training loops call: noise-off statistics for a block's duration, and `update_bn`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from varshift._engine import Data, Forward, Progress, Undo
from varshift._repair.recalibration import recalibrate, recalibrated
from varshift.errors import UsageError
from varshift.results import Recalibration

__all__ = ["test_statistics", "update_bn"]


@contextmanager
def test_statistics(
    model: nn.Module,
    calibration: Data,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    include_frozen: bool = False,
    frozen: Iterable[str] = (),
    sync: bool | None = None,
    max_bytes: int | None = None,
    progress: Progress = None,
) -> Iterator[Recalibration]:
    """Exact noise-off statistics inside the block; the trained ones back outside, bit for bit.

    What every validation in a training loop wants: the model is evaluated as it would be shipped,
    and training goes on as if nothing had been there, random generators included. Two or three
    thousand training samples suffice; the last few training batches are the cheapest to have.

    Args:
        model: any module with BatchNorm layers, best lent in train mode: only then do its flags
            say which norms are frozen.
        calibration: batches of *training* data. A loader that is being iterated is read apart from
            the epoch under way, which goes on as if nobody had read.
        forward: as in `recalibrate`, and so are all others.
        device: where to put batches; by default where the model is.
        max_samples: use so many samples.
        include_frozen: also rewrite norms in eval mode inside a model lent in train mode.
        frozen: paths of norms to leave alone whatever their flags, as "backbone.*".
        sync: merge over the ranks of a process group; by default whenever there is one.
        max_bytes: how much this process may grow.
        progress: True for a bar, or a callable.

    Yields:
        The `Recalibration`: which norms have other statistics now, and by how much.

    Raises:
        ModelError, DataError: as in `recalibrate`; the block is not entered.

    Example:
        >>> import torch, varshift as vs
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
        >>> x = torch.randn(64, 3)
        >>> with vs.test_statistics(model, [x]):
        ...     torch.allclose(model[1].running_var, x.var(0))
        True
        >>> model[1].running_var
        tensor([1., 1., 1.])
    """
    back = _Back()
    with back, back, back:
        yield recalibrated(
            back.ways,
            model,
            calibration,
            forward=forward,
            device=device,
            max_samples=max_samples,
            include_frozen=include_frozen,
            frozen=frozen,
            sync=sync,
            max_bytes=max_bytes,
            progress=progress,
        )


class _Back:
    """Goes the ways back on leaving. Enter it several times over, as a loan.

    An interrupt may strike before a result that knows the way back has arrived here, or at any line
    of the way; each level makes good what the one inside could not.
    """

    def __init__(self) -> None:
        self.ways: list[Undo] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, *raised: object) -> None:
        for way in self.ways:
            way()


# A name that pytest would take for a test, where a test module imports it.
test_statistics.__test__ = False  # type: ignore[attr-defined]


def update_bn(
    loader: Data,
    model: nn.Module,
    device: torch.device | str | None = None,
    forward: Forward | None = None,
) -> Recalibration:
    """The call of `torch.optim.swa_utils.update_bn`, exact and with all noise off.

    After averaging weights (SWA, EMA) the norms' statistics belong to no set of weights. torch's
    own call averages batch statistics with dropout on, which evaluation will not see. Here they are
    those of evaluation itself, in one pass, the same for any batching and on every rank. Norms
    that are frozen (in eval mode inside a model in train mode) stay as they are.

    Args:
        loader: batches, as in `recalibrate`: of a tuple or list the first item is the input.
        model: the averaged model, an `AveragedModel` or any other.
        device: where to put batches; by default where the model is.
        forward: `lambda model, batch: …` for batches of any other form.

    Returns:
        A `Recalibration`; torch's call returns None.

    Raises:
        UsageError: the arguments stand in the other order.
        ModelError, DataError: as in `recalibrate`; the model is then what it was.

    Example:
        >>> import torch, varshift as vs
        >>> from torch.optim.swa_utils import AveragedModel
        >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
        >>> averaged, x = AveragedModel(net), torch.randn(64, 3)
        >>> _ = vs.update_bn([x], averaged)
        >>> torch.allclose(averaged.module[1].running_var, x.var(0))
        True
    """
    if isinstance(loader, nn.Module) or not isinstance(model, nn.Module):
        raise UsageError(
            f"update_bn takes (loader, model), as torch's does, and was given "
            f"({type(loader).__name__}, {type(model).__name__})"
        )
    return recalibrate(model, loader, device=device, forward=forward)
