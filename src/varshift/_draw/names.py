"""Names of one column cut to its width together, so that no two that differ come out alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from varshift._draw.figures import cells, shortened

__all__ = ["fitted"]

_LINES = 4  # that a name shown in full may take


def fitted(names: Iterable[str], width: int) -> dict[str, str]:
    """Each name in `width` columns: its end; else the parts that tell it apart; else all of it.

    All of it takes several lines, which is still better than two rows nobody can tell apart.

    >>> fitted(["student.stages.0.norm", "teacher.stages.0.norm"], 14)
    {'student.stages.0.norm': 'student…0.norm', 'teacher.stages.0.norm': 'teacher…0.norm'}
    """
    made = {name: shortened(name, width) for name in names}
    alike: dict[str, list[str]] = {}
    for name, cut in made.items():
        alike.setdefault(cut, []).append(name)
    for group in alike.values():
        if len(group) > 1:
            made |= _apart(group, width)
    return made


def _apart(group: Sequence[str], width: int) -> dict[str, str]:
    for way in (_by_parts, _by_letters):
        made = way(group, width)
        if made is not None and len(set(made.values())) == len(group):
            return made
    return {name: shortened(name, _LINES * width) for name in group}


def _by_parts(group: Sequence[str], width: int) -> dict[str, str] | None:
    """The parts between dots that are not the same in all names, then as much of the end as fits.

    None where the names have not as many parts, or what differs does not fit.
    """
    split = [name.split(".") for name in group]
    if len({len(parts) for parts in split}) > 1:
        return None
    differ = [len(set(column)) > 1 for column in zip(*split, strict=True)]
    made = {}
    for name, parts in zip(group, split, strict=True):
        told = _joined(parts, differ)
        last = max(index for index, found in enumerate(differ) if found)
        rest = "".join(f".{part}" for part in parts[last + 1 :])
        room = width - cells(told)
        if room < (2 if rest else 0):
            return None
        made[name] = told + shortened(rest, room)
    return made


def _joined(parts: Sequence[str], differ: Sequence[bool]) -> str:
    """`student…0`: up to the last part that differs, dots where nothing was left out."""
    told, left_out = "", False
    for part, found in zip(parts, differ, strict=True):
        if found:
            told += ("…" if left_out else "." if told else "") + part
        left_out = not found
    return told


def _by_letters(group: Sequence[str], width: int) -> dict[str, str] | None:
    """What stands between the common beginning and the common end, then as much of that end."""
    start = _shared(group)
    tails = [name[start:] for name in group]
    end = _shared([tail[::-1] for tail in tails])
    made = {}
    for name, tail in zip(group, tails, strict=True):
        told = ("…" if start else "") + tail[: len(tail) - end]
        room = width - cells(told)
        if room < (2 if end else 0):
            return None
        made[name] = told + (shortened(tail[len(tail) - end :], room) if end else "")
    return made


def _shared(names: Sequence[str]) -> int:
    """How many letters all of them begin with."""
    columns = enumerate(zip(*names, strict=False))
    return next((index for index, column in columns if len(set(column)) > 1), min(map(len, names)))
