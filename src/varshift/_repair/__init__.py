"""The verbs `repair` and `recalibrate`: remedies, measured before they are kept."""
