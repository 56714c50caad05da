"""What is kept of the activations a pass meets."""
