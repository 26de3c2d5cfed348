"""The explorer: one HTML page that computes what the package does."""
