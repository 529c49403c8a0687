"""One command: from its function's signature to its arguments, and every refusal in one line."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import is_dataclass
from functools import partial, wraps
from typing import Any, NoReturn, get_args, get_type_hints

import tyro
from tyro import _errors  # the hook for refusals is there alone; pyproject.toml pins the series

from twinrank.cli.arguments import registry
from twinrank.core.messages import quoted
from twinrank.errors import InputError, nearest, shortened

_FEW = 8
"""So many names are listed in a refusal."""
_LONGEST = 300
_GIVEN: ContextVar[frozenset[str]] = ContextVar("given", default=frozenset())
_POSITIONAL = get_args(tyro.conf.Positional[int])[1]


def parse(function: Callable[..., None], prog: str, arguments: Sequence[str]) -> Callable[[], None]:
    """Read the arguments of a command.

    Args:
        function: The command.
        prog: The words that call it, for example ``twinrank data make``.
        arguments: What follows these words.

    Returns:
        The command with its arguments, to be called when parsing has ended.

    Raises:
        InputError: An argument is unknown, missing or wrong.
        SystemExit: Help was requested, and is printed.
    """

    @wraps(function)
    def parsed(*values: Any, **named: Any) -> Callable[[], None]:
        return partial(function, *values, **named)

    _GIVEN.set(_names(arguments))
    with _errors.on_parse_error(partial(_refuse, prog, function)):
        return tyro.cli(parsed, prog=prog, args=arguments, registry=registry)


def given_flags() -> frozenset[str]:
    """Names of the parameters whose flags were given to the command, whatever their values."""
    return _GIVEN.get()


def _names(arguments: Sequence[str]) -> frozenset[str]:
    flags = {each[2:].partition("=")[0].replace("-", "_") for each in arguments if each.startswith("--")}
    return frozenset(flags | {flag.removeprefix("no_") for flag in flags})


def flags_of(function: Callable[..., None]) -> dict[str, str]:
    """The flag, or the metavar of a positional, by the name of each parameter, and by that of the flag."""
    found: dict[str, str] = {}
    for name, hint in get_type_hints(function, include_extras=True).items():
        if name != "return":
            _add_flags(name, hint, found)
    return found


def _add_flags(name: str, hint: Any, found: dict[str, str]) -> None:
    kind, *metadata = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    if is_dataclass(kind):
        for field, inner in get_type_hints(kind, include_extras=True).items():
            _add_flags(field, inner, found)
        return
    if _POSITIONAL in metadata:
        metavars = [each.metavar for each in metadata if getattr(each, "metavar", None)]
        found[name] = metavars[-1].partition(" ")[0]
        return
    names = [each.name for each in metadata if getattr(each, "name", None)]
    called = names[-1] if names else name
    found[name] = found[called] = f"--{called.replace('_', '-')}"


def unknown(what: str, given: str, valid: Iterable[str], prog: str) -> InputError:
    """The refusal of a command, a model or an option that does not exist, with the nearest one that does."""
    names = list(valid)
    close = difflib.get_close_matches(given, names, 1)
    help_text = f"'{prog} --help' lists them"
    if close:
        return InputError(f"unknown {what} {quoted(given)}; did you mean '{close[0]}'? {help_text}")
    if len(names) <= _FEW:
        return InputError(f"unknown {what} {quoted(given)}; it is one of {', '.join(names)}")
    return InputError(f"unknown {what} {quoted(given)}; {help_text}")


def _refuse(prog: str, function: Callable[..., None], event: _errors.ParseErrorEvent) -> NoReturn:
    tokens = [*getattr(event, "tokens", ()), *getattr(event, "unrecognized_tokens", ())]
    options = [token for token in tokens if token.startswith("-")]
    if options:
        flags = sorted({flag for flag in flags_of(function).values() if flag.startswith("--")})
        raise unknown("option", options[0].partition("=")[0].replace("_", "-"), flags, prog)
    raise InputError(shortened(_refusal(prog, event, tokens), _LONGEST))


def _refusal(prog: str, event: _errors.ParseErrorEvent, tokens: Sequence[str]) -> str:
    match event:
        case _errors.MissingArgs():
            missing = [_named(each.arg) for each in event.missing_arguments]
            verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
            return f"{' and '.join(missing)} {verb} missing; '{prog} --help' describes {them}"
        case _errors.BadValue():
            return f"{_named(event.argument)}: a value is missing; '{prog} --help' describes it"
        case _errors.InvalidChoice():
            return f"{_flag(event.argument)}: {quoted(event.value)} is unknown{nearest(event.value, event.choices)}"
        case _errors.InstantiationFailure():
            named = event.argument is not None and not event.argument.is_positional()
            return f"{_flag(event.argument)}: {event.message}" if named else event.message
    if tokens:
        return f"unexpected argument {quoted(tokens[0])}; '{prog} --help' describes what is accepted"
    return f"these arguments do not fit together; '{prog} --help' describes them"


def _flag(argument: Any) -> str:
    return str(argument.lowered.metavar) if argument.is_positional() else argument.lowered.name_or_flags[-1]


def _named(argument: Any) -> str:
    """As the user would write it: ``--train FILE``."""
    if argument.is_positional() or argument.lowered.metavar is None:
        return _flag(argument)
    return f"{_flag(argument)} {argument.lowered.metavar}"
