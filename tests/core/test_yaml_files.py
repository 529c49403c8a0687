import os
import time
from pathlib import Path

import pytest

from twinrank.core.yaml_files import parse_yaml, read_yaml
from twinrank.errors import InputError

LAUGHS = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{one}: &{one} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "its aliases stand for more than 100,000 values"),
        (MERGES, "its aliases stand for more than 100,000 values"),
        ("a: &a [*a]", "the alias in line 1 contains itself"),
        ("[" * 100_000, "line 1 is nested deeper than 50 levels"),
        ("{a: " * 100_000, "line 1 is nested deeper than 50 levels"),
        ("- " * 100_000, "line 1 is nested deeper than 50 levels"),
        ("a: " + "x" * 1_000_000, "1,000,003 characters; at most 1,000,000"),
        ("seed: 1" + "0" * 400, "a number of 401 digits; at most 308 are possible"),
        ("seed: 1" + "0" * 4000, "a number of 4001 digits"),
        ("seed: 1" + "0" * 5000, "limit"),
        ("a: !!set {b}", "line 1 has the tag 'tag:yaml.org,2002:set'; write the value without a tag"),
        ("a: !!bool maybe", "has the tag"),
        ("a: !!int ''", "has the tag"),
        ("!!python/object/apply:os.system [ls]", "has the tag"),
        ("a: 1\n?\n: 2", "a key in line 2 is '', which is no text; put it in quotation marks"),
        ("~: 2", "a key in line 1 is '~'"),
        ("on: 2", "a key in line 1 is 'on'"),
        ("1: 2", "a key in line 1 is '1'"),
        ("[a, b]: 2", "a key in line 1 is a sequence"),
        ("a: 1\na: 2", "key 'a' of line 1 occurs again in line 2; keep one"),
        ("a: 2020-99-99", "month must be in 1..12"),
        ("\x00", "unacceptable character"),
        ("'" + "k" * 5000 + "': 1\n" * 2, "not valid YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_at_once(text: str, message: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "own.yaml")
    line = str(caught.value)
    assert line.startswith("own.yaml: not valid YAML (")
    assert message in line
    assert len(line) < 600
    assert time.monotonic() - started < 5


def test_aliases_and_merges_within_reason_are_read() -> None:
    text = "a: &a {x: 1, y: 1e-3}\nb: {<<: *a, x: 2}\nc: [*a, *a]\n"
    a = {"x": 1, "y": 0.001}
    assert parse_yaml(text, "own.yaml") == {"a": a, "b": {"x": 2, "y": 0.001}, "c": [a, a]}
    assert parse_yaml("", "own.yaml") is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_a_file_is_read(tmp_path: Path, make: type) -> None:
    path = tmp_path / "own.yaml"
    make(path)
    with pytest.raises(InputError, match=r"own\.yaml: (neither a file nor|cannot be read \(it is a folder\))"):
        read_yaml(str(path), "recipes", "recipe")
