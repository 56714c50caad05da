"""The page docs/results/shipped-networks.md, out of the rows of all networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks import markdown_tables
from benchmarks.shipped.judging import Row
from benchmarks.shipped.network import Network
from benchmarks.shipped.pattern import draw

DOCS = Path(__file__).parents[2] / "docs" / "results"
PAGE = DOCS / "shipped-networks.md"
HEADINGS = (
    *("norm", "truth", "stood at", "reading [95 %]", "noise taken at", "verdict"),
    "as if training data",
)

HEAD = """<!-- written by `python -m benchmarks shipped` -->
# Shipped networks

Seven public networks lie in wheels on PyPI, trained by others, years ago, in other frameworks.
Their layers are laid out here without any dropout. What they were trained with is written down
elsewhere, so `vs.footprint` can be put to the test on files that nobody made for it:

```python
vs.footprint(net, batches, data="similar", momentum=0.01)
```

It is told two things: the audio is *like* that of training, not the same, so each norm's overall
scale is left free and only the pattern over its channels counts; and the norms remember as
Keras's and TensorFlow's do unless told otherwise (0.99 of the old average). CREPE full and musicnn
are large, and are asked about inputs of layers with weights alone; musicnn reads 64 patches.
"""

TAIL = """
A star: noise is claimed. *Read*: claimed at the right place, and the interval holds the true rate.
*Noise found, its rate missed*: claimed, and the interval does not hold it. *Clean*: none claimed
where none was. *Cannot decide*: none claimed, and the interval holds the truth. *Missed*: the
interval does not hold the truth. *Wrong*: claimed where none was. The last column is the reading
with `data="training"`, which takes the audio for the training data and so counts the scale too.

In the pictures each dot is a channel: up, what is stored beyond the noise-free variance; to the
right, what noise at that place would add to it. The line that was read is drawn through them,
dashed that of the truth.

## What it teaches

**Data richer than yours look like noise.** Readings on similar data err most often upwards, at
clean norms too. The likely reason: the training audio held more incoherent detail than audio made
by a script, so inputs of a layer varied there more independently of each other, and independent
variation is just what dropout adds, in the same pattern over channels. The scatter of channels
does not know of it: intervals of `data="similar"` therefore let channels err along their levers,
and decide little. Pass the training data where they can be had.

Dropout adds little to most norms here: 5 to 11 % of a variance in CREPE, 1 to 3 % in the
segmenters' dense layers, where the audio errs from channel to channel by 5 % (CREPE tiny), 10 to
15 % (CREPE full, the segmenters) and 20 to 30 % (musicnn).

The trace is there all the same, in the level: by plain hooks, the last norm of CREPE tiny stores
1.07 to 1.09 of the median variance it meets on five mixtures of audio, and 0.99 to 1.01 of it once
the true dropout is put back at all five places; the last norms of musicnn 1.13 (MTT) and 1.34
(MSD), and 1.01 and 1.08. But norms further up differ by as much whether it is put back or not, and
who does not know the truth cannot tell dropout from the faults of the audio.

## Where the truth is written

{written}

The last dropout of each network stands before its output layer, behind the last norm, and leaves
no trace.

musicnn's folders hold the graphs they were trained with (`.meta`), and these say the same rates
(`keep_prob` 0.75). They also say that MSD_vgg was trained with other pools (4 × 1, 1 × 4, then
2 × 2) than the package's `models.py` builds for it (those of MTT_vgg): as the package runs it, its
deeper norms meet other inputs than they store. Here it has the pools of its graph.

## The networks

Arrays are read out of the wheels; neither the packages nor their frameworks are installed or
imported. Each network is laid out as its original, one named module per layer. In evaluation mode
they were compared with the originals on recorded speech. The largest differences, inside over the
standard deviation there, of the output in its own units:

| network | against | inside | output |
|---|---|---:|---:|
| CREPE full, tiny | torchcrepe's own module | — | 2e-7, 4e-7 |
| musicnn MSD_vgg, MTT_vgg | the graph in the wheel, TensorFlow 2.21 | 2e-5, 6e-5 | 4e-6, 8e-6 |
| inaSpeechSegmenter's three | the file's layers, Keras 3.15 | 1e-5 | 1e-6 |

## The audio

Notes and random pieces of music on the samples of a SoundFont (TimGM6mb, in the wheel of
pretty_midi), sung vowels by formants, tones and coloured noise; and thirty seconds of recorded
conversation (in the wheel of pyannote.audio), also at other pitches and in other rooms. How much of
which CREPE and musicnn get is chosen so that the *first* norm behind weights meets what it
stores: only the audio comes before that, so dropout has no part in it. The segmenters get equal
shares of speech, music and noise, whichever they were made for.
"""


def write(networks: list[Network], rows: list[Row]) -> None:
    """The page, written anew."""
    parts = [HEAD]
    done = {row.network for row in rows}
    if left := [network.name for network in networks if network.name not in done]:
        parts.append(f"Laid out and checked, and not read yet: {', '.join(left)}.\n")
    for network in networks:
        mine = [row for row in rows if row.network == network.name]
        if not mine:
            continue
        parts.append("\n".join(_section(network, mine)))
    parts.append("\n".join(_counted(rows)))
    written = "\n".join(_written(networks))
    DOCS.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(parts) + TAIL.format(written=written), encoding="utf-8")


def _section(network: Network, rows: list[Row]) -> Iterator[str]:
    yield f"## {network.name}\n"
    yield f"`{network.source}`\n"
    yield markdown_tables.head(*HEADINGS, words=len(HEADINGS))
    for row in rows:
        yield markdown_tables.row(*cells(row))
    shown = [row for row in rows if row.true and row.lever]
    if shown:
        picture = DOCS / f"shipped-{network.name.split()[-1]}.png"
        draw(shown, picture)
        yield f"\n![what {network.name}'s norms store, by channel]({picture.name})"
    yield ""


def _counted(rows: list[Row]) -> Iterator[str]:
    """How often each verdict fell."""
    yield "## In sum\n"
    for said, chosen in (
        ("with dropout before them", [row for row in rows if row.true]),
        ("without", [row for row in rows if not row.true]),
    ):
        counts = Counter(row.verdict.split(":")[0] for row in chosen).most_common()
        yield f"Of {len(chosen)} norms {said}: {', '.join(f'{n} {word}' for word, n in counts)}.\n"


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    read = "—"
    if row.read is not None:
        star = " *" if row.claimed else ""
        read = f"{row.read:.2f} [{row.low:.2f}, {row.high:.2f}]{star}".replace("-", "−")
    trained = "—"
    if row.trained is not None:
        star = " *" if row.trained_claimed else ""
        at = "" if row.trained_place == row.place else f" at {row.trained_place}"
        trained = f"{row.trained:.2f}{star}{at}".replace("-", "−", 1)
    stood, taken = row.true_place or "—", row.place or "—"
    return row.norm, f"{row.true:g}", stood, read, taken, row.verdict, trained


def _written(networks: list[Network]) -> Iterator[str]:
    for text in dict.fromkeys(network.written for network in networks):
        names = [network.name for network in networks if network.written == text]
        yield f"* {', '.join(names)}: {text}"
