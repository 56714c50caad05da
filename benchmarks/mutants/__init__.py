"""Mutation testing; see `python -m benchmarks.mutants --help`."""
