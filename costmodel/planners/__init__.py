"""What is asked of many networks at once: sweeps, compiled functions, plans."""
