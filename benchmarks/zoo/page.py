"""The page docs/results/zoo.md, out of the lines of docs/results/zoo.jsonl."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import median, quantiles

from benchmarks.markdown_tables import head, row
from benchmarks.zoo.keeping import RECORDS
from benchmarks.zoo.reading import FIGURES, LIBRARIES, Line

__all__ = ["BAR", "PAGE", "page", "write"]

PAGE = RECORDS.with_suffix(".md")
BAR = 1e-6  # of a variance, or of the larger of mean and deviation
WITHOUT = "no batch norm"

HEAD = """<!-- written by `make zoo`, and by `python -m benchmarks.zoo --table` alone -->
# Zoo

Every batch-norm architecture of five libraries, built with random weights and its drop options on,
at the smallest input it takes, each in a process with limits of memory and time. `make zoo` makes
the lines of [zoo.jsonl](zoo.jsonl) and this page, goes on where it was stopped, and reads one
architecture again with `make zoo ZOO="--only timm/resnet50 --again"`.

Made with {versions}.
"""
PAIRS = """
## Routes, tried

For up to three noisy modules of each network, drawn by chance, every norm of the network is asked
whether its input depends on what that module draws. No part of varshift answers: a function mode
seeds torch before every call, by module and by number of the call, and plain hooks compare the bits
that each norm receives when that one module's draws alone are made anew (up to four passes with
other draws elsewhere, since one noise may hide another, and draws made anew until something moves).
"""
FIGURE = """
## Figures, checked

