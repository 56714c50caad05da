"""The settings of each layer, from the JSON that Keras keeps beside the weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["LayerConfig", "settings", "snake"]


@dataclass(frozen=True)
class LayerConfig:
    """One layer of a model's config.

    Attributes:
        path: names from the outermost model to the layer, with slashes between.
        saved: the same in the words of Keras 3's files, which go by class and count.
        class_name: such as "Conv2D".
        config: its arguments.
        inputs: paths of the layers that it takes its input from.
        shape: of its input, batch first; None where the file does not tell.
    """

    path: str
    saved: str
    class_name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    shape: tuple[int | None, ...] | None


def settings(text: str | bytes) -> tuple[LayerConfig, ...]:
    """Of each layer in order, those of models and wrappers inside included, behind these."""
    told = json.loads(text)
    return tuple(_inside(_mapping(_mapping(told).get("config")), "", ""))


def _inside(config: Mapping[str, Any], path: str, saved: str) -> Iterator[LayerConfig]:
    counts: dict[str, int] = {}
    last: tuple[str, ...] = ()
    names = set()
    for held in _layers(config):
        told, class_name = _mapping(held.get("config")), str(held.get("class_name"))
        name = str(told.get("name", held.get("name", class_name)))
        names.add(name)
        word = snake(class_name)
        count = counts[word] = counts.get(word, -1) + 1
        word = f"{word}_{count}" if count else word
        nodes = held.get("inbound_nodes")
        inputs = last if nodes is None else tuple(f"{path}{n}" for n in _inbound(nodes, names))
        last = (f"{path}{name}",)
        yield LayerConfig(f"{path}{name}", f"{saved}{word}", class_name, told, inputs, _shape(held))
        yield from _inside(told, f"{path}{name}/", f"{saved}{word}/")


def _layers(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those of a model, or the one that a wrapper holds."""
    held = config.get("layers")
    for each in held if isinstance(held, list) else [config.get("layer")]:
        if isinstance(each, dict) and "class_name" in each:
            yield each


def _inbound(nodes: Any, names: set[str]) -> Iterator[str]:
    """Names of the first call's inputs: ["name", 0, 0, …], or a tensor with a keras_history."""
    if isinstance(nodes, dict):
        history = nodes.get("keras_history")
        if isinstance(history, list) and history:
            yield str(history[0])
            return
        for held in nodes.values():
            yield from _inbound(held, names)
    elif isinstance(nodes, list):
        if len(nodes) >= 3 and isinstance(nodes[0], str) and nodes[0] in names:
            yield nodes[0]
            return
        for held in nodes:
            yield from _inbound(held, names)


def _shape(held: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    shape = _mapping(held.get("build_config")).get("input_shape")
    if not isinstance(shape, list) or any(isinstance(each, (list, dict)) for each in shape):
        return None
    return tuple(shape)


def _mapping(held: Any) -> Mapping[str, Any]:
    return held if isinstance(held, dict) else {}


def snake(class_name: str) -> str:
    """As Keras 3 writes a class in its files: Conv2D is conv2d, BatchNormalization is …"""
    word = re.sub(r"\W+", "", class_name)
    word = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", word)
    return re.sub("([a-z])([A-Z])", r"\1_\2", word).lower()
