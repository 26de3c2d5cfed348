"""A network by name and settings, and all that is said of it: rows, formulas and the check."""
