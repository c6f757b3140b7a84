"""Mutated files of every format that mrftool reads: `make fuzz`."""
