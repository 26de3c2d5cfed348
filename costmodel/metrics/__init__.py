"""What a network takes beside multiply–accumulates: memory, traffic, training."""
