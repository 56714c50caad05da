"""`varshift reproduce`."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from varshift._cli.command import examples
from varshift._cli.options import Debug, TextOrJson
from varshift._cli.output import draw, known, say, write, written
from varshift._files import unreadable
from varshift.errors import UsageError, quoted

if TYPE_CHECKING:
    from varshift._draw.document import Table
    from varshift.reproduce import Budget, Run, Scale
    from varshift.reproduce.estimates import Part

__all__ = ["reproduce"]

SCHEMA = "varshift.reproduce/1"
ALL = 1_000  # rows of a table: none is left out


@examples(
    "varshift reproduce --list",
    "varshift reproduce fig4 --scale smoke",
    "varshift reproduce slips",
)
def reproduce(
    name: Annotated[
        str | None, typer.Argument(help="fig1 … table6, all, table5 (a recipe), slips, or power")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="smoke (seconds; the default), cpu, converged (hours on two cores), paper"
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="networks of each kind; what the scale has if not said")
    ] = None,
    network: Annotated[str | None, typer.Option(help="train only this family, such as WRN")] = None,
    data: Annotated[
        str | None, typer.Option(help="train on these images only, such as fashion-mnist")
    ] = None,
    folder: Annotated[
        str, typer.Option(help="where runs are kept, and continued")
    ] = "varshift-reproduce",
    out: Annotated[
        str | None, typer.Option(help="where page and pictures go; by default FOLDER/SCALE/NAME")
    ] = None,
    made_from: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE.jsonl", help="rebuild from these JSON lines; trains nothing"
        ),
    ] = None,
    records: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="JSON lines, one a finished run: none repeated, new ones added",
        ),
    ] = None,
    root: Annotated[
        list[str] | None, typer.Option(help="local copy of the images: PATH, or NAME=PATH")
    ] = None,
    workers: Annotated[int, typer.Option(help="processes, one thread each")] = 1,
    device: Annotated[str, typer.Option(help="where to train, such as cuda")] = "cpu",
    every: Annotated[float, typer.Option(help="seconds between saved states")] = 20.0,
    precision: Annotated[
        str | None,
        typer.Option(help="of convolutions in training: fp32, bf16, or auto: what a trial favours"),
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="train on a Ray cluster: its ADDRESS, or auto")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="what there is, and what it takes")] = False,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """Train the paper's networks; make its tables and figures.

    The paper's own figures stand beside what comes out.
    Networks already trained are not trained again; a run that was killed is continued.
    """
    from varshift import reproduce as paper

    known(format, ("text", "json"))
    if list_:
        _told([paper.listing(seeds)], None, "text")
    elif name is None:
        raise UsageError("name a table or figure, or all; --list shows what there is")
    elif name == "slips":
        _told([paper.slip_table()], None, format)
    elif name == "table5":
        _told([paper.imagenet_table()], paper.imagenet_recipe(), format)
    elif name == "power":
        if made_from is None:
            raise UsageError("power needs --from FILE: the records whose spread it goes by")
        _told(list(map(paper.power_table, paper.books(_read(made_from)))), None, format)
    elif made_from:
        if out is None:
            raise UsageError("--from needs --out FOLDER, where the page goes")
        if records is not None:
            raise UsageError("--from trains nothing; --records is for runs that do")
        if network is not None or data is not None:
            raise UsageError("--from trains nothing; --network and --data are for runs that do")
        paper.chosen(name)
        made = _read(made_from)
        if scale is not None:
            made = paper.of_scale(made, paper.scale_named(scale))
            if not made:
                raise UsageError(f"--from {made_from}: none of its records is of scale {scale}")
        page = _folder("--out", out)
        _finished(name, paper.scale_of(made), made, page, format, Path(made_from))
    else:
        held = paper.scale_named(scale or "smoke")
        place = _folder("--folder", folder) / held.name
        page = _folder("--out", out) if out else place / name
        runs = paper.runs_of(paper.chosen(name), held, seeds)
        made = _trained(
            tuple(paper.narrowed(runs, network=network, data=data)),
            held.budget,
            place,
            records=_grown(records, page),
            roots=_roots(root or [], held),
            workers=workers,
            ray=ray,
            device=device,
            every=every,
            precision=paper.wish_named(precision or held.precision),
        )
        _finished(name, held.name, made, page, format)


def _folder(option: str, path: str) -> Path:
    """The folder, made where there is none; refused, before any work, where it cannot be."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{option} {quoted(path)} is no folder, and none can be made ({error.strerror})"
        ) from error
    return Path(path)


