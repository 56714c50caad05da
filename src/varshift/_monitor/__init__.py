"""The shift while a network trains, for a hundredth of the time."""
