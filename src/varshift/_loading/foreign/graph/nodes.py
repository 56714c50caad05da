"""Who makes and who takes each value of an ONNX graph."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

__all__ = ["Nodes"]


class Nodes:
    """The operations of a graph by what goes in and comes out."""

    def __init__(self, graph: Any) -> None:
        self.making = {name: node for node in graph.node for name in node.output if name}
        self._taking: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._taking[name].append(node)

    def added(self, node: Any) -> str:
        """The other summand where the only one who takes the output adds to it; else ""."""
        takers = self._taking[node.output[0]]
        if len(takers) != 1 or takers[0].op_type != "Add":
            return ""
        others = [str(name) for name in takers[0].input if name != node.output[0]]
        return others[0] if len(others) == 1 else ""
