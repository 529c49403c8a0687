"""Names of images, and the files that they mean."""

import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinrank.data.formats.votes.names import find_images, normal_name
from twinrank.data.formats.votes.read import read_votes
from twinrank.data.formats.votes.write import as_csv
from twinrank.errors import InputError

DECOMPOSED, COMPOSED = (unicodedata.normalize(form, "é.png") for form in ("NFD", "NFC"))
FILES = ("a.png", "b.jpg", "b.png", "C.PNG", DECOMPOSED, "sub/x.png", "sub/y.jpg", "E.png", "e.png", "sub/deep/z.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(folder: Path | None, *names: str, home: Path) -> list[str]:
    files = find_images([normal_name(name) for name in names], folder, home / "votes.csv")
    return [file.resolve().relative_to(home / "photos").as_posix() for file in files]


def refused(folder: Path | None, *names: str, home: Path) -> str:
    with pytest.raises(InputError) as caught:
        found(folder, *names, home=home)
    line = str(caught.value)
    assert line.splitlines() == [line]
    return line


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".\\img\\\\0.png", "img/0.png"),
        ("././a//b.png", "a/b.png"),
        ("https://h/a.png?sig=1#x", "https://h/a.png"),
        ("https://h/image?id=1", "https://h/image?id=1"),
        (DECOMPOSED, COMPOSED),
        (" a.png ", "a.png"),
    ],
)
def test_one_spelling(name: str, expected: str) -> None:
    assert normal_name(name) == expected
    assert normal_name(expected) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "a.png"),
        ("a", "a.png"),
        ("c.png", "C.PNG"),
        ("c", "C.PNG"),
        (COMPOSED, DECOMPOSED),
        (DECOMPOSED, DECOMPOSED),
        ("é", DECOMPOSED),
        ("sub\\x.png", "sub/x.png"),
        (".\\SUB\\x", "sub/x.png"),
        ("photos/a.png", "a.png"),
        ("../photos/a.png", "a.png"),
        ("E.png", "E.png"),
        ("e.png", "e.png"),
        ("https://host/data/photos/sub/x.png?token=1", "sub/x.png"),
        ("file:///home/me/photos/caf%C3%A9/../a.png", "a.png"),
        ("C:\\Users\\me\\photos\\a.png", "a.png"),
        ("https://host/deep/z.png", "sub/deep/z.png"),
        ("https://host/q/z", "sub/deep/z.png"),
        ("/data/upload/3/0123abcd-a.png", "a.png"),
        ("/data/local-files/?d=sub/y.jpg", "sub/y.jpg"),
    ],
)
def test_a_name_leads_to_a_file(photos: Path, tmp_path: Path, name: str, expected: str) -> None:
    assert found(photos, name, home=tmp_path) == [expected]


def test_names_of_files_beside_the_table_and_absolute_ones(photos: Path, tmp_path: Path) -> None:
    assert found(None, "photos/a.png", str(photos / "a.png"), home=tmp_path) == ["a.png", "a.png"]
    assert found(photos / "sub", "x.png", "photos/a.png", home=tmp_path) == ["sub/x.png", "a.png"]
    assert find_images(["a.png"], None, photos) == [photos / "a.png"]


def test_all_missing_names_are_in_one_line(photos: Path, tmp_path: Path) -> None:
    line = refused(photos, "q.png", "b", "r", "a.png", "q.png", home=tmp_path)
    assert line.startswith(
        f"{tmp_path / 'votes.csv'}: images that are not in {photos} or {tmp_path}: 2 of 4 ('q.png', 'r');"
    )
    assert f"names that fit several files: 1 ('b': {photos / 'b.jpg'} and {photos / 'b.png'})" in line
    assert "name the folder of the images with `images`" in line
    assert f"'x.png' is in {photos / 'sub'}" in refused(photos, "x.png", home=tmp_path)


def test_what_is_there_and_no_file_is_not_said_to_be_missing(photos: Path, tmp_path: Path) -> None:
    (photos / "gone.png").symlink_to("nowhere")
    line = refused(photos, "gone.png", "sub", "a.png", home=tmp_path)
    assert line.endswith(": names of broken links, folders or pipes: 2 ('gone.png', 'sub'); put images there")
    assert "images that are not in" in refused(photos, "gone.png", "q.png", home=tmp_path)


def test_a_name_as_the_folder_has_it_is_found_like_that_of_a_table(photos: Path, tmp_path: Path) -> None:
    (photos / "a\\b.png").touch()
    assert found(photos, "a\\b.png", "a/b.png", home=tmp_path) == ["a\\b.png"] * 2


def test_files_that_differ_by_case_or_form_alone_are_both_named(photos: Path, tmp_path: Path) -> None:
    (photos / "E2.png").touch()
    (photos / "e2.PNG").touch()
    assert f"{photos / 'E2.png'} and {photos / 'e2.PNG'}" in refused(photos, "e2.png", home=tmp_path)
    (photos / COMPOSED).touch()
    if len([path for path in photos.iterdir() if path.name in (DECOMPOSED, COMPOSED)]) == 2:
        assert "names that fit several files: 1" in refused(photos, COMPOSED, home=tmp_path)


def test_two_addresses_of_one_file_are_refused(photos: Path, tmp_path: Path) -> None:
    line = refused(photos, "https://h/1/a.png", "https://h/2/a.png", home=tmp_path)
    assert f"names that lead to one file: 1 ('https://h/1/a.png' and 'https://h/2/a.png': {photos / 'a.png'})" in line


def test_the_folder_must_exist(photos: Path, tmp_path: Path) -> None:
    assert "no such file or folder" in refused(tmp_path / "none", "a.png", home=tmp_path)
    assert "no folder; name the folder of the images" in refused(photos / "a.png", "a.png", home=tmp_path)


def test_macos_metadata_is_no_image(photos: Path, tmp_path: Path) -> None:
    (photos / "._a.png").touch()
    (photos / "sub" / "._z2.png").touch()
    assert found(photos, "a", home=tmp_path) == ["a.png"]
    assert "images that are not in" in refused(photos, "https://h/z2.png", home=tmp_path)


PARTS = st.one_of(
    st.sampled_from(
        [" a", "a ", "a\\b", "\\a", ".\\a", "a", "A", "http:", "C:", "a?d=b", "\ta", "a\r", "é", "e\u0301", "~"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6),
).filter(lambda part: part.replace("\\", "").replace(".", "").strip())
PATHS = st.lists(PARTS, min_size=1, max_size=2).map("/".join).map(lambda path: f"{path}.png")


@settings(max_examples=60)
@given(paths=st.lists(PATHS, min_size=2, max_size=3, unique=True))
def test_names_that_are_written_lead_back_to_their_files(paths: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for path in paths:
            file = Path(folder) / "photos" / path
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
            except OSError:  # a file where another needs a folder
                continue
            files.append(file)
        table = Path(folder) / "next.csv"
        names = [file.relative_to(Path(folder) / "photos").as_posix() for file in files]
        table.write_bytes(as_csv(["left", "right"], [(name, names[0]) for name in names]).encode())
        reason = ""
        try:
            read = find_images(read_votes(table).left, Path(folder) / "photos", table)
        except InputError as error:
            read, reason = None, str(error)
        assert read == files if read is not None else "fit several files" in reason or "lead to one file" in reason
