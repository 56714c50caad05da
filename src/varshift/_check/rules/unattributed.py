"""VS108: training and evaluation differ at a norm, and no noise that can be silenced is why."""

from __future__ import annotations

from collections.abc import Iterator

from varshift._check.evidence import Evidence
from varshift._check.sizes import Size
from varshift._counting import counted_names
from varshift.results import Finding, Noise

__all__ = ["shift_without_a_source"]


def shift_without_a_source(evidence: Evidence) -> Iterator[Finding]:
    """One finding for all of them, since one cause is carried on and on: at the first norm it hits.

    Where training lets nothing pass (dropout of 1) another note says so.
    """
    if not evidence.structure.norms or _nothing_passes(evidence):
        return
    found = {path: size for path, size in evidence.rest.items() if _open(evidence, path)}
    behind = _behind_own(evidence)
    if hidden := [path for path in found if path in behind]:
        own = ", ".join(sorted(evidence.run.watched)[:3])
        evidence.notes.append(
            f"{counted_names(hidden, 'norm')}: training and evaluation differ there with the noise "
            f"silenced, and norms before normalise in their own way ({own}): whether something "
            "else does cannot be told"
        )
    found = {path: size for path, size in found.items() if path not in behind}
    if not found:
        return
    path, *also = found
    possible = _possible(evidence, path)
    size = found[path]
    message = _message(evidence, path, size, possible)
    yield evidence.drawn("VS108", path, possible, size, message, also)


def _behind_own(evidence: Evidence) -> set[str]:
    """Norms met after the first that takes no statistics but its own: these differ by mode."""
    paths = [norm.path for norm in evidence.structure.norms]
    own = evidence.run.watched - evidence.steady
    first = next((at for at, path in enumerate(paths) if path in own), len(paths))
    return set(paths[first + 1 :])


def _nothing_passes(evidence: Evidence) -> bool:
    return any(noise.drops_all for noise in evidence.structure.noises)


def _open(evidence: Evidence, path: str) -> bool:
    """Whether no other rule answers for it.

    VS107 does where nothing but a draw in Python is near, and a draw that cannot be silenced has a
    finding of its own.
    """
    if path in evidence.steady:
        return False
    reaching = {route.noise for route in evidence.structure.routes if route.norm == path}
    if evidence.passes.wild:
        return bool(reaching)
    return not reaching & evidence.loud


def _possible(evidence: Evidence, path: str) -> list[Noise]:
    """The draws that were not silenced and may be behind it: nobody has shown that they are."""
    reaching = {route.noise for route in evidence.structure.routes if route.norm == path}
    drawn = [noise for noise in evidence.structure.noises if noise.name in evidence.loud]
    return [n for n in drawn if n.law == "control-flow" or n.name in reaching]


def _message(evidence: Evidence, path: str, size: Size, possible: list[Noise]) -> str:
    return (
        f"training and evaluation differ at the norm {path!r} with the noise silenced: severity "
        f"{size.severity:.2f} (variance at test ÷ in training {size.shift:.2f}) comes from no "
        f"noise that was found. Possible causes: {', '.join(_causes(evidence, possible))}, or code "
        "under self.training"
    )


def _causes(evidence: Evidence, possible: list[Noise]) -> Iterator[str]:
    if possible:
        names = ", ".join(repr(noise.name) for noise in possible)
        yield f"a draw that cannot be silenced ({names})"
    if evidence.lasting and not evidence.passes.lasting_sources:
        yield "a draw in evaluation alone (a reversed training flag)"
    yield "a draw in numpy or Python"
    yield "a mask drawn ahead of the pass and kept in an attribute"
