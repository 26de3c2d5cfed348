"""The layers there are, a family in each module."""
