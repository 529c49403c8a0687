import json
from pathlib import Path
from typing import Any

import pytest

from twinrank.core.files import parse_json
from twinrank.core.records import as_record, read_record
from twinrank.core.run_records import FileUse, RunConfig, StepRecord, as_uses, parse_uses, uses_as_json, uses_in_words
from twinrank.errors import InputError

STEP = {"step": "train", "seconds": 1, "peak_memory_mb": 2.5, "inputs": {}, "outputs": {"a": "b"}}
FITTED = "which the network was fitted to: an in-sample number"
STOPPED_ON = "which chose the epoch, so it reads slightly too well"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "recursion"),
        ("[" * 100 + "]" * 100, "nested deeper than 64 levels"),
        ('{"a": NaN}', "NaN is no JSON"),
        ("-Infinity", "-Infinity is no JSON"),
        ("1e400", "1e400 is beyond the range"),
        ("1" * 5000, "limit"),
        ('{"a"', "delimiter"),
        (b"\xff\xfe\x00", "utf|UTF|decode"),
    ],
)
def test_json_that_cannot_be_held_is_refused(text: str | bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_json(text, "a.json")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"step": 3}, "'step': expected text, got a whole number"),
        ({"seconds": "1"}, "'seconds': expected a number, got text"),
        ({"outputs": {"a": 1}}, r"'outputs\[...\]': expected text, got a whole number"),
        ({"inputs": []}, "'inputs': expected a mapping, got a list"),
        ({"step": None}, "'step': expected text, got null"),
    ],
)
def test_a_bent_value_is_named_with_its_file_and_key(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    path = tmp_path / "step.json"
    path.write_text(json.dumps(STEP | change))
    with pytest.raises(InputError, match=rf"step.json: not a step \({why}") as found:
        read_record(path, StepRecord, "a step")
    assert str(found.value).count("\n") == 0


def test_unknown_keys_stay_and_missing_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "step.json"
    newer = STEP | {"host": "a"}
    path.write_text(json.dumps(newer))
    assert read_record(path, StepRecord, "a step") == newer
    path.write_text(json.dumps({"step": "train"}))
    with pytest.raises(InputError, match=r"step.json: not a step \('seconds' is missing\)"):
        read_record(path, StepRecord, "a step")
    with pytest.raises(InputError, match=r"'model.options' is missing"):
        as_record({"track": "open", "model": {"name": "a"}}, RunConfig, "c", "a run")
    with pytest.raises(InputError, match="no such file"):
        read_record(tmp_path / "none.json", StepRecord, "a step")


def test_uses_in_the_words_of_older_versions_are_read() -> None:
    assert parse_uses("") == ()
    assert parse_uses(FITTED) == (FileUse("fitted"),)
    taught = f"{STOPPED_ON}; to its teacher rows {STOPPED_ON}; to its teacher rows {STOPPED_ON}"
    assert parse_uses(taught) == (FileUse("stopped on"), FileUse("stopped on", of_teacher=True))
    stacked = "to its teacher rows which networks were fitted to: an in-sample number"
    assert parse_uses(stacked) == (FileUse("fitted", "base models", True),)
    with pytest.raises(InputError, match="the words 'which no version wrote' do not say how the file was used"):
        parse_uses("which no version wrote")


def test_uses_are_records_until_they_are_shown() -> None:
    uses = FileUse("stopped on"), FileUse("fitted", "meta-learners", True)
    assert as_uses(json.loads(json.dumps(uses_as_json(uses))), "a.json") == uses
    assert uses_in_words(uses) == f"{STOPPED_ON}; which its teacher's meta-learners were fitted to"
    with pytest.raises(InputError, match=r"a\.json: not how a file was used in training"):
        as_uses([{"role": "eaten"}], "a.json")
