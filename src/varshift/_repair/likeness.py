"""Whether the noisy passes return what evaluation returns: else their average teaches nonsense.

A source that draws only while the module that returns is in training mode takes that mode's other
outputs along: auxiliary heads, losses, scores in place of probabilities. With the noise replaced by
its mean, the pass must say what evaluation says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from varshift._engine import (
    Batch,
    Control,
    Flags,
    Meeting,
    Regime,
    Session,
    Silenced,
    Tracer,
    names_of,
    stored,
)
from varshift._repair.kinds import are_chances
from varshift._repair.predictions import Reader, prediction_of
from varshift.errors import ModelError, VarshiftError

__all__ = ["unlike"]

_NEAR = 0.05  # in total variation, or in deviations: far above rounding
_SAY = "pass output=lambda out: … that finds the same predictions in both"


def unlike(run: Session, flags: Flags, batch: Batch, reader: Reader) -> str | None:
    """How the predictions of noisy passes differ from those of evaluation, the noise aside.

    None where they do not. Raises ModelError where they are of another form or kind.
    """
    # Evaluation too: noise that never goes off is in both.
    clean, known = _silenced(run, run.off, batch)
    calm, exact = _silenced(run, flags, batch)
    exact = exact and known
    if exact and _close(reader, clean, calm):
        return None
    _refuse_form(clean, calm, reader)
    if exact:
        return (
            "even with the noise replaced by its mean, the passes that are averaged predict "
            f"otherwise than evaluation does; if the model returns something else there, {_SAY}"
        )
    return None


def _silenced(run: Session, flags: Flags, batch: Batch) -> tuple[Any, bool]:
    """What a pass under `flags` returns with its noise off, and whether all is off exactly."""
    regime = Regime(flags, norms=stored)
    with run.trying():
        noisy = run.followed(batch, regime, Tracer)
    unseen = {"python", "numpy"} & set(noisy.moved)
    names = names_of(noisy.tracer)

    def build(*arguments: Any, **keywords: Any) -> Control:
        return Control(*arguments, **keywords, names=names, blend=_silent)

    try:
        with run.trying():
            calm = run.followed(batch, regime, build)
    except ModelError:
        return noisy.out, False
    mode = calm.tracer
    silenced = all(mode.methods.get(name, Silenced.NOT).exact for name in names.values())
    return calm.out, silenced and not (mode.strangers or unseen)


def _silent(meeting: Meeting) -> Tensor:
    return meeting.noisy if meeting.silent is None else meeting.silent


def _close(reader: Reader, clean: Any, calm: Any) -> bool:
    try:
        if _mixed(reader, clean, calm):
            return False
        one, other = reader.read(clean), reader.read(calm)
    except VarshiftError:  # no prediction there, or of another kind: `_refuse_form` says which
        return False
    if one.shape != other.shape:
        return False
    if reader.kind != "values":
        apart = 0.5 * (one.exp() - other.exp()).abs().sum(1)
        return bool((apart <= _NEAR).all())
    spread = (one - one.mean(0)).square().mean().sqrt() if len(one) > 1 else one.abs().mean()
    return float((one - other).square().mean().sqrt()) <= _NEAR * float(spread) + 1e-6


def _refuse_form(clean: Any, calm: Any, reader: Reader) -> None:
    """Raise where the two are other containers, shapes, or kinds of prediction."""
    one, other = (_form(out) for out in (clean, calm))
    if reader.output is None and one != other:
        raise ModelError(
            f"in training the model returns {other}, in evaluation {one}, so the average of noisy "
            f"passes may be of something else; {_SAY}"
        )
    found, noisy = (prediction_of(out, reader.output) for out in (clean, calm))
    if found.shape != noisy.shape:
        raise ModelError(
            f"in training the predictions have shape {tuple(noisy.shape)}, in evaluation "
            f"{tuple(found.shape)}; {_SAY}"
        )
    if _mixed(reader, clean, calm):
        kinds = ["probabilities" if are_chances(x) else "scores" for x in (noisy, found)]
        raise ModelError(
            f"in training the model returns {kinds[0]}, in evaluation {kinds[1]}; {_SAY}"
        )


def _mixed(reader: Reader, clean: Any, calm: Any) -> bool:
    """Whether one of the two gives probabilities and the other scores."""
    found, noisy = (prediction_of(out, reader.output) for out in (clean, calm))
    if reader.kind == "probabilities":
        return are_chances(found) and not are_chances(noisy)
    wide = found.ndim > 1 and found.shape[1] > 1  # one score may lie between 0 and 1 by chance
    return reader.kind == "logits" and wide and are_chances(noisy) and not are_chances(found)


def _form(out: Any) -> str:
    """What was returned, in words: containers, keys and shapes."""
    if isinstance(out, Tensor):
        return f"a tensor of shape {tuple(out.shape)}" if out.ndim else "a number"
    if isinstance(out, Mapping):
        return f"{type(out).__name__}({', '.join(f'{k}: {_form(v)}' for k, v in out.items())})"
    if isinstance(out, (tuple, list)):
        return f"{type(out).__name__}({', '.join(map(_form, out))})"
    return type(out).__name__
