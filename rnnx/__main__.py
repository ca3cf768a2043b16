"""`python -m rnnx`."""

from rnnx.cli import main

main()
