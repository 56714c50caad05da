"""Random pieces of music, played on the SoundFont."""

from __future__ import annotations

import numpy as np

from benchmarks.shipped.sound import reverberated
from benchmarks.shipped.soundfont import RATE, Sound, SoundFont

CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7), (0, 4, 7, 10))
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10))
KICK, SNARE, HAT, RIDE, TOM = 36, 38, 42, 51, 45


def piece(rng: np.random.Generator, font: SoundFont, seconds: float) -> Sound:
    """Chords, bass, melody and most often drums, in one key and tempo, in a room."""
    band = _Band(rng, font, seconds)
    for beat in range(int(seconds / band.beat)):
        band.chord(beat)
        band.bass(beat)
        band.melody(beat)
        if band.drummer:
            band.drums(beat)
    heard = band.out[: int(seconds * RATE)]
    return reverberated(rng, heard, rng.uniform(0.2, 1.2), rng.uniform(0.05, 0.35))


class _Band:
    def __init__(self, rng: np.random.Generator, font: SoundFont, seconds: float) -> None:
        self.rng, self.font = rng, font
        self.out = np.zeros(int((seconds + 2) * RATE))
        self.beat = 60 / rng.uniform(60, 160)
        self.key, self.scale = int(rng.integers(0, 12)), SCALES[rng.integers(len(SCALES))]
        self.chords = [
            (int(rng.choice(self.scale)), CHORDS[rng.integers(len(CHORDS))]) for _ in range(4)
        ]
        programs = ((0, 104), (32, 40), (0, 112))  # General MIDI, without percussion and effects
        self.pad, self.low, self.lead = (int(rng.integers(*span)) for span in programs)
        self.levels = rng.uniform(0.15, 1, 4)
        self.drummer, self.held, self.second = (bool(rng.random() < p) for p in (0.7, 0.5, 0.4))

    def chord(self, beat: int) -> None:
        if beat % 4 and self.held:
            return
        root, steps = self.chords[beat // 4 % 4]
        for step in steps:
            key = 48 + self.key + root + step
            self.add(beat, self.pad, key, 3.5 if self.held else 0.8, self.levels[0])

    def bass(self, beat: int) -> None:
        if beat % 2 == 0 or self.rng.random() < 0.4:
            key = 28 + self.key + self.chords[beat // 4 % 4][0]
            self.add(beat, self.low, key, 0.9, 1.2 * self.levels[1])

    def melody(self, beat: int) -> None:
        for at in (beat, beat + 0.5):
            if self.rng.random() < 0.6:
                key = 60 + self.key + int(self.rng.choice(self.scale))
                key += 12 * int(self.rng.integers(0, 2))
                self.add(at, self.lead, key, float(self.rng.choice((0.4, 0.8))), self.levels[2])
                if self.second:
                    self.add(at, self.pad, key - 12, 0.4, self.levels[2])

    def drums(self, beat: int) -> None:
        now = [HAT, KICK if beat % 2 == 0 else SNARE, *([RIDE] if beat % 8 == 0 else [])]
        for drum in now:
            self.add(beat, None, drum, 0.3, self.levels[3] * (0.4 if drum == HAT else 1))
        if self.rng.random() < 0.5:
            drum = int(self.rng.choice((HAT, HAT, KICK, TOM)))
            self.add(beat + 0.5, None, drum, 0.3, 0.5 * self.levels[3])

    def add(self, at: float, program: int | None, key: int, beats: float, level: float) -> None:
        """A note at a beat; drums have no program."""
        seconds = beats if program is None else beats * self.beat
        sound = self.font.note(program or 0, key, seconds, drum=program is None)
        start = int(at * self.beat * RATE)
        stop = min(start + len(sound), len(self.out))
        if stop > start:
            self.out[start:stop] += level * sound[: stop - start]
