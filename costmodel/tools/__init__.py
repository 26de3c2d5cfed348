"""What other cost tools count, and why it differs."""
