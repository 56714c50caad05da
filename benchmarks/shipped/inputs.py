"""Audio like what each network was trained on, as far as it can be had, in groups of one kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.shipped import mels, sound
from benchmarks.shipped.mixture import Array
from benchmarks.shipped.pieces import piece
from benchmarks.shipped.soundfont import RATE, Sound, SoundFont

EACH = 96  # frames of a group


def frames(seed: int = 0) -> list[Array]:
    """CREPE's, of single pitches: a group per family of instruments and octave; voices; noise.

    It was trained on NSynth, MedleyDB's stems, RWC, MIR-1K and Bach10. (EACH, 1024) each.
    """
    rng, font = np.random.default_rng(seed), SoundFont()
    groups = [
        _frames(rng, lambda low=low, key=key: _note(rng, font, low, key))  # type: ignore[misc]
        for low in range(0, 112, 8)
        for key in range(24, 108, 12)
    ]
    recorded = sound.speech()
    others: list[Callable[[], Sound]] = [
        lambda: _second(rng, recorded),
        lambda: sound.voice(rng, 1.0),
        lambda: rng.standard_normal(RATE),
        lambda: sound.noise(rng, 1.0),
    ]
    groups += [_frames(rng, make) for make in others]
    for key in range(30, 108, 13):
        groups.append(_frames(rng, lambda key=key: sound.sine(rng, key, 1.0)))  # type: ignore[misc]
    return [group for group in groups if len(group)]


def music(seed: int = 0, pieces: int = 140, level: float = 0.1) -> list[Array]:
    """musicnn's: a group per piece, a third of them with a singer. (4, 187, 96) each."""
    rng, font = np.random.default_rng(seed), SoundFont()
    groups = []
    for i in range(pieces):
        heard = sound.coloured(rng, piece(rng, font, 12.5), 4.0)
        if i % 3 == 0:
            heard = heard + rng.uniform(1, 4) * heard.std() * sound.voice(rng, 12.5)
        heard = sound.noisy(rng, heard, rng.uniform(25, 70))
        heard = heard / heard.std() * level * 10 ** (rng.normal(0, 6) / 20)
        groups.append(mels.log_mel_patches(heard))
    return groups


def patches(kind: str, bands: int, seed: int = 0, groups: int = 24) -> list[Array]:
    """inaSpeechSegmenter's: groups of "s"peech, "m"usic or "n"oise. (N, 68, bands) each."""
    rng, font = np.random.default_rng([seed, ord(kind)]), SoundFont()
    make: dict[str, Callable[[], Sound]] = {
        "s": lambda: sound.speeches(rng, 1),
        "m": lambda: sound.noisy(
            rng, sound.coloured(rng, piece(rng, font, 15.0)), rng.uniform(25, 60)
        ),
        "n": lambda: np.concatenate([sound.noise(rng, 5.0) for _ in range(3)]),
    }
    return [mels.segmenter_patches(make[kind](), bands) for _ in range(groups)]


def _frames(rng: np.random.Generator, make: Callable[[], Sound]) -> Array:
    """Frames of new sounds, four of each, none from its silence; none if 60 sounds do not do."""
    found: list[Array] = []
    for _ in range(60):
        heard = make()
        if len(heard) < RATE // 2:
            continue
        loud = 0.02 * np.abs(heard).max()
        starts = rng.integers(0, len(heard) - 1024, 4)
        kept = np.array([s for s in starts if heard[s : s + 1024].std() > loud], int)
        if len(kept):
            found += list(mels.normalised_frames(heard, kept))
        if len(found) >= EACH:
            return np.stack(found[:EACH])
    return np.zeros((0, 1024))


def _note(rng: np.random.Generator, font: SoundFont, low: int, key: int) -> Sound:
    return font.note(low + int(rng.integers(8)), key + int(rng.integers(12)), 1.5)


def _second(rng: np.random.Generator, heard: Sound) -> Sound:
    at = int(rng.integers(0, len(heard) - RATE))
    return heard[at : at + RATE]
