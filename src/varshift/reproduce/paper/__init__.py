"""What the paper printed: facts to stand beside what is measured here. [li2019disharmony]"""

from varshift.reproduce.paper.figure4 import FIGURE_4, RATES
from varshift.reproduce.paper.printed import (
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TABLE_RATES,
    TRAINING_ACCURACY,
)

__all__ = [
    "FIGURE_4",
    "RATES",
    "TABLE_1",
    "TABLE_2",
    "TABLE_3",
    "TABLE_4",
    "TABLE_5",
    "TABLE_6",
    "TABLE_RATES",
    "TRAINING_ACCURACY",
]
