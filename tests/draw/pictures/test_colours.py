"""Colours: read on their paper, and told apart by every common kind of colour blindness."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from varshift._draw.pictures.colours import COLOURS, CYCLE, variables

SCHEMES = ("light", "dark")
# Of linear light, full protanopia, deuteranopia and tritanopia (Machado et al., 2009).
BLIND = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour):
    srgb = np.array([int(colour[index : index + 2], 16) for index in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(light):
    """CIE L*a*b* of linear sRGB, white D65."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratio = (np.array(matrix) @ np.clip(light, 0, 1)) / [0.9505, 1.0, 1.089]
    root = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def distance(one, other, eye):
    matrix = np.array(BLIND[eye])
    return float(np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other))))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("paper", ["paper", "raised"])
def test_every_colour_is_read_on_its_paper(paper, scheme):
    ground = getattr(COLOURS[paper], scheme)
    for name, colour in COLOURS.items():
        if name not in ("paper", "raised", "rule"):
            assert contrast(getattr(colour, scheme), ground) >= 4.5, name


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lines_are_seen_on_their_paper(scheme):
    for colour in CYCLE:
        assert contrast(getattr(colour, scheme), getattr(COLOURS["paper"], scheme)) >= 3


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("eye", BLIND)
def test_grades_are_told_apart_by_every_eye(eye, scheme):
    named = [name for name in COLOURS if name.startswith("grade-")]
    assert len(named) == 4
    for one, other in combinations([*named, "good"], 2):
        pair = [getattr(COLOURS[name], scheme) for name in (one, other)]
        assert distance(*pair, eye) > 15, (one, other)


def test_a_style_sheet_has_them_all_for_both_schemes():
    sheet = variables()
    for name, colour in COLOURS.items():
        assert f"--{name}: {colour.light};" in sheet.partition("@media")[0]
        assert f"--{name}: {colour.dark};" in sheet.partition("@media")[2]
