"""What a reader must know beside the figures: a sentence that code can tell by its kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum

__all__ = ["Note", "NoteKind", "carried_by_errors", "not_given_back"]


class NoteKind(Enum):
    """What a note is about, for code: the sentence is for people."""

    OTHER = "other"
    NO_NORM = "no norm"
    UNREACHED = "unreached norm"
    OUTSIDE_DRAW = "draw outside torch"
    UNEXPLAINED = "training and evaluation differ, and no draw explains it"
    UNTRACKED = "untracked norm"
    BY_HAND = "normalised by hand"
    BY_BATCH = "batch statistics in evaluation"
    NOT_REGISTERED = "norm that no module holds"
    SCRIPTED = "scripted part"
    COMPILED = "compiled part"
    NOT_GIVEN_BACK = "not given back"
    MADE_INPUTS = "made-up inputs"
    BASELINE = "baseline"


class Note(str):
    """A sentence with its kind, and the module path that it is about; in all else a string.

    >>> note = Note("bn: the example never reached it", NoteKind.UNREACHED, "bn")
    >>> note.kind is NoteKind.UNREACHED, note.about, note == "bn: the example never reached it"
    (True, 'bn', True)
    """

    kind: NoteKind
    about: str

    def __new__(cls, sentence: str, kind: NoteKind = NoteKind.OTHER, about: str = "") -> Note:
        """The sentence and what it is about."""
        made = super().__new__(cls, sentence)
        made.kind, made.about = kind, about
        return made

    def __getnewargs__(self) -> tuple[str, NoteKind, str]:  # type: ignore[override]
        return str(self), self.kind, self.about


def not_given_back(*notes: Iterable[str]) -> list[str]:
    """Of the notes of several results, those on what of the model did not come back; each once."""
    kind = NoteKind.NOT_GIVEN_BACK
    found = [note for held in notes for note in held if getattr(note, "kind", None) is kind]
    return list(dict.fromkeys(found))


@contextmanager
def carried_by_errors(notes: Iterable[str]) -> Iterator[None]:
    """What was not given back before an error or an interrupt goes with it (`__notes__`)."""
    try:
        yield
    except BaseException as error:
        for note in not_given_back(notes):
            error.add_note(f"not given back: {note}")
        raise
