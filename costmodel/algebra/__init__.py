"""What sizes and counts may be beside numbers, each kind in one module."""
