"""Slow, obvious twins of what varshift computes, and wrong rules that must not pass."""
