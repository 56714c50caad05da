"""The verb `footprint`: what a checkpoint remembers of the noise it was trained with."""
