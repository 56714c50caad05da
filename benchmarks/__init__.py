"""Side-by-side timings and errors; `make bench` runs them all."""
