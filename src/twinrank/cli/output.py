"""What the command line prints: lines, progress and metrics, on any terminal and in any locale."""

import codecs
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from twinrank.core.context import Context
from twinrank.errors import printable

_ASCII = str.maketrans(
    {
        **dict.fromkeys("─━╌╍╸╺", "-"),
        **dict.fromkeys("│┃╎", "|"),
        **dict.fromkeys("╭╮╰╯├┤┬┴┼┌┐└┘", "+"),
        **dict.fromkeys("–—−‐‑", "-"),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("“”", '"'),
        **dict.fromkeys("▁▂▃▄▅▆▇█", "#"),
        **{"…": "...", "•": "*", "·": ".", "×": "x", "±": "+/-", "≤": "<=", "≥": ">=", "→": "->", "√": "sqrt"},
    }
)
_ERRORS = "twinrank.ascii"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """What is printed for characters that the terminal has not: their ASCII form, an escape, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return "".join(map(_ascii_character, text)), error.end


def _ascii_character(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not text in this locale
        return f"\\x{code - 0xDC00:02x}"
    return character if code < 128 else "?"


def print_anything() -> None:
    """Make standard output and standard error print whatever they are given, without an error."""
    codecs.register_error(_ERRORS, _in_ascii)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (open to the end)
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def say(line: str) -> None:
    """Print a line at once; names in it may be those of others."""
    print(printable(line), flush=True)


def fail(line: str, status: int) -> NoReturn:
    """Print a line on standard error, and exit."""
    print(line, file=sys.stderr)
    sys.exit(status)


def with_flags(message: str, flags: Mapping[str, str]) -> str:
    """A message of the library in the words of the command line: parameters in backticks become flags.

    So does the name of a value at the beginning: ``lr is -1`` becomes ``--lr is -1``.
    """
    named = re.sub(r"`(\w+)`", lambda found: flags.get(found[1], found[0]), message)
    name, verb, rest = named.partition(" is ")
    flag = flags.get(name, "")
    return f"{flag}{verb}{rest}" if verb and flag.startswith("--") else named


def command_line(arguments: Sequence[str]) -> str:
    """The command as it was given, but for the password in a URL, since files keep the command."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", shlex.join(["twinrank", *arguments]))


def discard_output() -> None:
    """Drop what is left for standard output. Python would complain once more while it closes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that shows a bar for each name on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(name: str, done: int, pairs: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(escape(name), total=pairs)
            bar.update(tasks[name], completed=done)

        yield show


@contextmanager
def listening() -> Iterator[Context]:
    """A context that prints lines, and shows what takes long as bars."""
    with progress_bars() as progress:
        yield Context(say, progress, command=given_command())


def print_metrics(run: Path, stems: Sequence[str] | None = None) -> None:
    """Print the metrics of a run.

    Args:
        run: Run folder.
        stems: Names of the files that are printed; all of them by default.
    """
    from twinrank.reporting.contents import read_run
    from twinrank.reporting.metrics_lines import metrics_lines

    for key, each in read_run(run, current=stems is None).metrics.items():
        if stems is None or key in stems:
            print("\n".join(map(printable, metrics_lines(each))))


def print_records(records: Sequence[dict[str, Any]]) -> None:
    """Print metrics records that no run folder keeps.

    Args:
        records: Metrics records, one a file.
    """
    from twinrank.reporting.contents import metrics_of
    from twinrank.reporting.metrics_lines import metrics_lines

    for record in records:
        print("\n".join(map(printable, metrics_lines(metrics_of(Path(record["data"]["path"]).stem, record)))))


def given_command() -> str:
    """The command line of this process, as files keep it."""
    return command_line(sys.argv[1:])
