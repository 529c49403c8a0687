from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.stream import stream_pairs
from twinrank.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 12, 10), np.uint8)
ROWS = {"left": [0, 1, 2, 0], "right": [1, 2, 3, 4], "y": [1, 0.25, 0, 1], "tie": [0, 0, 1, 0]}


def test_a_file_stores_each_image_once(tmp_path: Path) -> None:
    path, names = tmp_path / "judged.npz", ["a.png", "b.png", "c.png", "d.png", "e.png"]
    np.savez(path, images=IMAGES, **ROWS, weight=[1, 4, 1, 1], rater=["p", "p", "q", "q"], names=names)
    judged = load_pairs(path)
    assert (len(judged), len(judged.images), judged.images.name(3)) == (4, 5, "d.png")
    assert judged.y is not None
    assert judged.tie is not None
    assert judged.y.tolist() == [1, 0.25, 0.5, 1]
    assert judged.tie.tolist() == [False, False, True, False]
    np.testing.assert_array_equal(judged.xb, IMAGES[[1, 2, 3, 4]])
    in_memory = Judgements.from_images(IMAGES, **ROWS, weight=[1, 4, 1, 1], rater=["p", "p", "q", "q"])
    assert in_memory.content_sha256 == judged.content_sha256
    with stream_pairs(path) as stream:
        (chunk,) = stream.chunks
    assert chunk.y is None
    np.testing.assert_array_equal(chunk.xa, judged.xa)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"left": [0, 1, 2, 5]}, r"key 'left' names images that there are not \(5 in row 3\); numbers are 0 to 4"),
        ({"right": [1, 1, 2, 4]}, r"judgements that compare an image with itself: 2 \(row 1, row 2\); leave these out"),
        ({"right": [0, 1]}, r"key 'right' has shape \(2,\), not \(4,\)"),
        ({"y": [1, 2, 0, 0]}, r"key 'y' has values out of 0 to 1 \(2.0 in row 1\)"),
        ({"weight": [1, 0, 1, 1]}, "key 'weight' has values that are not above 0"),
        ({"weight": [1, 1e20, 1, 1]}, r"key 'weight' has values above 1e\+15; they are numbers of votes"),
        ({"names": ["a", "a", "b", "c", "d"]}, "key 'names' has a name twice"),
        ({"left": None}, "key 'left' missing; valid keys are images, left and right"),
        ({"sides": [1]}, "unknown key 'sides'; remove it"),
        ({"y": None}, "key 'tie' without 'y'"),
        ({"images": IMAGES[:, :2]}, "2 channels; 1 or 3 are possible"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    arrays: dict[str, Any] = {
        key: value for key, value in ({"images": IMAGES} | ROWS | changed).items() if value is not None
    }
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=rf"bad\.npz: .*{words}"):
        load_pairs(tmp_path / "bad.npz")
