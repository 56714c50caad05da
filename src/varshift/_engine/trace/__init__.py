"""Following noise through a pass, operation by operation."""
