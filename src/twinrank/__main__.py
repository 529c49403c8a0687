"""``python -m twinrank``."""

import os
import sys


def _leave_out_working_folder() -> None:
    """Python puts the working folder first, where a user's ``numpy.py`` would run in place of the library."""
    try:
        here = os.getcwd()  # noqa: PTH109 (pathlib would be imported from there)
    except OSError:
        here = ""
    sys.path[:] = [place for place in sys.path if place not in ("", here)]


def run() -> None:
    """The command ``twinrank``, which Ctrl-C stops with one line, also while its modules are being imported."""
    try:
        from twinrank.cli.main import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("twinrank: stopped; run the same command again\n")
        sys.exit(130)


if __name__ == "__main__":
    _leave_out_working_folder()
    run()
