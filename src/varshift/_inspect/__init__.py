"""The verb `inspect`: one traced training pass becomes a Structure."""
