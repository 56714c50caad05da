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
from varshift.lending.bits import same_bits
from varshift.lending.borrow import Buffers, borrowed, set_training, training_flags, unwrapped
from varshift.lending.containers import tensors_within
from varshift.lending.labels import LABELS, labels_of
from varshift.lending.progress import SILENT, Progress, Reporter, reporter
from varshift.lending.rng import drawn_from, rng_state, seed_all, set_rng_state
from varshift.lending.subject import subject_of
from varshift.lending.walk import walk

__all__ = [
    "LABELS",
    "SILENT",
    "Batch",
    "Buffers",
    "Data",
    "Forward",
    "Progress",
    "Reporter",
    "batches",
    "borrowed",
    "call",
    "cut",
    "drawn_from",
    "labels_of",
    "one_batch",
    "piece",
    "reporter",
    "rng_state",
    "same_bits",
    "seed_all",
    "set_rng_state",
    "set_training",
    "subject_of",
    "tensors_of",
    "tensors_within",
    "training_flags",
    "unwrapped",
    "walk",
]
