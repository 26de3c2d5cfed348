"""Tracing: a torch module's forward pass, recorded as a network."""
