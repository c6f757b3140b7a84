"""Design of sequences: optimise one, and compare several."""
