"""The verbs `relocate` and `replace`: changes of a model before it is trained."""
