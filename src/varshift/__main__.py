"""`python -m varshift`."""

from varshift.cli import main

main()
