import pickle

import pytest

from twinrank.errors import InputError


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\nb\x1b[31m\x00\u2028\u202e\udcff", r"a\nb\x1b[31m\x00\u2028\u202e\udcff"),
        ("ü 数 no-break\u00a0space", "ü 数 no-break\u00a0space"),
        ("a" * 501 + " b", "a" * 250 + "…" + "a" * 249 + " b"),
        ("x " * 5000, None),
    ],
)
def test_a_message_is_one_line_of_readable_length(given: str, shown: str | None) -> None:
    error = InputError(given)
    line = str(error)
    assert shown in (line, None)
    assert len(line) <= 2000
    assert str(InputError(line)) == line
    assert str(pickle.loads(pickle.dumps(error))) == line


def test_it_is_a_value_error() -> None:
    assert issubclass(InputError, ValueError)
