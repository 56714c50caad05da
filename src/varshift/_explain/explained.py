"""The passes of an explanation over batches that are held, for every verb that explains."""

from __future__ import annotations

from varshift._engine import Batch, Data, Held, Session, batches_in_all
from varshift._explain.blaming import Blaming
from varshift._explain.lanes import Lanes
from varshift._explain.result import explanation
from varshift._explain.settling import FirstBatch
from varshift.results import Explanation

__all__ = ["explained"]


def explained(
    run: Session,
    held: Held,
    lanes: Lanes,
    test_data: Data | None = None,
    max_samples: int | None = None,
) -> Explanation:
    """Run the batches in four ways, and say what they show together.

    `lanes` are recorded here. Whatever else rides in their first two ways is recorded with them.
    """
    report, count = run.report, len(held.own)

    def compared(done: int, batch: Batch) -> None:
        if done == 1:
            report.begin("comparing training and evaluation")
        report(2 * done, 4 * count)

    run.run(held.own, lanes.comparing, compared)
    report.say("silencing each noise")
    blaming = Blaming(run, lanes, held)
    settling = FirstBatch(run, blaming, lanes)

    def blamed(done: int, batch: Batch) -> None:
        report(before + per_batch * done, (3 + blaming.rounds) * count)

    before, per_batch = 2 * count, 2
    run.run(held.own, blaming.regimes, blamed, first=settling)
    for number in range(0 if blaming.late else 1, blaming.rounds):  # the clean twins are known
        before, per_batch = (3 + number) * count, 1
        run.run(held.own, blaming.again, blamed)
    exchanged = blaming.exchange()
    if exchanged:
        report.say("giving training the norms of evaluation")
        run.run(held.own, exchanged)
    if test_data is not None:
        report.begin("test data")
        run.run(
            run.batches(test_data, max_samples, named="test_data"),
            lanes.looking,
            lambda done, batch: report.draw(
                done, batches_in_all(test_data, max_samples, done, batch)
            ),
        )
    return explanation(run, held, lanes, settling)
