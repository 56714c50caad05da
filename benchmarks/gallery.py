"""The documentation's gallery: one network, each verb's line, what it prints and what it draws.

`make gallery` writes docs/gallery.md and the pictures in docs/pictures, in about two minutes. It
trains the network of `varshift demo`, in float64 on one thread: other processors print the same.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich
import torch
from rich.console import Console

import varshift as vs
from varshift._cli.demo import Settings, run_demo
from varshift._loading import load_images

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "pictures"
WIDTH = 92  # characters that fit beside both menus of the site
LINES = 24  # of an output; what is cut is said


@dataclass(frozen=True)
class Piece:
    """One section of the page: its heading, the line that is run, what to see in it."""

    heading: str
    line: str
    seen: str
    drawn: bool = True  # whether the result has a picture to plot


PIECES = (
    Piece(
        "diagnose",
        "d = vs.diagnose(model, loader, validation, held_out=validation)",
        "The front door: what is wrong and how bad, where, whose doing it is, and what to do, each "
        "step with what to expect. Recalibration was tried on the held-out images, and taken back.",
    ),
    Piece(
        "inspect",
        "s = vs.inspect(model, example)",
        "Which noise reaches which norm. Placement (a) is straight into the norm.",
        drawn=False,
    ),
    Piece(
        "measure",
        "m = vs.measure(model, loader)",
        "At test the second norm of every block receives a quarter of the variance it was trained "
        "with. A dot is a norm, its colour how bad the shift is; on the dashed line is none.",
    ),
    Piece(
        "explain",
        "x = vs.explain(model, loader, test_data=validation)",
        "Each cell is the share of a norm's variance in training that one source causes alone.",
    ),
    Piece(
        "predict",
        'p = vs.predict(model, loader, noise={"*": 0.2})',
        "What dropout of 0.2 would do to the same network, without running it so.",
    ),
    Piece(
        "footprint",
        "f = vs.footprint(model, loader)",
        "The rate that each norm's statistics remember. The network was trained with 0.7.",
    ),
    Piece(
        "check",
        "c = vs.check(model, example)",
        "The same network as a linter sees it, from two images.",
        drawn=False,
    ),
    Piece(
        "repair",
        "r = vs.repair(model, loader, held_out=validation)",
        "Every repair that was tried, by what it does to the loss on held-out images.",
    ),
)


def main() -> None:
    """Train, run every line, write the page and its pictures."""
    PICTURES.mkdir(exist_ok=True)
    settings = Settings()
    demo = run_demo(settings)
    demo.noisy.recalibration.undo()
    images = load_images(settings.data, settings.root, seed=settings.seed)
    train, test = images.train.double(), images.test.double()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    names: dict[str, Any] = {
        "vs": vs,
        "model": demo.noisy.net,
        "example": train[:2],
        "loader": list(zip(train.split(128), images.train_labels.split(128), strict=True)),
        "validation": list(zip(test.split(128), images.test_labels.split(128), strict=True)),
    }
    parts = [OPENING]
    for piece in PIECES:
        torch.manual_seed(0)
        exec(piece.line, names)
        result = names[piece.line.partition(" ")[0]]
        parts.append(_part(piece, printed(result), _drawn(piece, result)))
        if piece.heading == "measure" and _screenshot(result, PICTURES / "page.png"):
            parts.append(_PAGE)
    (DOCS / "gallery.md").write_text("\n".join(parts), encoding="utf-8")
    rich.print(f"wrote {DOCS / 'gallery.md'} and {len(list(PICTURES.iterdir()))} pictures")


def printed(result: Any, at_most: int = LINES) -> str:
    """What a terminal of WIDTH columns shows of a result, cut after so many lines."""
    out = io.StringIO()
    Console(file=out, width=WIDTH, no_color=True).print(result.table())
    lines = [line.rstrip() for line in out.getvalue().strip("\n").split("\n")]
    return "\n".join(lines if len(lines) <= at_most else [*lines[: at_most - 1], "…"])


def _drawn(piece: Piece, result: Any) -> str:
    """The name of the picture of a result, or nothing where it has none."""
    if not piece.drawn:
        return ""
    figure = result.plot().figure
    figure.savefig(PICTURES / f"{piece.heading}.png", dpi=120, bbox_inches="tight")
    return f"{piece.heading}.png"


def _part(piece: Piece, output: str, picture: str) -> str:
    drawn = f"\n![what {piece.heading} draws](pictures/{picture})\n" if picture else ""
    return (
        f"## {piece.heading}\n\n{piece.seen}\n\n```python\n{piece.line}\n```\n{drawn}"
        f"\n```text\n{output}\n```\n"
    )


def _screenshot(result: Any, path: Path) -> bool:
    """The first screen of the page of a result, where Chromium is there to show it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return False
    if chromium is None:
        return False
    page_path = result.to_html(path.with_suffix(".html"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.goto(page_path.resolve().as_uri())
        page.screenshot(path=path)
        browser.close()
    page_path.unlink()
    return True


OPENING = """<!-- Written by `make gallery` (benchmarks/gallery.py). Change that, not this page. -->

# Gallery

One network, and what each verb prints and draws of it. It is the network of [the demo](demo.md): a
small pre-activation ResNet on scikit-learn's digits, with dropout 0.7 right before the last norm of
every block, trained for six epochs. `loader` has its 899 training images, `validation` the 898
held-out ones, and `example` two training images. Every line was run to make this page, and `plot()`
drew the pictures. Noise is drawn anew in each run, so figures differ from the demo's by their
standard errors.

[Scripts that assert](gallery/index.md) check what the theory claims.
"""

_PAGE = """`m.to_html("shift.html")` writes one page that works offline
([what is on it](report.md)). Its first screen:

![first screen of the page](pictures/page.png)
"""


if __name__ == "__main__":
    main()
