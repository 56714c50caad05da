"""`python -m varshift`."""

from varshift._cli import main

main()
