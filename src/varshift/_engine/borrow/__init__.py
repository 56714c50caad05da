"""A model is borrowed: what it was before is kept, and put back."""
