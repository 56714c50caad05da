"""The verb: a model is looked at, and what shifts too much is listed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import torch
from torch import nn

from varshift._check.evidence import Evidence, Task
from varshift._check.passes import Passes
from varshift._check.rules import ALL
from varshift._check.silencing import Silence
from varshift._check.telling import notes_on
from varshift._engine import Data, Forward, Progress, Session, session
from varshift.errors import UsageError
from varshift.results import RULES, Finding, Findings, Structure

__all__ = ["check", "findings_of"]


def check(
    model: nn.Module,
    example: Any = None,
    *,
    data: Data | None = None,
    max_severity: float = 1.1,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    per_module_ignores: Mapping[str, Iterable[str]] | None = None,
    task: Task | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    docs: str = "",
    progress: Progress = None,
) -> Findings:
    """List what shifts the variance between training and test by more than is allowed.

    The size of each finding is measured where `data` is given. Without, it is predicted: from the
    checkpoint's statistics and weights, else (untrained norms, noise that no closed form follows
    there) with every norm settled on the example. Presence alone is no finding. The model comes
    back as it was.

    Args:
        model: any module; in train mode, as it is trained, frozen norms are seen as such.
        example: one batch, as in `inspect`; 16 samples or more make figures steady. Not needed
            where `data` is given.
        data: training batches, as in `measure`; kept in memory.
        max_severity: largest max(Δ, 1/Δ) allowed, of every norm.
        select: code prefixes such as "VS1"; all by default.
        ignore: prefixes to leave out; of two that fit the longer one decides.
        per_module_ignores: `{glob: prefixes}` over paths of norms and names of noise sources.
        task: "regression" asks VS301 of every output, not only of single numbers.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples of `data`.
        docs: URL of a folder with the rules' pages, for the result's links.
        progress: True draws a bar (the `cli` extra), or a callable `(batches, batches or None)`.

    Returns:
        `Findings`, the worst first; empty and false where nothing shifts too much. `notes` says
        what could not be analysed.

    Raises:
        UsageError: neither example nor data, a prefix without a code, a threshold below 1.
        ModelError, DataError: as in `measure`.

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4))
        >>> found = vs.check(model, torch.randn(512, 4))
        >>> [(f.code, f.place, round(f.severity, 1)) for f in found]      # mean 0: 1/Δ = 1/keep_p
        [('VS101', '1', 2.0)]
        >>> len(vs.check(model, torch.randn(512, 4), ignore=["VS101"]))
        0
    """
    if not (isinstance(max_severity, Real) and max_severity >= 1):
        said = f"max_severity is {max_severity!r}"
        raise UsageError(f"{said}; pass a number of at least 1, as in 1.1")
    if task not in (None, "regression"):
        raise UsageError(f"task is {task!r}; leave it out or pass 'regression'")
    if example is None and data is None:
        raise UsageError("give example= (one batch), or data= to measure instead of predicting")
    silence = Silence.of(select, ignore, per_module_ignores)
    with session(
        model,
        forward=forward,
        device=device,
        progress=progress,
        label="tracing modules",
        after=2,
        sync=None if data is not None else False,
    ) as run:
        evidence = _evidence(run, example, data, max_samples, max_severity, task)
        found = findings_of(evidence, silence, docs)
    return run.noted(found)


def findings_of(evidence: Evidence, silence: Silence, docs: str = "") -> Findings:
    """What the rules find in the evidence, less what nobody wants to hear."""
    seen = [
        finding
        for prefix, look in ALL.items()
        if any(silence.asks_for(code) for code in RULES if code.startswith(prefix))
        for finding in look(evidence)
    ]
    notes = notes_on(evidence, seen)
    return _findings(seen, silence, evidence.structure, evidence.max_severity, notes, docs)


def _evidence(
    run: Session,
    example: Any,
    data: Data | None,
    max_samples: int | None,
    max_severity: float,
    task: Task | None,
) -> Evidence:
    """The first look at the model."""
    if data is None:
        passes = Passes(run, [run.example(example)], real=False)
    else:
        held = run.held(data, max_samples, then="tracing modules")
        run.report.tell(len(held.own), len(held.own))
        passes = Passes(run, held.own, real=True)
    passes.begin()
    return Evidence(run, passes, max_severity, task)


def _findings(
    found: list[Finding],
    silence: Silence,
    structure: Structure,
    max_severity: float,
    notes: list[str],
    docs: str,
) -> Findings:
    found.sort(key=lambda finding: (math.isnan(finding.severity), -finding.severity))
    heard = [
        replace(finding, quiet=silence.quiet(finding))
        for finding in found
        if not silence.silences(finding)
    ]
    silenced = [finding for finding in found if silence.silences(finding)]
    return Findings(
        findings=tuple(_one_for_all(heard, "VS106")),
        silenced=tuple(_one_for_all(silenced, "VS106")),
        max_severity=max_severity,
        norms=len(structure.norms),
        sources=sum(noise.active for noise in structure.noises),
        notes=tuple(dict.fromkeys(notes)),
        docs=docs,
        subject=structure.subject,
    )


def _one_for_all(heard: list[Finding], code: str) -> Iterator[Finding]:
    """What is carried on and on has one cause, and one finding: at the norm it shifts most.

    Findings share a cause where they share a noise, if only by way of a third.
    """
    groups: list[list[Finding]] = []
    for finding in heard:
        if finding.code != code:
            continue
        near = [group for group in groups if any(_shared(finding, other) for other in group)]
        groups = [group for group in groups if not any(group is other for other in near)]
        groups.append([*(other for group in near for other in group), finding])
    for group in groups:
        group.sort(key=heard.index)
    for finding in heard:
        if finding.code != code:
            yield finding
            continue
        group = next(group for group in groups if finding in group)
        if finding is group[0]:
            noises = dict.fromkeys(name for other in group for name in other.noises)
            places = tuple(other.place for other in group[1:])
            quiet = dict.fromkeys(name for other in group for name in other.quiet)
            yield replace(finding, noises=tuple(noises), also=places, quiet=tuple(quiet))


def _shared(one: Finding, other: Finding) -> bool:
    return not set(one.noises).isdisjoint(other.noises)
