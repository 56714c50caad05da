"""The verb `predict`: theory on a model's own weights.

Nothing here imports `varshift._measure`: where the two agree, that means something.
"""
