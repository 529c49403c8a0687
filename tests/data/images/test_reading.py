from typing import Any

import pytest

from twinrank.data.images.reading import Header, Reading
from twinrank.errors import InputError


@pytest.mark.parametrize(
    "reading",
    [
        Reading(),
        Reading(size=64, fit="pad", channels=1, background="#102030", range=(0, 4095.5), page=3),
        Reading(size=(8, 512), fit="crop", channels=3),
        Reading(size=224, fit="native"),
    ],
)
def test_it_comes_back_from_json(reading: Reading) -> None:
    assert Reading.from_json(reading.to_json(), "config.json") == reading


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 7}, "size is 7; it must be 8 to 512 pixels"),
        ({"size": [64, 513]}, "size is (64, 513); it must be 8 to 512 pixels"),
        ({"size": [64]}, "size is [64]; it must have two values"),
        ({"size": "64"}, "'size' is '64'; it must be a whole number or a list, each a whole number or null"),
        ({"fit": "stretch"}, "'fit' is 'stretch'; it must be one of resize, crop, pad, native"),
        ({"channels": 2}, "channels is 2; it must be 1 (grey) or 3 (RGB)"),
        ({"background": "whitish"}, "background is 'whitish'; it must be a colour, such as 'white' or '#ff8000'"),
        ({"background": "#11223344"}, "it must be a colour"),
        ({"background": 3}, "'background' is 3; it must be text"),
        ({"range": [5, 5]}, "range is (5, 5); its first value must be below the second"),
        ({"range": [float("nan"), 5]}, "its first value must be below the second"),
        ({"page": -1}, "page is -1; it must be at least 0"),
        ({"pages": 1}, "unknown key 'pages'; did you mean 'page'?"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Reading.from_json(values, "config.json")
    assert str(caught.value).startswith("config.json: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("reading", "headers", "size", "channels"),
    [
        (Reading(), [Header(10, 12, True)] * 2, (10, 12), 1),
        (Reading(), [Header(10, 12, True), Header(10, 12, False)], (10, 12), 3),
        (Reading(), [Header(10, 12, True), Header(12, 10, True)], (128, 128), 1),
        (Reading(), [Header(600, 600, False)], (128, 128), 3),
        (Reading(size=32, channels=1), [Header(10, 12, False), Header(9, 9, True)], 32, 1),
    ],
    ids=["the common size", "grey and colour", "several sizes", "too large", "stated"],
)
def test_size_and_channels_that_are_left_open_follow_the_files(
    reading: Reading, headers: list[Header], size: Any, channels: int
) -> None:
    effective = reading.effective(headers)
    assert (effective.size, effective.channels) == (size, channels)
    assert effective.effective([Header(77, 99, True)]) == effective


@pytest.mark.parametrize(
    ("one", "other", "resized", "words"),
    [
        (Reading(fit="pad"), Reading(), True, "`fit` 'pad' instead of 'resize'"),
        (Reading(fit="pad"), Reading(), False, None),
        (Reading(background="#ffffff"), Reading(), False, None),
        (Reading(background="black"), Reading(), False, "`background` 'black' instead of 'white'"),
        (Reading(range=(0, 9)), Reading(range=(0, 4095)), False, "`range` (0, 9) instead of (0, 4095)"),
        (Reading(range=(0, 9)), Reading(), False, None),
        (Reading(size=32, channels=3, page=1), Reading(size=(32, 32), channels=1), True, None),
    ],
)
def test_readings_differ_where_they_give_other_pixels(
    one: Reading, other: Reading, resized: bool, words: str | None
) -> None:
    assert one.difference(other, resized) == words
