"""How a borrowed model is run, and what is recorded while it runs. README.md is the way in.

These are the names that verbs use; inside this folder files import each other by their own names.
"""

from varshift._engine.batches import Batch, Data, Forward, cut, piece
from varshift._engine.borrow.bits import same_bits
from varshift._engine.borrow.model import unwrapped
from varshift._engine.borrow.rng import seed_all
from varshift._engine.borrow.walk import walk
from varshift._engine.bybatch import notes_on_batch_statistics
from varshift._engine.control import Control, Key, Meeting, Silenced, along_samples, names_of
from varshift._engine.edits import Edit, Undo, edit_of, put, put_back, refuse_overflow, write
from varshift._engine.glance import Glance, Sight, both
from varshift._engine.nested import copied, items_of, tensors_of, with_item
from varshift._engine.normcall import Fixed, NormCall
from varshift._engine.progress import Progress, Reporter, batches_in_all
from varshift._engine.ranks import Ranks
from varshift._engine.received import received
from varshift._engine.record.contrast import Contrasts, Effect
from varshift._engine.record.moments import channel_moments
from varshift._engine.record.recording import Recording, outputs_of
from varshift._engine.record.samples import PerSample, SampleMoments
from varshift._engine.record.series import Stretch
from varshift._engine.record.stored import refuse_unusable, unusable
from varshift._engine.record.tally import GROUPS, Tally, groups_of, rounding
from varshift._engine.regime import Flags, Insert, Norms, Recorder, Regime, fixed, stored
from varshift._engine.session import Held, Passed, Session, session
from varshift._engine.settling import OneByOne, Settled, settle
from varshift._engine.sharding import broadcasts_buffers, is_sharded, is_synchronised
from varshift._engine.sites import Handle, norm_handles, untracked
from varshift._engine.subject import subject_of
from varshift._engine.trace.lines import is_library
from varshift._engine.trace.noises import RATES
from varshift._engine.trace.ops import Operation, tensors_in
from varshift._engine.trace.tracer import Tracer
from varshift._engine.unread import no_norm
from varshift._engine.watching import ran_of
from varshift._engine.weakly import weakly

__all__ = [
    "GROUPS",
    "RATES",
    "Batch",
    "Contrasts",
    "Control",
    "Data",
    "Edit",
    "Effect",
    "Fixed",
    "Flags",
    "Forward",
    "Glance",
    "Handle",
    "Held",
    "Insert",
    "Key",
    "Meeting",
    "NormCall",
    "Norms",
    "OneByOne",
    "Operation",
    "Passed",
    "PerSample",
    "Progress",
    "Ranks",
    "Recorder",
    "Recording",
    "Regime",
    "Reporter",
    "SampleMoments",
    "Session",
    "Settled",
    "Sight",
    "Silenced",
    "Stretch",
    "Tally",
    "Tracer",
    "Undo",
    "along_samples",
    "batches_in_all",
    "both",
    "broadcasts_buffers",
    "channel_moments",
    "copied",
    "cut",
    "edit_of",
    "fixed",
    "groups_of",
    "is_library",
    "is_sharded",
    "is_synchronised",
    "items_of",
    "names_of",
    "no_norm",
    "norm_handles",
    "notes_on_batch_statistics",
    "outputs_of",
    "piece",
    "put",
    "put_back",
    "ran_of",
    "received",
    "refuse_overflow",
    "refuse_unusable",
    "rounding",
    "same_bits",
    "seed_all",
    "session",
    "settle",
    "stored",
    "subject_of",
    "tensors_in",
    "tensors_of",
    "untracked",
    "unusable",
    "unwrapped",
    "walk",
    "weakly",
    "with_item",
    "write",
]