def _told(tables: Sequence[Table], text: str | None, format: str) -> None:
    """What needs no records, or none of this machine."""
    from varshift._draw.terminal import drawn
    from varshift.reproduce import alone

    if format == "json":
        names = [column.name for column in tables[0].columns]
        held = [row.cells for table in tables for row in table.rows]
        rows = [dict(zip(names, map(str, cells), strict=True)) for cells in held]
        title = "; ".join(table.title for table in tables)
        write(
            json.dumps({"schema": SCHEMA, "title": title, "rows": rows, "recipe": text}, indent=1),
            None,
        )
        return
    draw(drawn(alone(*tables), most=ALL), None)
    if text is not None:
        write(f"\n{_wrapped(text)}", None)


def _wrapped(text: str) -> str:
    """Paragraphs at 80 columns, steps under their number; code, which is set in, as it is."""
    return "\n\n".join(
        block if block.startswith("    ") else _filled(block) for block in text.split("\n\n")
    )


def _filled(block: str) -> str:
    under = " " * 3 * block[:1].isdigit()
    return textwrap.fill(" ".join(block.split()), 80, subsequent_indent=under)


def _trained(
    runs: tuple[Run, ...],
    budget: Budget,
    folder: Path,
    *,
    records: Path | None,
    roots: dict[str, str],
    workers: int,
    ray: str | None,
    **how: Any,
) -> list[dict[str, Any]]:
    """The records of all runs, after those that had none."""
    from varshift._draw import bar
    from varshift.reproduce import Job, Store, work, work_on_ray

    if ray is not None and workers != 1:
        raise UsageError(
            "--workers is for this machine alone; with --ray the cluster's cores count"
        )
    store = Store(folder, records)
    there = store.exchange(runs)
    if records is not None:
        say(f"{records} has the records of {there} of {len(runs)} runs")
    job = Job(runs, folder, budget, roots, records=records, **how)
    progress = bar("training steps")
    try:
        if ray is None:
            work(job, workers=workers, report=progress)
        else:
            work_on_ray(job, ray, report=progress)
    finally:
        progress.close()
    store.exchange(runs)  # what others finished meanwhile in the same folder
    return store.records(runs)


def _grown(records: str | None, page: Path) -> Path | None:
    """The file of records, its end repaired; refused, before any work, where it cannot be one."""
    from varshift.reproduce import RecordFile

    if records is None:
        return None
    written("--records", records)
    path = Path(records)
    if path.resolve() == (page / "records.jsonl").resolve():
        raise UsageError(
            f"--records {records!r} would be replaced by those of this page alone; leave --out "
            "away, and rebuild the page with --from when all runs are done"
        )
    if RecordFile(path).repair():
        say(f"--records {records}: its last line was half written and is gone")
    return path


def _read(records: str) -> list[dict[str, Any]]:
    from varshift.reproduce import read_lines

    if said := unreadable(records):
        raise UsageError(f"--from: {said}")
    return read_lines(Path(records))


def _finished(
    name: str,
    scale: str,
    made: list[dict[str, Any]],
    out: Path,
    format: str,
    source: Path | None = None,
) -> None:
    """The page written, its tables shown."""
    from varshift._draw.terminal import drawn
    from varshift.reproduce import books, chosen, judged, report, write_page

    found = books(made)
    # A page is passed around: it names no folder of this machine beyond what was typed.
    typed = Path(out.name) if out.is_absolute() else out
    again = shlex.join(
        (
            *("varshift", "reproduce", name, "--scale", scale),
            *("--from", str(typed / "records.jsonl"), "--out", str(typed)),
        )
    )
    told = report(chosen(name), found, scale)
    write_page(told, found, out, again, source)
    if format == "json":
        claims = [
            {"data": book.title, "key": one.claim.key, "says": one.claim.says, "verdict": one.word}
            | {"parts": list(map(_part, one.parts))}
            for book in found
            for one in judged(book)
        ]
        answer: dict[str, Any] = {"schema": SCHEMA, "experiment": name, "scale": scale}
        answer |= {"page": str(out / "README.md"), "claims": claims}
        write(json.dumps(answer, allow_nan=False, indent=1), None)
    else:
        draw(drawn(told, most=ALL), None)
    for book in found:
        for one in book.failed:
            say(f"not trained: {one['label']}: {one['failed']}")
    say(f"page, pictures and records are in {out}")


def _part(part: Part) -> dict[str, Any]:
    found = part.estimate
    told = {"name": part.name, "mean": found.mean, "low": found.low, "high": found.high}
    finite = {key: None if value != value else value for key, value in told.items()}
    return finite | {"values": list(found.values), "verdict": part.word, "role": part.role}


def _roots(given: list[str], scale: Scale) -> dict[str, str]:
    """`--root` by the name of its set; without a name it is for every set of the scale."""
    names = [images.name for images in scale.images.values()]
    named: dict[str, str] = {}
    every: dict[str, str] = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not equals:
            every = dict.fromkeys(names, one)
        elif name in names:
            named[name] = path
        else:
            raise UsageError(
                f"--root {one!r}: scale {scale.name} has no set {name!r}, but {', '.join(names)}"
            )
    return every | named
