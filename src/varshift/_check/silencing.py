"""What a reader asked not to hear: code prefixes, and patterns of module paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from varshift.errors import UsageError
from varshift.results import RULES, Finding
from varshift.results.catalogue import DOCUMENTATION

__all__ = ["Silence"]


@dataclass(frozen=True)
class Silence:
    """`select` and `ignore` are code prefixes, the longer one wins; `per_module` maps path globs.

    A pattern silences a finding if it matches the place; patterns over noises do if every noise
    source behind it is matched. What is left of a mixture is still to be heard.
    """

    select: tuple[str, ...] = ("VS",)
    ignore: tuple[str, ...] = ()
    per_module: Mapping[str, tuple[str, ...]] | None = None

    @classmethod
    def of(
        cls,
        select: Iterable[str] | None,
        ignore: Iterable[str] | None,
        per_module: Mapping[str, Iterable[str]] | None,
    ) -> Silence:
        """Checked: a prefix that fits no code would silence nothing and is refused."""
        made = cls(
            _prefixes(("VS",) if select is None else select, "select", empty=False),
            _prefixes(ignore or (), "ignore"),
            {
                glob: _prefixes(codes, f"per-module-ignores {glob!r}")
                for glob, codes in (per_module or {}).items()
            },
        )
        if not any(map(made.asks_for, RULES)):
            raise UsageError("select and ignore leave no code, so nothing would be checked")
        return made

    def silences(self, finding: Finding) -> bool:
        """Whether the finding is not to be heard."""
        if not self.asks_for(finding.code) or self._covers(finding.place, finding.code):
            return True
        return bool(finding.noises) and self.quiet(finding) == finding.noises

    def quiet(self, finding: Finding) -> tuple[str, ...]:
        """The noises of a finding that patterns match."""
        return tuple(name for name in finding.noises if self._covers(name, finding.code))

    def _covers(self, path: str, code: str) -> bool:
        return any(
            fnmatchcase(path, glob) and _longest(codes, code) > 0
            for glob, codes in (self.per_module or {}).items()
        )

    def asks_for(self, code: str) -> bool:
        """Whether a code is selected and not ignored, of two prefixes the longer one deciding."""
        return _longest(self.select, code) > _longest(self.ignore, code)


def _longest(prefixes: Iterable[str], code: str) -> int:
    return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=0)


def _prefixes(given: Iterable[str], where: str, *, empty: bool = True) -> tuple[str, ...]:
    parts = [given] if isinstance(given, str) else given
    found = tuple(prefix.strip() for part in parts for prefix in part.split(","))
    if not (found or empty):
        raise UsageError(
            f"{where} names no code, so nothing would be checked; leave it out for all"
        )
    for prefix in found:
        if not prefix or not any(code.startswith(prefix) for code in RULES):
            raise UsageError(
                f"{where}: {prefix!r} is no code, and no code begins with it; the codes are "
                f"{', '.join(RULES)}; what each is stands at {DOCUMENTATION}/rules"
            )
    return found
