"""Tables that are split keep leading to their images."""

from collections.abc import Callable
from pathlib import Path

import pytest

from twinrank.core.context import Context
from twinrank.data.formats.votes.names import find_images
from twinrank.data.formats.votes.read import read_votes
from twinrank.data.split import PARTS
from twinrank.errors import InputError
from twinrank.workflows.split import split

TYPEFACES = Path(__file__).parent.parent / "typefaces"
Files = dict[str, bytes]


def files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Makes a table of judgements, and images in a folder beside it."""

    def make(rows: int = 300, images: int = 30, folder: str = "photos", named: str = "{}.png") -> Path:
        (tmp_path / folder).mkdir()
        for image in range(images):
            (tmp_path / folder / f"{image}.png").write_text(str(image))
        sides = [(row, row + 1 + (row * 7 + row // images) % (images - 1)) for row in range(rows)]
        lines = [
            f"{named.format(left % images)},{named.format(right % images)},left,{left % 3}" for left, right in sides
        ]
        table = tmp_path / "votes.csv"
        table.write_text("\n".join(("left,right,outcome,user", *lines)) + "\n", encoding="utf-8")
        return table

    return make


def test_real_judgements(tmp_path: Path) -> None:
    said: list[str] = []
    made = split(TYPEFACES / "votes.csv", tmp_path / "parts", TYPEFACES / "images", context=Context(say=said.append))
    assert said[:2] == list(read_votes(TYPEFACES / "votes.csv").understood)
    counts = [len(made.rows(part)) for part in PARTS]
    assert [line.split(": ")[1] for line in said[2:5]] == [
        f"{count} judgements of {made.images[part]} images" for part, count in zip(PARTS, counts, strict=True)
    ]
    assert said[5].endswith(f"{made.crossing.sum()} judgements of a training image and a test image")
    assert said[6].startswith(f"{400 - sum(counts)} of 400 judgements")
    for part, count in zip(PARTS, counts, strict=True):
        votes = read_votes(tmp_path / "parts" / f"{part}.csv")
        assert len(votes) == count
        assert votes.rater is not None
        assert all(path.is_file() for path in find_images(votes.left, TYPEFACES / "images", votes.path))


def test_copies_of_an_image_are_held_out_together(photos: Callable[..., Path], tmp_path: Path) -> None:
    table = photos(images=40)
    for image in range(20):
        (tmp_path / "photos" / f"{image + 20}.png").write_text(str(image))
    split(table, tmp_path / "parts", tmp_path / "photos")
    shown = {part: read_votes(tmp_path / "parts" / f"{part}.csv") for part in PARTS}
    numbers = {part: {int(Path(name).stem) % 20 for name in (*of.left, *of.right)} for part, of in shown.items()}
    assert all(numbers.values())
    assert not numbers["train"] & numbers["test"]
    assert not numbers["val"] & numbers["test"]


def test_the_question_of_a_table_stays_with_its_parts(photos: Callable[..., Path], tmp_path: Path) -> None:
    table = photos()
    header, *lines = table.read_text().splitlines()
    question = 'Which one, "left" or "right", is sharper?'
    quoted = question.replace('"', '""')
    table.write_text("\n".join((f"{header},question", *(f'{line},"{quoted}"' for line in lines))) + "\n")
    split(table, tmp_path / "parts", tmp_path / "photos")
    assert {read_votes(tmp_path / "parts" / f"{part}.csv").question for part in PARTS} == {question}


@pytest.mark.parametrize("named", ["photos/{}.png", "photos\\{}", "./photos/{}.png"])
def test_without_a_folder_of_images_names_lead_there_from_the_new_tables(
    photos: Callable[..., Path], tmp_path: Path, named: str
) -> None:
    table = photos(named=named)
    split(table, tmp_path / "made" / "parts")
    votes = read_votes(tmp_path / "made" / "parts" / "train.csv")
    assert votes.left[0].startswith("../../photos/")
    assert find_images(votes.left, None, votes.path)


def test_with_a_folder_of_images_names_stay_those_in_it(photos: Callable[..., Path], tmp_path: Path) -> None:
    table = photos(named="https://host/x/{}.png")
    split(table, tmp_path / "parts", tmp_path / "photos")
    votes = read_votes(tmp_path / "parts" / "test.csv")
    assert all("/" not in name for name in votes.left)
    assert find_images(votes.left, tmp_path / "photos", votes.path)


def test_the_same_split_may_be_made_again_but_not_another(photos: Callable[..., Path], tmp_path: Path) -> None:
    table, out = photos(), tmp_path / "parts"
    split(table, out, tmp_path / "photos")
    before = files(out)
    assert [*sorted(before)] == ["crossing.csv", "test.csv", "train.csv", "val.csv"]
    split(table, out, tmp_path / "photos")
    (out / "val.csv").unlink()
    split(table, out, tmp_path / "photos")
    assert files(out) == before
    with pytest.raises(InputError, match=r"has another train.csv, .*; remove the old split, or choose a folder"):
        split(table, out, tmp_path / "photos", seed=5)
    assert files(out) == before


def test_nothing_is_written_where_something_is_wrong(photos: Callable[..., Path], tmp_path: Path) -> None:
    table, out = photos(), tmp_path / "parts"
    (tmp_path / "photos" / "7.png").unlink()
    with pytest.raises(InputError, match=r"images that are not in .*: 1 of 30 \('7.png'\)"):
        split(table, out, tmp_path / "photos")
    (tmp_path / "photos" / "7.png").touch()
    out.mkdir()
    (out / "test.csv").mkdir()
    with pytest.raises(InputError, match=r"test.csv: cannot be read \(it is a folder\)"):
        split(table, out, tmp_path / "photos")
    assert [path.name for path in out.iterdir()] == ["test.csv"]
