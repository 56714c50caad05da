"""How a borrowed model is run, and what is recorded while it runs: README.md is the way in."""
