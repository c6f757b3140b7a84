"""Sequences as Pulseq files: hard pulses, spokes from the centre of k-space, spoilers, crushers."""
