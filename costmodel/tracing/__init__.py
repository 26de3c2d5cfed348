"""What `costmodel.trace` sees: torch's calls as layers, and how those belong together."""
