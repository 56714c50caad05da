"""The verb `measure`: the same batches with noise on and off, and what each norm receives."""
