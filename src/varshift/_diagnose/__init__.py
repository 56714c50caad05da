"""The front door: one look at a model, and what to do."""
