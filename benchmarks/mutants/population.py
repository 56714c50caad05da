"""Every mutant of a file, and the sample of them that is tried.

The changes are mutmut's, with two of our own: a call made for its effect is left out, and an `if`
turns round. Left alone is what no test can tell: annotations, imports, decorators, `__all__`,
overloads, what only a type checker reads, `zip(strict=True)`, and the wording of sentences.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from benchmarks.mutants.plan import FEWEST, SEED, SOURCE, Group, files_of

__all__ = ["Mutant", "mutants_of", "sample"]


@dataclass(frozen=True)
class Mutant:
    """One change to one file.

    Attributes:
        key: short, and the same as long as the changed code and its function's name are.
        file: relative to src/varshift.
        function: name of the function or class around it; empty at the top of the file.
        line: where, today.
        lines: of the statement around it.
        before: the code that is changed.
        after: what it becomes.
        source: the whole file with the change.
    """

    key: str
    file: str
    function: str
    line: int
    lines: tuple[int, int]
    before: str
    after: str
    source: str


@dataclass(frozen=True)
class _Change:
    """One that could be made."""

    old: cst.CSTNode
    new: cst.CSTNode
    function: str
    lines: tuple[int, int]


def sample(group: Group) -> list[Mutant]:
    """The fixed sample of a group: from each file in proportion, those of the lowest keys."""
    paths = files_of(group)
    wrapped = {path: MetadataWrapper(cst.parse_module(path.read_text())) for path in paths}
    changes = {path: _changes(wrapper) for path, wrapper in wrapped.items()}
    every = sum(len(found) for found in changes.values())
    drawn: list[Mutant] = []
    for path in paths:
        share = round(group.mutants * len(changes[path]) / every)
        drawn += _lowest(path, wrapped[path], changes[path], max(FEWEST, share))
    return drawn


def mutants_of(path: Path) -> int:
    """How many a file has in all."""
    return len(_changes(MetadataWrapper(cst.parse_module(path.read_text()))))


def _lowest(
    path: Path, wrapper: MetadataWrapper, changes: Sequence[_Change], count: int
) -> list[Mutant]:
    file = str(path.relative_to(SOURCE))
    keyed: dict[str, tuple[_Change, str, str]] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for change in changes:
        before, after = (_code(wrapper.module, node) for node in (change.old, change.new))
        alike = (change.function, before, after)
        seen[alike] += 1
        words = "\0".join((SEED, file, *alike, str(seen[alike])))
        keyed[hashlib.sha256(words.encode()).hexdigest()[:10]] = (change, before, after)
    positions = wrapper.resolve(PositionProvider)
    mutants: list[Mutant] = []
    for key in sorted(keyed):
        if len(mutants) == count:
            break
        change, before, after = keyed[key]
        source = wrapper.module.deep_replace(change.old, change.new).code  # type: ignore[union-attr]
        if _compiles(source):
            line = positions[change.old].start.line
            mutants.append(
                Mutant(key, file, change.function, line, change.lines, before, after, source)
            )
    return mutants


def _compiles(source: str) -> bool:
    """`a + b` of an assignment's target has no other sign, and the like."""
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _code(module: cst.Module, node: cst.CSTNode) -> str:
    return " ".join(module.code_for_node(node).split())


def _changes(wrapper: MetadataWrapper) -> list[_Change]:
    finder = _Finder()
    wrapper.visit(finder)
    return finder.found


_UNTOLD = (
    m.Annotation()
    | m.Decorator()
    | m.Import()
    | m.ImportFrom()
    | m.Assign(targets=[m.AssignTarget(m.Name("__all__"))])
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.Call(func=m.Name("cast") | m.Name("TypeVar") | m.Name("isinstance") | m.Name("len"))
    | m.FunctionDef(decorators=[m.Decorator(m.Name("overload"))])
    | m.FunctionDef(decorators=[m.Decorator(m.Name("abstractmethod"))])
    | m.Arg(keyword=m.Name("strict"))
)

_KINDS = (
    *(cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom, cst.Assign, cst.If, cst.Call),
    *(cst.FunctionDef, cst.Arg),
)


class _Finder(cst.CSTVisitor):
    """Walks a file and keeps what could be changed."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        self.found: list[_Change] = []
        self._names: list[str] = []
        self._statements: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _is_untold(node):
            return False
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._names.append(node.name.value)
        if isinstance(node, cst.SimpleStatementLine):
            self._statements.append(node)
        for new in _changed(node):
            place = self.get_metadata(PositionProvider, (*self._statements, node)[0])
            lines = (place.start.line, place.end.line)
            if isinstance(node, cst.If):
                lines = (place.start.line, place.start.line)
            self.found.append(_Change(node, new, ".".join(self._names), lines))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self._statements and self._statements[-1] is original_node:
            self._statements.pop()
        named = isinstance(original_node, (cst.FunctionDef, cst.ClassDef))
        if named and not _is_untold(original_node):
            self._names.pop()


def _changed(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            for new in operator(node):
                if not _drops_strict(node, new):
                    yield new
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call):
        yield cst.Expr(cst.Name("None"))
    if isinstance(node, cst.If):
        turned = cst.UnaryOperation(
            cst.Not(), node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        )
        yield node.with_changes(test=turned)


def _drops_strict(old: cst.CSTNode, new: cst.CSTNode) -> bool:
    """Whether the argument `strict` is touched, which only guards against slips of our own."""
    if not isinstance(old, cst.Call) or not isinstance(new, cst.Call):
        return False
    strict = m.Arg(keyword=m.Name("strict"), value=m.Name("True"))
    return sum(m.matches(arg, strict) for arg in old.args) != sum(
        m.matches(arg, strict) for arg in new.args
    )


def _is_untold(node: cst.CSTNode) -> bool:
    # Matching is slow, and most nodes are names.
    return _is_sentence(node) or (isinstance(node, _KINDS) and m.matches(node, _UNTOLD))


def _is_sentence(node: cst.CSTNode) -> bool:
    """Text with a space in it is for people, and tested by the words that matter."""
    if isinstance(node, cst.ConcatenatedString):
        return True
    if isinstance(node, cst.SimpleString):
        return " " in node.value
    if isinstance(node, cst.FormattedString):
        texts = (p for p in node.parts if isinstance(p, cst.FormattedStringText))
        return any(" " in text.value for text in texts)
    return False
