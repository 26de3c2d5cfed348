"""The counting core: networks, their shapes, their loop nests and what these cost."""
