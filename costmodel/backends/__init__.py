"""A network as a real torch module, and the counts of that beside ours."""
