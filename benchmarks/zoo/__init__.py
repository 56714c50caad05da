"""Every batch-norm architecture of five libraries, read and checked: `make zoo`.

Each name is built with random weights and drop options on, at the smallest input it takes, and
asked four questions: does `inspect` read it; does the model come back bit for bit; do the reported
routes, and only they, carry what is drawn anew; and, for a fixed sixty, are the figures of
`measure` and `recalibrate` those of plain hooks in float64.
"""
