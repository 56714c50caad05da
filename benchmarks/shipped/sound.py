"""Recorded speech, synthetic voices, noise, and what rooms and microphones make of sounds.

All of 16 kHz, float64, the same for the same seed.
"""

from __future__ import annotations

import io
import wave

import numpy as np

from benchmarks.shipped.soundfont import RATE, Sound
from benchmarks.shipped.wheels import member

FORMANTS = ((300, 800), (900, 2300), (2400, 3200))  # Hz


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


def voice(rng: np.random.Generator, seconds: float) -> Sound:
    """Sung vowels: harmonics of a gliding pitch with vibrato, through three moving formants."""
    t = np.arange(int(seconds * RATE)) / RATE
    grid = np.linspace(0, seconds, max(int(seconds * rng.uniform(1, 5)), 2))
    base = rng.choice((110, 160, 220, 330))
    pitch = base * 2 ** np.interp(t, grid, rng.uniform(-0.4, 0.6, len(grid)))
    vibrato = np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch * (1 + rng.uniform(0, 0.03) * vibrato)) / RATE
    formants = [np.interp(t, grid, rng.uniform(*span, len(grid))) for span in FORMANTS]
    sound = np.zeros(len(t))
    for k in range(1, int(7500 / base) + 1):
        f = k * pitch
        gain = sum(
            level / (1 + ((f - formant) / width) ** 2)
            for level, formant, width in zip((1, 0.5, 0.25), formants, (90, 110, 160), strict=True)
        )
        level = np.where(f < 7600, (gain + 0.01) / k**0.5, 0)
        sound += level * np.sin(k * phase + rng.uniform(0, 6))
    breath = 0.02 * rng.standard_normal(len(t)) * sound.std()
    return (sound + breath) * np.interp(t, grid, rng.uniform(0.2, 1, len(grid)))


def sine(rng: np.random.Generator, key: int, seconds: float) -> Sound:
    """A pure tone within thirteen semitones above the key."""
    pitch = 440 * 2 ** ((key + rng.uniform(0, 13) - 69) / 12)
    return np.sin(2 * np.pi * (pitch * np.arange(int(seconds * RATE)) / RATE + rng.random()))


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
