"""`python -m costmodel` is the command `costmodel`."""

from costmodel.cli import main

main()
