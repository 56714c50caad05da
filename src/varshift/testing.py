"""For a project's own test suite: a test that fails where the variance shifts too much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from varshift._check.checking import check
from varshift._check.evidence import Task
from varshift._engine import Data, Forward
from varshift._visible import flat
from varshift.results.findings import Findings

__all__ = ["assert_no_variance_shift"]


def assert_no_variance_shift(
    model: nn.Module,
    example: Any = None,
    max_severity: float = 1.1,
    *,
    data: Data | None = None,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    per_module_ignores: Mapping[str, Iterable[str]] | None = None,
    task: Task | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
) -> Findings:
    """Raise AssertionError listing every finding of `check`; the arguments are those of `check`.

    `[tool.varshift]` of pyproject.toml is not read: a test says what it asks.

    Returns:
        The `Findings`, empty, with the notes on what could not be analysed.

    Raises:
        AssertionError: something shifts by more than `max_severity`.

    Example:
        >>> import torch
        >>> from varshift.testing import assert_no_variance_shift
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
        >>> assert_no_variance_shift(model, torch.randn(64, 8)).findings
        ()
    """
    __tracebackhide__ = True
    found = check(
        model,
        example,
        data=data,
        max_severity=max_severity,
        select=select,
        ignore=ignore,
        per_module_ignores=per_module_ignores,
        task=task,
        forward=forward,
        device=device,
        max_samples=max_samples,
    )
    if found:
        raise AssertionError(_sentence(found))
    return found


def _sentence(found: Findings) -> str:
    lines = [f"{len(found)} above severity {found.max_severity:g}:"]
    for finding in found:
        where = "" if finding.line is None else f" ({finding.line})"
        lines.append(flat(f"  {finding.code} {finding.message}{where}; {finding.rule.fix}"))
    lines += [flat(f"  note: {note}") for note in found.notes]
    return "\n".join(lines)
