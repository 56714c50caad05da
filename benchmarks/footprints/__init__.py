"""Noise read back from checkpoints of small networks that are trained here.

`python -m benchmarks footprints --train` trains what is not trained yet, `--read` reads what is not
read yet, neither does both, and the table is written. `--only KIND` keeps to kinds of that name.
Checkpoints are kept in the user's cache, or in the folder that FOOTPRINT_CACHE names.
"""

from benchmarks.footprints.reading import Truth, load
from benchmarks.footprints.training import cache_folder, index

__all__ = ["Truth", "cache_folder", "index", "load"]
