"""What a checkpoint remembers of the noise it was trained with."""

from varshift.footprint.estimating import footprint
from varshift.footprint.results import Footprint, FootprintSite

__all__ = ["Footprint", "FootprintSite", "footprint"]
