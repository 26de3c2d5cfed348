"""Real torch models, written from the papers and not from the zoo, for the cross-check."""
