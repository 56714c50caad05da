"""Dropout calls in a source text: found by line, their arguments by name."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from varshift.results.edits import lines_of

__all__ = ["Call", "Text"]

_OURS = "varshift.nn.functional"
_KNOWN = frozenset(
    f"{home}.{name}{end}"
    for home in ("torch.nn.functional", "torch")
    for name in (
        *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"),
        *("feature_dropout", "feature_alpha_dropout"),
    )
    for end in ("", "_")
)
_ATTENTION = "torch.nn.functional.scaled_dot_product_attention"
_ORDER = ("input", "p", "training", "inplace")
_RENAMED = {"train": "training", "x": "input", "beta": "p", "sigma": "p"}


@dataclass(frozen=True)
class Call:
    """A call and its arguments by torch's names; a keyword's node is the whole `name=value`."""

    node: ast.Call
    name: str
    arguments: dict[str, ast.expr]
    keywords: dict[str, ast.keyword]

    @property
    def attention(self) -> bool:
        """Whether this is an attention kernel, of which the dropout is a part."""
        return self.name == _ATTENTION


class Text:
    """A parsed source text: what its names stand for, and where its nodes are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._lines = lines_of(text)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._everywhere = _names(ast.walk(self.tree))
        self._above = _names(self.tree.body)

    def calls(self, number: int, operation: str) -> list[Call]:
        """The dropout calls that drew at a line: those that begin there, else the smallest."""
        spanning = [
            call
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and node.lineno <= number <= (node.end_lineno or 0)
            if (call := self._read(node)) is not None
        ]
        same = [call for call in spanning if call.name.rpartition(".")[2] == operation]
        spanning = same or spanning
        begun = [call for call in spanning if call.node.lineno == number]
        smallest = sorted(spanning, key=lambda call: len(self.cut(call.node)))[:1]
        return begun or smallest

    def call_at(self, line: int, start: int, last: int, end: int) -> ast.Call | None:
        """The call whose text stands just there."""
        return next(
            (
                node
                for node in ast.walk(self.tree)
                if isinstance(node, ast.Call)
                and (node.lineno, node.col_offset) == (line, start)
                and (node.end_lineno, node.end_col_offset) == (last, end)
            ),
            None,
        )

    def idle(self, call: Call) -> tuple[int, int] | None:
        """The whole lines of `x = f(x, …)`, or of `f(x, …)` alone, which without f does nothing.

        None where the statement does more, shares its lines, or would leave its block empty.
        """
        for block in _blocks(self.tree):
            for statement in block:
                if getattr(statement, "value", None) is call.node:
                    idle = [each for each in block if self._idles(each)]
                    alone = len(idle) == len(block)
                    return None if alone or statement not in idle else self._alone(statement)
        return None

    def _idles(self, statement: ast.stmt) -> bool:
        """Whether all that a statement does is one dropout call on what it assigns to."""
        if not isinstance(statement, (ast.Assign, ast.Expr)):
            return False
        node = statement.value
        call = self._read(node) if isinstance(node, ast.Call) else None
        if call is None or call.attention:
            return False
        given = call.arguments["input"]
        aims = statement.targets if isinstance(statement, ast.Assign) else []
        whole = (statement.lineno, statement.end_lineno) == (node.lineno, node.end_lineno)
        plain = isinstance(given, (ast.Name, ast.Attribute))
        return whole and plain and all(self.cut(aim) == self.cut(given) for aim in aims)

    def _alone(self, statement: ast.stmt) -> tuple[int, int] | None:
        last = statement.end_lineno or statement.lineno
        start, end = self._starts[statement.lineno - 1], self._starts[last]
        begun = self._place(statement.lineno, statement.col_offset)
        ended = self._place(last, statement.end_col_offset)
        after = self.text[ended:end].strip()
        alone = not self.text[start:begun].strip() and (not after or after.startswith("#"))
        return (start, end) if alone else None

    def spelled(self, full: str) -> tuple[str, str]:
        """How the file can write a dotted name, and the import line it needs for that."""
        head, rest = full, ""
        while head:
            for alias, known in self._above.items():
                if known == head:
                    return alias + rest, ""
            head, _, last = head.rpartition(".")
            rest = f".{last}{rest}"
        module = full.rpartition(".")[0] if full.startswith("torch") else full.partition(".")[0]
        return full, f"import {module}"

    def span(self, node: ast.expr | ast.keyword) -> tuple[int, int]:
        """Where a node's text begins and ends."""
        last = node.end_lineno or node.lineno
        return self._place(node.lineno, node.col_offset), self._place(last, node.end_col_offset)

    def cut(self, node: ast.expr | ast.keyword) -> str:
        """A node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def lines(self, first: int, last: int) -> str:
        """Whole lines, from one number to another."""
        return "".join(self._lines[first - 1 : last])

    def place_of_line(self, number: int) -> int:
        """Where a line begins."""
        return self._starts[number - 1]

    def import_line(self) -> int:
        """The number of the line before which a further import fits."""
        body = self.tree.body
        held = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
        if held:
            return (held[-1].end_lineno or held[-1].lineno) + 1
        documented = bool(body) and ast.get_docstring(self.tree) is not None
        return (body[0].end_lineno or 1) + 1 if documented else 1

    @property
    def line_end(self) -> str:
        """The file's own line end."""
        return "\r\n" if self._lines and self._lines[0].endswith("\r\n") else "\n"

    def _place(self, number: int, column: int | None) -> int:
        # The parser counts columns in UTF-8 bytes.
        line = self._lines[number - 1].encode()[:column].decode()
        return self._starts[number - 1] + len(line)

    def _read(self, node: ast.Call) -> Call | None:
        name = self._full(node.func)
        if name == _ATTENTION:
            rates = [k for k in node.keywords if k.arg == "dropout_p"]
            return Call(node, name, {"p": rates[0].value}, {}) if rates else None
        if name not in _KNOWN and not name.startswith(f"{_OURS}."):
            return None
        unpacked = any(isinstance(arg, ast.Starred) for arg in node.args)
        if unpacked or any(keyword.arg is None for keyword in node.keywords):
            return None
        arguments = dict(zip(_ORDER, node.args, strict=False))
        keywords = {
            _RENAMED.get(keyword.arg or "", keyword.arg or ""): keyword for keyword in node.keywords
        }
        arguments |= {known: keyword.value for known, keyword in keywords.items()}
        return Call(node, name, arguments, keywords) if "input" in arguments else None

    def _full(self, node: ast.expr) -> str:
        """The dotted name with the imports of the file resolved; "" for anything else."""
        if isinstance(node, ast.Name):
            return self._everywhere.get(node.id, "")
        if isinstance(node, ast.Attribute):
            base = self._full(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every list of statements: of a function, a loop, either branch of an if."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def _names(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """What imports bind: local name → full dotted name."""
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                found[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found
