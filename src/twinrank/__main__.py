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


if __name__ == "__main__":
    _leave_out_working_folder()
    from twinrank.cli.main import main

    main()