Sixty networks, statistics settled by three passes with noise, then three batches of two or four.
The largest relative error over all channels of all norms: of a variance relative to itself, of a
mean to the larger of mean and deviation. Truth of `measure` are plain hooks and two passes in
float64 over what the same network receives, in training with the same seed and in evaluation.
Recalibrated statistics have one solution, those under which each norm receives in a plain
evaluation pass just what it stores; so that pass is run, and compared.
"""


def write(lines: dict[str, Line], names: Iterable[str]) -> None:
    """Write the page."""
    PAGE.write_text(page(lines, list(names)))


def page(lines: dict[str, Line], names: list[str]) -> str:
    """All of it, for those names."""
    known = {name: lines[name] for name in names if name in lines}
    nets = {name: line for name, line in known.items() if not name.startswith(FIGURES)}
    figures = {name: line for name, line in known.items() if name.startswith(FIGURES)}
    made = sorted({one for line in known.values() for one in line["versions"].split(", ")})
    parts = [HEAD.format(versions=", ".join(made))]
    parts += ["\n## What was read\n", *_libraries(nets, names), *_cost(_read(nets))]
    parts += _titled("Not as they were lent", _marked(_read(nets)))
    parts += _titled("Norms that the pass did not meet", _unmet(_read(nets)))
    parts += [PAIRS, *_pairs(_read(nets))]
    parts += [FIGURE, *_figures(figures)]
    parts += ["\n## Not read\n", *_left(nets)]
    parts += ["\n## Each\n", *_each(_read(nets))]
    return "\n".join(parts) + "\n"


def _read(lines: dict[str, Line]) -> dict[str, Line]:
    return {name: line for name, line in sorted(lines.items()) if line["outcome"] == "read"}


def _titled(title: str, lines: Iterable[str]) -> list[str]:
    """Nothing where there is nothing to say."""
    told = list(lines)
    return [f"\n**{title}**\n", *told] if told else []


def _libraries(nets: dict[str, Line], names: list[str]) -> Iterator[str]:
    heads = ("library", "names", "without batch norm", "left out", "not tried yet")
    yield head(*heads, "inspected", "failed", "came back bit for bit", "norms", "noises", "routes")
    sums = [0] * 10
    for library in LIBRARIES:
        mine = [name for name in names if name.startswith(f"{library}/")]
        lines = [nets[name] for name in mine if name in nets]
        left = [line for line in lines if line["outcome"] == "left out"]
        without = sum(line["reason"].startswith(WITHOUT) for line in left)
        read = [line for line in lines if line["outcome"] == "read"]
        counts = [len(mine), without, len(left) - without, len(mine) - len(lines), len(read)]
        counts += [sum(line["outcome"] == "failed" for line in lines)]
        counts += [sum(not line["marks"] for line in read)]
        counts += [sum(line[what] for line in read) for what in ("norms", "noises", "routes")]
        sums = [one + other for one, other in zip(sums, counts, strict=True)]
        yield row(library, *counts)
    yield row("**together**", *sums)
    read, failed = sums[4], sums[5]
    if read:
        share = read / (read + failed)
        yield f"\n{read:,} of {read + failed:,} with batch norm ({share:.2%}) are inspected."


def _unmet(read: dict[str, Line]) -> Iterator[str]:
    """Norms that are held, and no training pass of this input met as norms."""
    for name, line in read.items():
        if line["unmet"]:
            told = ", ".join(f"`{path}`" for path in line["unmet"][:5])
            notes = " ".join(note for note in line["notes"] if line["unmet"][0] in note)
            yield f"* `{name}`: {len(line['unmet'])}, {told}. Told: {notes or 'nothing'}"


def _marked(read: dict[str, Line]) -> Iterator[str]:
    for name, line in read.items():
        if line["marks"]:
            yield f"* `{name}`: {', '.join(line['marks'])}"


def _cost(read: dict[str, Line]) -> Iterator[str]:
    """Inspect over one training forward."""
    groups: dict[str, list[float]] = defaultdict(list)
    for line in read.values():
        seconds = line["forward_s"]
        group = "below 0.02 s" if seconds < 0.02 else "above 0.3 s" if seconds > 0.3 else "between"
        for name in ("all", group):
            groups[name].append(line["inspect_s"] / seconds)
    yield "\nCPU time of a first `inspect` over one training forward on one input, one thread:\n"
    yield head("a forward takes", "networks", "median", "quartiles")
    for name in ("all", "below 0.02 s", "between", "above 0.3 s"):
        ratios = groups[name]
        if len(ratios) > 1:
            low, _, high = quantiles(ratios, n=4)
            yield row(name, len(ratios), f"{median(ratios):.1f}", f"{low:.1f} to {high:.1f}")


def _pairs(read: dict[str, Line]) -> Iterator[str]:
    pairs = {name: line["pairs"] for name, line in read.items()}
    yield head("", "pairs", "as reported", "otherwise")
    for kind, odd in (("reported", "unmoved"), ("unreported", "moved")):
        tried = sum(each[kind] for each in pairs.values())
        wrong = sum(len(each[odd]) for each in pairs.values())
        said = (
            "reported: the norm's input moved" if odd == "unmoved" else "not reported: no bit moved"
        )
        yield row(said, tried, tried - wrong, wrong)
    sources = sum(each["sources"] for each in pairs.values())
    networks = sum(each["sources"] > 0 for each in pairs.values())
    unshown = sum(len(each["unshown"]) for each in pairs.values())
    yield (
        f"\n{sources:,} sources of {networks:,} networks; {unshown:,} more moved nothing in any "
        "try, not even the output (a rate of 0 or close to it), and show nothing."
    )
    odd_ones = [
        f"* `{name}`: {pair}: {'moved, not reported' if odd == 'moved' else 'reported, not moved'}"
        for name, each in pairs.items()
        for odd in ("moved", "unmoved")
        for pair in each[odd]
    ]
    if odd_ones:
        yield "\nOtherwise than reported:\n"
        yield from odd_ones


def _figures(figures: dict[str, Line]) -> Iterator[str]:
    read = _read(figures)
    kinds = list(dict.fromkeys(kind for line in read.values() for kind in line["errors"]))
    yield head("network", *kinds)
    for name, line in read.items():
        yield row(name.removeprefix(FIGURES), *(_error(line["errors"][kind]) for kind in kinds))
    held = sum(all(error <= BAR for error in line["errors"].values()) for line in read.values())
    yield f"\n{held} of {len(read)} networks are within {BAR:g} throughout."
    for name, line in figures.items():
        if line["outcome"] != "read":
            yield f"\n* `{name.removeprefix(FIGURES)}`: {line['reason']}"


def _error(value: float) -> str:
    return f"**{value:.1e}**" if not value <= BAR else f"{value:.1e}"


def _left(nets: dict[str, Line]) -> Iterator[str]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, line in sorted(nets.items()):
        if line["outcome"] != "read":
            reasons[f"{line['outcome']}: {line['reason']}"].append(name)
    for reason, several in sorted(reasons.items(), key=lambda held: len(held[1])):
        told = ", ".join(f"`{name}`" for name in several)
        yield f"* {reason.replace('|', '/')} ({len(several):,}): {told}"


def _each(read: dict[str, Line]) -> Iterator[str]:
    yield "Pairs: those as reported, of those tried.\n"
    heads = ("network", "input", "norms", "noises", "routes", "forwards", "reported", "unreported")
    yield head(*heads, words=2)
    for name, line in read.items():
        pairs = line["pairs"]
        yield row(
            name,
            line["input"],
            *(line["norms"], line["noises"], line["routes"]),
            f"{line['inspect_s'] / line['forward_s']:.1f}",
            f"{pairs['reported'] - len(pairs['unmoved'])} of {pairs['reported']}",
            f"{pairs['unreported'] - len(pairs['moved'])} of {pairs['unreported']}",
        )
