"""``python -m nascence.cli``."""

from nascence.cli import main

main()
