"""Notes of real instruments, from the SoundFont (.sf2) in the wheel of pretty_midi."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.shipped.wheels import member

RATE = 16_000
Sound = NDArray[np.float64]
# Generators of a zone, by their numbers in the SoundFont 2.04 specification, section 8.1.2.
ATTACK, DECAY, SUSTAIN, RELEASE, INSTRUMENT, KEYS, COARSE, FINE, SAMPLE, MODE, ROOT = (
    *(34, 36, 37, 38, 41, 43),
    *(51, 52, 53, 54, 58),
)


@dataclass(frozen=True)
class _Sample:
    start: int
    end: int
    loop: tuple[int, int]
    rate: int
    root: int
    cents: int


class SoundFont:
    """Plays one note at a time, without filters and modulators."""

    def __init__(self) -> None:
        data = member("pretty_midi", "0.2.11.post0", "pretty_midi/TimGM6mb.sf2")
        chunks = dict(_chunks(data, 12))
        self.wave = np.frombuffer(chunks[b"smpl"], np.int16) / 32768.0
        self.samples = [_sample(fields) for fields in _records("20s5IBbHH", chunks[b"shdr"])]
        self.presets = _zones("20s3H3I", 3, chunks, (b"phdr", b"pbag", b"pgen"))
        self.instruments = _zones("20sH", 1, chunks, (b"inst", b"ibag", b"igen"))
        heads = [(fields[2], fields[1]) for fields in _records("20s3H3I", chunks[b"phdr"])]
        self.places = {head: i for i, head in enumerate(heads[:-1])}

    def note(self, program: int, key: int, seconds: float, drum: bool = False) -> Sound:
        """One note of a General MIDI program (0 to 127) with its release; empty if it has none."""
        sound = np.zeros(0)
        preset = self.places.get((128 if drum else 0, 0 if drum else program))
        for outer in self.presets[preset] if preset is not None else ():
            if INSTRUMENT not in outer or not _holds(outer, key):
                continue
            zones = self.instruments[outer[INSTRUMENT]]
            common = zones[0] if zones and SAMPLE not in zones[0] else {}
            for zone in zones:
                if SAMPLE in zone and _holds(zone, key):
                    sound = _sum(sound, self._play({**common, **zone}, key, seconds))
        return sound

    def _play(self, zone: dict[int, int], key: int, seconds: float) -> Sound:
        sample = self.samples[zone[SAMPLE]]
        root = zone.get(ROOT, -1)
        cents = 100 * (key - (root if 0 <= root < 128 else sample.root)) + sample.cents
        cents += 100 * _signed(zone.get(COARSE, 0)) + _signed(zone.get(FINE, 0))
        step = 2 ** (cents / 1200) * sample.rate / RATE
        release = min(_seconds(zone.get(RELEASE, -12000)), 1.0)
        at = sample.start + step * np.arange(int((seconds + release) * RATE))
        begin, end = sample.loop
        if zone.get(MODE, 0) in (1, 3) and end > begin + 8:
            at = np.where(at < end, at, begin + (at - begin) % (end - begin))
        at = at[at < sample.end - 1]
        whole = at.astype(int)
        part = at - whole
        sound = (1 - part) * self.wave[whole] + part * self.wave[whole + 1]
        return sound * _envelope(zone, len(sound), seconds, release)


def _envelope(zone: dict[int, int], size: int, seconds: float, release: float) -> Sound:
    t = np.arange(size) / RATE
    attack, decay = (_seconds(zone.get(which, -12000)) for which in (ATTACK, DECAY))
    rest = 10 ** (-min(zone.get(SUSTAIN, 0), 1000) / 200)  # centibels below the peak
    falling = np.maximum(10 ** (-5 * np.maximum(t - attack, 0) / decay), rest)
    level = np.minimum(t / attack, 1) * falling
    return level * 10 ** (-5 * np.maximum(t - seconds, 0) / max(release, 0.02))


def _chunks(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"LIST":
            yield from _chunks(data[: at + 8 + size], at + 12)
        else:
            yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _records(form: str, data: bytes) -> list[tuple[int, ...]]:
    return list(struct.iter_unpack("<" + form, data))


def _zones(
    form: str, bag: int, chunks: dict[bytes, bytes], names: tuple[bytes, bytes, bytes]
) -> list[list[dict[int, int]]]:
    """Of each preset or instrument its zones, of each zone its generators."""
    heads, bags, generators = (chunks[name] for name in names)
    starts = [fields[bag] for fields in _records(form, heads)]
    firsts = [fields[0] for fields in _records("HH", bags)]
    numbers = _records("HH", generators)
    zones = [dict(numbers[a:b]) for a, b in pairwise(firsts)]
    return [zones[a:b] for a, b in pairwise(starts)]


def _sample(fields: tuple[int, ...]) -> _Sample:
    _, start, end, begin, stop, rate, root, cents, *_ = fields
    return _Sample(start, end, (begin, stop), rate, root, cents)


def _holds(zone: dict[int, int], key: int) -> bool:
    keys = zone.get(KEYS, 127 << 8)
    return (keys & 255) <= key <= keys >> 8


def _signed(value: int) -> int:
    return value - 65536 if value > 32767 else value


def _seconds(timecents: int) -> float:
    return max(2 ** (_signed(timecents & 0xFFFF) / 1200), 1e-3)


def _sum(a: Sound, b: Sound) -> Sound:
    total = np.zeros(max(len(a), len(b)))
    total[: len(a)] += a
    total[: len(b)] += b
    return total
