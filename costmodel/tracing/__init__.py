"""What `costmodel.tracing.forward` sees: torch's calls as layers, and how those belong together."""
