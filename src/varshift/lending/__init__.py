"""How a model and its data are borrowed: given back bit for bit, fed batch by batch."""

from varshift.lending.batches import (
    Batch,
    Data,
    Forward,
    batches,
    call,
    cut,
    one_batch,
    piece,
    tensors_of,
)
from varshift.lending.borrow import Buffers, borrowed, set_training, training_flags, unwrapped
from varshift.lending.progress import Progress, reporter
from varshift.lending.rng import drawn_from, rng_state, set_rng_state
from varshift.lending.walk import walk

__all__ = [
    "Batch",
    "Buffers",
    "Data",
    "Forward",
    "Progress",
    "batches",
    "borrowed",
    "call",
    "cut",
    "drawn_from",
    "one_batch",
    "piece",
    "reporter",
    "rng_state",
    "set_rng_state",
    "set_training",
    "tensors_of",
    "training_flags",
    "unwrapped",
    "walk",
]
