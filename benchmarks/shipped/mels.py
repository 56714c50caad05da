"""The inputs that the networks were trained on, from audio of 16 kHz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def normalised_frames(sound: Array, starts: Array | range) -> Array:
    """CREPE: 1024 samples from each start, with mean 0 and deviation 1. (N, 1024)"""
    frames = np.stack([sound[start : start + 1024] for start in starts])
    frames = frames - frames.mean(1, keepdims=True)
    return frames / np.maximum(frames.std(1, keepdims=True), 1e-10)


def log_mel_patches(sound: Array, hop: int = 187) -> Array:
    """musicnn: log10(10000 x + 1) of 96 Slaney mels, 187 frames each. (N, 187, 96)

    As its configuration.py says: 512 samples each 256, Hann, power, centred frames.
    """
    padded = np.pad(sound, 256)
    window = np.hanning(513)[:512]
    power = np.abs(np.fft.rfft(_framed(padded, 512, 256) * window)) ** 2
    # The package keeps its spectra in half precision.
    mels = (power @ _slaney_bank(96, 512).T).astype(np.float16).astype(float)
    return _patches(np.log10(10000 * mels + 1), 187, hop)


def segmenter_patches(sound: Array, mels: int, hop: int = 34) -> Array:
    """inaSpeechSegmenter: log of 24 mels, 68 frames of the lowest ones each. (N, 68, mels)

    25 ms each 10 ms, pre-emphasis 0.97 within the frame, Hann; each patch with mean 0, deviation 1.
    Patches that hold silence are left out, as the package does.
    """
    frames = _framed(sound, 400, 160)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    power = np.abs(np.fft.rfft(frames * np.hanning(400), 512)) ** 2
    with np.errstate(divide="ignore"):
        logs = np.log(power @ _htk_bank(24, 512, 100.0).T)
    patches = _patches(logs[:, :mels], 68, hop)
    patches = patches[np.isfinite(patches).all((1, 2))]
    mean, deviation = patches.mean((1, 2), keepdims=True), patches.std((1, 2), keepdims=True)
    return (patches - mean) / deviation


def _framed(sound: Array, size: int, hop: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(sound, size)[::hop]


def _patches(frames: Array, size: int, hop: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(frames, size, axis=0)[::hop]
    return np.ascontiguousarray(windows.transpose(0, 2, 1))


def _slaney_bank(count: int, size: int) -> Array:
    """Triangles of area 1 on Slaney's scale: linear to 1 kHz, then 27 steps per factor 6.4."""
    linear, step = 200 / 3, np.log(6.4) / 27
    top = 15 + np.log(8000 / 1000) / step
    mel = np.linspace(0, top, count + 2)
    edges = np.where(mel < 15, mel * linear, 1000 * np.exp(step * (mel - 15)))
    return _triangles(edges, size)


def _htk_bank(count: int, size: int, low: float) -> Array:
    """Triangles of area 1 on the scale 2595 log10(1 + f / 700); each lacks its highest bin."""
    mel = np.linspace(*(2595 * np.log10(1 + f / 700) for f in (low, 8000.0)), count + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bank = _triangles(edges, size)
    for row in bank:
        row[np.flatnonzero(row)[-1]] = 0  # SIDEKIT's code does
    return bank


def _triangles(edges: Array, size: int) -> Array:
    f = np.arange(size // 2 + 1) * 16_000 / size
    low, middle, high = (edges[i : len(edges) - 2 + i, None] for i in range(3))
    rise, fall = (f - low) / (middle - low), (high - f) / (high - middle)
    return np.maximum(np.minimum(rise, fall), 0) * 2 / (high - low)
