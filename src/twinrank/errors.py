"""The errors that are the user's to mend."""


class InputError(Exception):
    """Something that was given is wrong: one line that says what, where, and what to do.

    The command line prints the line and exits with status 2, without a traceback.
    """


class Interrupted(Exception):
    """Work was stopped by the user; the line says how to go on. The command line exits with status 130."""
