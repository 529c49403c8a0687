"""The command line: finds the command, parses its arguments, runs it, and reports errors in one line."""

import signal
import sys
from collections.abc import Callable
from functools import partial

from twinrank import __version__
from twinrank.cli.output import discard_output, fail, print_anything, with_flags
from twinrank.core.launched import launched, leave_to_first
from twinrank.errors import CheckFailed, InputError, Interrupted

_SEVERAL = "train", "resume"
"""Commands that several processes may run together."""


def main(arguments: list[str] | None = None) -> None:
    """Run the ``twinrank`` command.

    It exits with 2 after bad input, with 1 after a check that found something, and with 130 when it was stopped. Lines
    on standard error say why; there is no traceback.
    """
    print_anything()
    # A scheduler's polite stop is a Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    flags: dict[str, str] = {}
    try:
        try:
            _command_of_rank(sys.argv[1:] if arguments is None else arguments, flags)()
        finally:
            sys.stdout.flush()
    except InputError as error:
        fail(f"twinrank: error: {with_flags(str(error), flags)}", 2)
    except CheckFailed as error:
        fail(f"twinrank: {with_flags(str(error), flags)}", 1)
    except Interrupted as error:
        fail(f"twinrank: {with_flags(str(error), flags)}", 130)
    except KeyboardInterrupt:
        fail("twinrank: stopped; run the same command again", 130)
    except BrokenPipeError:
        discard_output()
        sys.exit(1)
    except OSError as error:
        # The library reports what it cannot read or write; what is left has no file: a full disk below standard output.
        if error.filename is not None:
            raise
        discard_output()
        fail(f"twinrank: error: the output cannot be written ({error.strerror}); send it elsewhere", 1)


def _command_of_rank(arguments: list[str], flags: dict[str, str]) -> Callable[[], None]:
    """As :func:`_command`. Of the processes that ``torchrun`` has started, the first one speaks for all."""
    if launched().first:
        return _command(arguments, flags)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        return _command(arguments, flags)
    except InputError:
        leave_to_first(2)


def _command(arguments: list[str], flags: dict[str, str]) -> Callable[[], None]:
    """What is to be done; ``flags`` receives those of the command, for messages about its parameters."""
    if arguments[:1] == ["--version"]:
        return partial(print, f"twinrank {__version__}")
    from twinrank.cli.commands import find

    found = find(arguments)
    if launched().world > 1 and (isinstance(found, str) or found.prog.split()[1] not in _SEVERAL):
        raise InputError(f"torchrun starts only {' and '.join(_SEVERAL)}; start this command without it")
    if isinstance(found, str):
        if not arguments:
            fail(found, 2)
        print(found)
        sys.exit(0)
    from twinrank.cli.parsing import flags_of, parse

    flags |= flags_of(found.function)
    return parse(found.function, found.prog, found.arguments)
