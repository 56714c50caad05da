"""Batches for each network: audio like what it was trained on, as far as that can be had."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmarks.shipped import mels, sound
from benchmarks.shipped.soundfont import RATE, Sound, SoundFont

BATCH = 32


def frames_of_notes(seed: int = 0, batches: int = 24) -> list[Tensor]:
    """CREPE: frames of single notes on many instruments and of voices. (32, 1024) each.

    It was trained on NSynth, stems of MedleyDB, RWC, MIR-1K and Bach10: single pitches.
    """
    rng, font = np.random.default_rng(seed), SoundFont()
    found: list[np.ndarray] = []
    recorded = sound.speech()
    while len(found) < BATCH * batches:
        kind = rng.random()
        if kind < 0.7:
            heard, _ = sound.note(rng, font)
        elif kind < 0.9:
            heard = sound.voice(rng, 1.0)
        else:
            at = int(rng.integers(0, len(recorded) - RATE))
            heard = recorded[at : at + RATE]
        loud = np.abs(heard).max() * 0.02
        starts = rng.integers(0, max(len(heard) - 1024, 1), 4)
        starts = [s for s in starts if heard[s : s + 1024].std() > loud]
        if starts:
            found += list(mels.normalised_frames(heard, starts))
    return _batches(rng, np.stack(found[: BATCH * batches]))


def patches_of_music(
    seed: int = 0, batches: int = 12, level: float = 0.1, spread: float = 6.0, decibels: float = 4.0
) -> list[Tensor]:
    """musicnn: patches of random pieces. (32, 187, 96) each."""
    rng, font = np.random.default_rng(seed), SoundFont()
    found: list[np.ndarray] = []
    while len(found) < BATCH * batches:
        heard = sound.coloured(rng, sound.piece(rng, font, 12.5), decibels)
        if rng.random() < 0.3:  # a singer
            heard = heard + rng.uniform(0.5, 1.5) * sound.voice(rng, 12.5) * heard.std() / 0.2
        heard = sound.noisy(rng, heard, rng.uniform(30, 60))
        heard = heard / heard.std() * level * 10 ** (rng.normal(0, spread) / 20)
        found += list(mels.log_mel_patches(heard))
    return _batches(rng, np.stack(found[: BATCH * batches]))


def patches_of(kinds: str, bands: int, seed: int = 0, batches: int = 24) -> list[Tensor]:
    """inaSpeechSegmenter: patches of (s)peech, (m)usic and (n)oise in equal parts. (32, 68, bands)"""
    rng = np.random.default_rng(seed)
    found = []
    each = BATCH * batches // len(kinds) + 1
    for kind in kinds:
        patches = mels.segmenter_patches(_audio(rng, kind, each), bands)
        found.append(patches[rng.permutation(len(patches))[:each]])
    return _batches(rng, np.concatenate(found))[:batches]


def _audio(rng: np.random.Generator, kind: str, patches: int) -> Sound:
    seconds = 0.34 * patches + 10
    if kind == "s":
        return sound.speeches(rng, int(seconds // 28) + 1)
    if kind == "m":
        font = SoundFont()
        parts = [sound.coloured(rng, sound.piece(rng, font, 12.5)) for _ in range(int(seconds / 12.5) + 1)]
        return np.concatenate([sound.noisy(rng, part, rng.uniform(25, 60)) for part in parts])
    return np.concatenate([sound.noise(rng, 5.0) for _ in range(int(seconds / 5) + 1)])


def _batches(rng: np.random.Generator, inputs: np.ndarray) -> list[Tensor]:
    order = torch.tensor(rng.permutation(len(inputs)))
    return list(torch.tensor(inputs, dtype=torch.float32)[order].split(BATCH))
