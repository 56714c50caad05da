"""The verb `explain`: factors per site, blame per source, a verdict."""
