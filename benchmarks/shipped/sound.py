"""Audio to feed: random music on the SoundFont, recorded speech, synthetic voices, noise.

All of 16 kHz, float64, the same for the same seed.
"""

from __future__ import annotations

import io
import wave

import numpy as np

from benchmarks.shipped.soundfont import RATE, Sound, SoundFont
from benchmarks.shipped.wheels import member

CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7), (0, 4, 7, 10))
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10))
KICK, SNARE, HAT, RIDE, TOM = 36, 38, 42, 51, 45


def speech() -> Sound:
    """Thirty seconds of recorded conversation, the sample in pyannote.audio's wheel."""
    data = member("pyannote.audio", "4.0.7", "pyannote/audio/sample/sample.wav")
    with wave.open(io.BytesIO(data)) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            raise ValueError("sample.wav of pyannote.audio is not mono of 16 kHz and 16 bits")
    return frames / 32768.0


def speeches(rng: np.random.Generator, copies: int) -> Sound:
    """The recording at other pitches, through other rooms and microphones, with some noise."""
    recorded, parts = speech(), []
    for _ in range(copies):
        step = 2 ** rng.uniform(-0.35, 0.35)
        at = np.arange(0, len(recorded) - 1, step)
        sound = np.interp(at, np.arange(len(recorded)), recorded)
        sound = coloured(rng, sound)
        if rng.random() < 0.5:
            sound = reverberated(rng, sound, rng.uniform(0.1, 0.6), rng.uniform(0.05, 0.4))
        parts.append(noisy(rng, sound, rng.uniform(15, 50)))
    return np.concatenate(parts)


def note(rng: np.random.Generator, font: SoundFont, seconds: float = 1.5) -> tuple[Sound, int]:
    """One note of a random instrument within its usual range, and its key."""
    sound = np.zeros(0)
    while len(sound) < RATE // 2:
        program, key = int(rng.integers(0, 112)), int(rng.integers(24, 100))
        sound = font.note(program, key, seconds)
    return sound, key


def piece(rng: np.random.Generator, font: SoundFont, seconds: float) -> Sound:
    """A piece of chords, bass, melody and most often drums, in one key and tempo."""
    out = np.zeros(int((seconds + 2) * RATE))
    beat = 60 / rng.uniform(60, 160)
    key, scale = int(rng.integers(0, 12)), SCALES[rng.integers(len(SCALES))]
    chords = [(int(rng.choice(scale)), CHORDS[rng.integers(len(CHORDS))]) for _ in range(4)]
    pad, bass, lead = rng.integers(0, 104), rng.integers(32, 40), rng.integers(0, 112)
    level = rng.uniform(0.15, 1, 4) * (1, 1, 1, rng.random() < 0.7)
    held, second = bool(rng.random() < 0.5), rng.random() < 0.4
    for i in range(int(seconds / beat)):
        at, (root, chord) = i * beat, chords[i // 4 % 4]
        if i % 4 == 0 or not held:
            for step in chord:
                _add(out, at, font.note(int(pad), 48 + key + root + step, beat * (3.5 if held else 0.8)), level[0])
        if i % 2 == 0 or rng.random() < 0.4:
            _add(out, at, font.note(int(bass), 28 + key + root, beat * 0.9), 1.2 * level[1])
        for part in range(2):
            if rng.random() < 0.6:
                tone = 60 + key + int(rng.choice(scale)) + 12 * int(rng.integers(0, 2))
                _add(out, at + part * beat / 2, font.note(int(lead), tone, beat * rng.choice((0.4, 0.8))), level[2])
                if second:
                    _add(out, at + part * beat / 2, font.note(int(pad), tone - 12, beat * 0.4), level[2])
        for drum, when in ((KICK, i % 2 == 0), (SNARE, i % 2 == 1), (HAT, True), (RIDE, i % 8 == 0)):
            if when and level[3]:
                _add(out, at, font.note(0, drum, 0.3, drum=True), level[3] * (0.4 if drum == HAT else 1))
        if level[3] and rng.random() < 0.5:
            _add(out, at + beat / 2, font.note(0, int(rng.choice((HAT, HAT, KICK, TOM))), 0.3, drum=True), 0.5 * level[3])
    return reverberated(rng, out[: int(seconds * RATE)], rng.uniform(0.2, 1.2), rng.uniform(0.05, 0.35))


def voice(rng: np.random.Generator, seconds: float) -> Sound:
    """Sung vowels: harmonics of a gliding pitch with vibrato, through three moving formants."""
    t = np.arange(int(seconds * RATE)) / RATE
    knots = max(int(seconds * rng.uniform(1, 5)), 2)
    grid = np.linspace(0, seconds, knots)
    base = rng.choice((110, 160, 220, 330))
    pitch = base * 2 ** np.interp(t, grid, rng.uniform(-0.4, 0.6, knots))
    vibrato = rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch * (1 + vibrato)) / RATE
    formants = [np.interp(t, grid, rng.uniform(low, high, knots)) for low, high in ((300, 800), (900, 2300), (2400, 3200))]
    sound = np.zeros(len(t))
    for k in range(1, int(7500 / base) + 1):
        f = k * pitch
        gain = sum(a / (1 + ((f - c) / w) ** 2) for a, c, w in zip((1, 0.5, 0.25), formants, (90, 110, 160), strict=True))
        sound += np.where(f < 7600, (gain + 0.01) / k**0.5, 0) * np.sin(k * phase + rng.uniform(0, 6))
    breath = 0.02 * rng.standard_normal(len(t)) * sound.std()
    return (sound + breath) * np.interp(t, grid, rng.uniform(0.2, 1, knots))


def noise(rng: np.random.Generator, seconds: float) -> Sound:
    """Coloured noise in bursts."""
    size = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    f = np.maximum(np.arange(len(spectrum)) / len(spectrum), 1e-3)
    sound = np.fft.irfft(spectrum * f ** -rng.uniform(0, 1), size)
    knots = max(int(seconds * rng.uniform(0.5, 8)), 2)
    level = np.interp(np.arange(size), np.linspace(0, size, knots), rng.uniform(-40, 0, knots))
    return coloured(rng, sound / sound.std() * 10 ** (level / 20))


def coloured(rng: np.random.Generator, sound: Sound, decibels: float = 6.0) -> Sound:
    """Through a microphone: a smooth random response."""
    spectrum = np.fft.rfft(sound)
    response = np.interp(
        np.linspace(0, 1, len(spectrum)) ** 0.5, np.linspace(0, 1, 9), rng.normal(0, decibels, 9)
    )
    return np.fft.irfft(spectrum * 10 ** (response / 20), len(sound))


def reverberated(rng: np.random.Generator, sound: Sound, seconds: float, share: float) -> Sound:
    """With a room's exponential tail."""
    size = int(seconds * RATE)
    tail = rng.standard_normal(size) * 10 ** (-3 * np.arange(size) / size)
    tail *= share / np.sqrt((tail**2).sum())
    tail[0] += 1
    whole = len(sound) + size
    return np.fft.irfft(np.fft.rfft(sound, whole) * np.fft.rfft(tail, whole), whole)[: len(sound)]


def noisy(rng: np.random.Generator, sound: Sound, decibels: float) -> Sound:
    """With white noise so far below."""
    return sound + rng.standard_normal(len(sound)) * sound.std() * 10 ** (-decibels / 20)


def _add(out: Sound, at: float, sound: Sound, level: float) -> None:
    start = int(at * RATE)
    stop = min(start + len(sound), len(out))
    if stop > start:
        out[start:stop] += level * sound[: stop - start]
