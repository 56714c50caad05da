"""`varshift explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.command import examples
from varshift._cli.lending import Lent, shared
from varshift._cli.options import MaxSamples, TrainingData
from varshift._cli.output import FileAnswer, finish

__all__ = ["explain"]


@examples(
    "varshift explain net.py:make --checkpoint weights.pt --data data.py:train",
    "varshift explain net.py:make --checkpoint weights.pt --data pictures:train \\",
    "    --test-data pictures:val --image-size 64",
)
def explain(
    *,
    data: TrainingData,
    test_data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="data the model is evaluated on")
    ] = None,
    max_samples: MaxSamples = 4096,
    lent: Lent,
    answer: FileAnswer,
) -> None:
    """Whose fault the gap is: noise, statistics, batches or data.

    Each with its share and error. Exits with 1 where the verdict is other than none.
    --max-samples counts those of each of the two data sets.
    """
    from varshift._explain.explaining import explain as verb

    explanation = verb(
        lent.model,
        lent.batches(data),
        test_data=None if test_data is None else lent.batches(test_data, option="--test-data"),
        max_samples=shared(max_samples),
        progress=True,
        forward=lent.function,
    )
    answer.show(explanation)
    finish(explanation.verdict != "none", answer.exit_zero)
