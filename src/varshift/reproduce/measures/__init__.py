"""What is measured on one trained network."""

from varshift.reproduce.measures.accuracy import Pair, score, train_score
from varshift.reproduce.measures.filters import filter_records
from varshift.reproduce.measures.repairs import METHODS, repair_records
from varshift.reproduce.measures.shifts import paper_means, site_records

__all__ = [
    "METHODS",
    "Pair",
    "filter_records",
    "paper_means",
    "repair_records",
    "score",
    "site_records",
    "train_score",
]
