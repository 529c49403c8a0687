"""``python -m twinrank``."""

from twinrank.cli.main import main

main()
