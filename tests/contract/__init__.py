"""What users of varshift rely on, through its public names alone: outlives any move of files."""
