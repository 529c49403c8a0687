"""The database of a page to judge on, what is refused, and what its server keeps."""

import asyncio
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import Message

from twinrank.data.formats.votes.read import read_votes
from twinrank.data.images.display import defects_to_show, for_browser
from twinrank.errors import InputError
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.scores import posterior
from twinrank.labelling.choice import Shares
from twinrank.labelling.databases import Place, Unreachable, alone
from twinrank.labelling.pictures import Pictures
from twinrank.labelling.server import make_app
from twinrank.labelling.session import Session
from twinrank.labelling.standings import as_comparisons
from twinrank.labelling.storage import OUTCOMES, LabelStore, Shown
from twinrank.workflows.label import Scoring, export_labels

NAMES = [f"{number:02}.png" for number in range(30)]


def test_a_database_holds_what_was_said(
    place: Place, called: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    """Many random steps, each compared with a plain list; at some of them the database is opened anew."""
    rng = np.random.default_rng(0)
    store, known = LabelStore(place, "Older?"), dict[int, Shown]()
    for step in range(120):
        rater = str(rng.choice(["Ada", "Bo"]))
        waiting = [row for row in known.values() if row.open and row.rater == rater]
        answered = [row for row in known.values() if row.outcome and not row.undone and row.rater == rater]
        match rng.choice(["show", "answer", "answer", "undo", "open"]):
            case "answer" if waiting:
                row, outcome = waiting[0], OUTCOMES[rng.integers(4)]
                known[row.id] = store.answer(row.id, rater, outcome)
                assert known[row.id] == Shown(**{**row.__dict__, "outcome": outcome})
            case "undo" if answered:
                known |= {row.id: row for row in store.undo(answered[-1].id, rater)}
            case "open" if step % 10 == 0:
                store.close()
                store = LabelStore(place)
            case _:
                left, right = map(str, rng.choice(NAMES, 2, replace=False))
                row = store.show(left, right, "at random", rater)
                known[row.id] = row
    assert store.rows() == [known[number] for number in sorted(known)]
    done = called("label", "export", place, "--out", "votes.csv", cwd=tmp_path)
    votes = read_votes(tmp_path / "votes.csv")
    assert (done.returncode, done.stdout) == (0, f"votes.csv: {len(votes)} judgements\n")
    counted = [row for row in store.rows() if row.counts]
    assert (votes.left, votes.right) == ([row.left for row in counted], [row.right for row in counted])
    assert votes.tie.tolist() == [row.outcome == "tie" for row in counted]
    assert votes.question == "Older?"
    assert (votes.y == as_comparisons(counted, NAMES).y).all()
    table = tmp_path / "votes.csv"
    export_labels(str(place), table)
    added = table.read_text() + "a.png,b.png,a.png,me,,,,\n"
    table.write_text(added)
    with pytest.raises(InputError, match=f"has rows that are not written here, line {len(votes) + 2}, and is kept"):
        export_labels(str(place), table)
    assert table.read_text() == added


def test_answers_are_kept_once(place: Place) -> None:
    store = LabelStore(place)
    row = store.show("a.png", "b.png", "to cover", "Ada")
    assert store.answer(row.id, "Ada", "tie") == store.answer(row.id, "Ada", "tie")
    with pytest.raises(InputError, match="has another answer; load the page again"):
        store.answer(row.id, "Ada", "left")
    for number, rater in ((row.id, "Bo"), (row.id + 1, "Ada")):
        with pytest.raises(InputError, match="was not shown"):
            store.answer(number, rater, "tie")
    other = LabelStore(place)
    with ThreadPoolExecutor(4) as pool:
        shown = [*pool.map(lambda n: (store, other)[n % 2].show(f"{n}.png", "x.png", "to cover", "Bo"), range(24))]
    assert len({row.id for row in shown}) == 24
    assert [row.left for row in other.rows()[1:]] == [row.left for row in sorted(shown, key=lambda row: row.id)]


def test_a_database_that_is_gone_or_another_one_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    store = LabelStore(path)
    row = store.show("a.png", "b.png", "to cover", "Ada")
    path.rename(tmp_path / "away.db")
    with pytest.raises(Unreachable, match="is not there"):
        store.answer(row.id, "Ada", "left")
    LabelStore(path).close()
    with pytest.raises(Unreachable, match="is another file than before"):
        store.answer(row.id, "Ada", "left")
    (tmp_path / "away.db").replace(path)
    assert store.answer(row.id, "Ada", "left").outcome == "left"
    store.close()
    assert [row.outcome for row in LabelStore(path).rows()] == ["left"]


def test_a_full_disk_loses_no_answer(tmp_path: Path) -> None:
    """The system lets files grow to a limit; then there is room again, and the answer is sent once more."""
    session = Session(LabelStore(tmp_path / "j.db"), NAMES, Scoring.of(Path(), len(NAMES), ()))
    http = TestClient(make_app(session, []), "http://127.0.0.1", raise_server_exceptions=False)
    before, kept = resource.getrlimit(resource.RLIMIT_FSIZE), list[int]()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, before[1]))
    try:
        while (reply := http.post("/api/next", json={"rater": "Ada"})).status_code == 200:
            (pair,) = reply.json()["pairs"]
            reply = http.post(f"/api/pairs/{pair['id']}", json={"rater": "Ada", "outcome": "tie"})
            if reply.status_code != 200:
                break
            kept.append(pair["id"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert "check the disk and the folder" in reply.json()["detail"]
    assert kept
    again = LabelStore(tmp_path / "j.db")
    assert [row.id for row in again.rows() if row.counts] == kept
    (pair,) = http.post("/api/next", json={"rater": "Ada"}).json()["pairs"]
    assert http.post(f"/api/pairs/{pair['id']}", json={"rater": "Ada", "outcome": "tie"}).status_code == 200
    assert [row.id for row in again.rows() if row.counts] == [*kept, pair["id"]]
    session.stop()
    again.close()


def test_what_cannot_be_repeated_is_not_repeated(tmp_path: Path) -> None:
    """A refusal has one line, also where the request holds what no text can: half a character, infinity."""
    session = Session(LabelStore(tmp_path / "j.db"), NAMES, Scoring.of(Path(), len(NAMES), ()))
    http = TestClient(make_app(session, []), "http://127.0.0.1", raise_server_exceptions=False)
    for path, body in (
        ("next", b'{"rater": "\\ud800"}'),
        ("next", b'{"rater": "Ada", "count": NaN}'),
        ("next", b'{"rater": "Ada", "count": 1e999}'),
        ("next", b'{"rater": ' + b"[" * 4000 + b"]" * 4000 + b"}"),
        ("pairs/99999999999999999999", b'{"rater": "Ada", "outcome": "left"}'),
        ("pairs/1", b'{"rater": "Ada", "outcome": "\\ud800"}'),
    ):
        refused = http.post(f"/api/{path}", content=body, headers={"Content-Type": "application/json"})
        assert refused.status_code in (400, 422), refused.text
        assert refused.json()["detail"].isprintable()
    for method, path, status, line in (
        ("GET", "/nothing", 404, "there is no /nothing; / is the page to judge on"),
        ("GET", "/images/30", 404, "there is no image 30"),
        ("GET", "/api/next", 405, "/api/next takes POST, and not GET; / is the page to judge on"),
        ("POST", "/api/standings", 405, "/api/standings takes GET, and not POST; / is the page to judge on"),
    ):
        refused = http.request(method, path)
        assert (refused.status_code, refused.json()) == (status, {"detail": line})
    session.stop()


def test_a_request_that_does_not_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinrank.labelling.server.REQUEST_SECONDS", 0.01)
    session, sent = Session(LabelStore(tmp_path / "j.db"), NAMES, Scoring.of(Path(), len(NAMES), ())), list[Message]()
    parts = iter([{"type": "http.request", "body": b'{"rater"', "more_body": True}])

    async def receive() -> Message:
        if part := next(parts, None):
            return part
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"16"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/next", "query_string": b"", "headers": headers}
    asyncio.run(make_app(session, [])(scope, receive, send))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    session.stop()


def test_a_database_has_one_page(place: Place) -> None:
    with alone(place), pytest.raises(InputError, match="another twinrank label uses it"), alone(place):
        pass
    with alone(place):
        pass


def test_other_files_are_kept(
    tmp_path: Path, called: Callable[..., CompletedProcess[str]], refusal: Callable[..., str]
) -> None:
    store = LabelStore(tmp_path / "ours.db", "Older?")
    assert LabelStore(tmp_path / "ours.db").question == "Older?"
    with pytest.raises(InputError, match="asks 'Older\\?'"):
        LabelStore(tmp_path / "ours.db", "Sharper?")
    store.close()
    with sqlite3.connect(tmp_path / "theirs.db") as theirs:
        theirs.execute("CREATE TABLE judgements (x INTEGER)")
    (tmp_path / "text.db").write_text("left,right\n")
    for name in ("theirs.db", "text.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match="and is kept"):
            LabelStore(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    assert "no database of twinrank label" in refusal(tmp_path / "theirs.db")
    assert "no judgement in it yet" in refusal(tmp_path / "ours.db")
    whole = (tmp_path / "ours.db").read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read as an SQLite database" in refusal(tmp_path / "cut.db")
    (tmp_path / "odd.db").write_bytes(whole.replace(b"tablefacts", b"tablef\xf3cts"))
    assert "cannot be read as an SQLite database" in refusal(tmp_path / "odd.db")
    with pytest.raises(InputError, match=r"cannot be read and written \("):
        LabelStore(tmp_path / "odd.db")
    done = called("label", "export", "text.db", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "votes.csv").exists()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--out", "votes.csv"], "votes.csv: what is written there ends in .db, .sqlite, .sqlite3"),
        (["--repeat", "2"], "--repeat is 2.0; it must be from 0 to 1"),
        (
            ["--out", "mysql://ada:secret@host/votes"],
            "mysql://ada:***@host/votes: no URL of PostgreSQL; write postgres",
        ),
        (
            ["--out", "postgresql://ada:secret@localhost:1/votes"],
            "postgresql://ada:***@localhost:1/votes: cannot be read and written",
        ),
        (["--question", " "], "--question is empty"),
        (["--out", "/proc/judgements.db"], "/proc/judgements.db"),
        (["--host", "no.such.invalid"], "cannot listen on no.such.invalid"),
    ],
)
def test_what_cannot_be_is_refused(
    flags: list[str], line: str, tmp_path: Path, called: Callable[..., CompletedProcess[str]]
) -> None:
    for name in "ab":
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    done = called("label", ".", *flags, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert line in done.stderr
    assert not (tmp_path / "judgements.db").exists()


def test_names_that_are_no_text_are_refused(tmp_path: Path, called: Callable[..., CompletedProcess[str]]) -> None:
    for name in ("a", "b\udcff"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    done = called("label", ".", "--port", "0", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "1 image has a name that is no text in UTF-8 ('b\\udcff.png'); rename them" in done.stderr


def test_images_that_cannot_be_shown_are_refused_before_anybody_judges(
    tmp_path: Path, called: Callable[..., CompletedProcess[str]]
) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    for ending in ("png", "jpg"):
        noise.save(tmp_path / f"good.{ending}")
        whole = (tmp_path / f"good.{ending}").read_bytes()
        (tmp_path / f"cut.{ending}").write_bytes(whole[: len(whole) // 2])
        (tmp_path / f"more.{ending}").write_bytes(whole + bytes(5000))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    done = called("label", ".", "--port", "0", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert ".: 6 images of 10 cannot be used." in done.stderr
    for name in ("cut.jpg", "cut.png", "empty.png", "text.png", "gone.png", "pipe.png"):
        assert f"'{name}'" in done.stderr
    assert not (tmp_path / "judgements.db").exists()


def test_a_database_about_other_images_is_refused(
    tmp_path: Path, called: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").mkdir()
    for name in NAMES[:3]:
        Image.new("L", (8, 8)).save(tmp_path / "new" / name)
    store = LabelStore(tmp_path / "j.db", "Older?")
    for left, right in ((0, 1), (2, 3), (4, 5), (0, 6)):
        row = store.show(NAMES[left], NAMES[right], "to cover", "Ada")
        store.answer(row.id, "Ada", "left")
    command = ("label", "new", "--out", "j.db", "--port", "0")
    done = called(*command, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    line = "j.db: 4 of 7 judged images are not in new ('03.png', '04.png', '05.png' and 1 more); choose another --out"
    assert line in done.stderr
    # A few that are gone are no other folder.
    Image.new("L", (8, 8)).save(tmp_path / "new" / NAMES[3])
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "new" / "deep.tif")
    monkeypatch.setattr("twinrank.labelling.server.run", lambda *_: None)
    done = called(*command, cwd=tmp_path)
    assert done.returncode == 0
    assert "note: 3 of 7 judged images are not in new ('04.png', '05.png', '06.png'); their" in done.stdout
    assert "refuse 1 image as it is: 'deep.tif' with more than 8 bits in grey" in done.stdout
    assert done.stdout.endswith("j.db: 2 judgements\n")
    for name in NAMES[1:4]:
        (tmp_path / "new" / name).unlink()
    (tmp_path / "new" / "deep.tif").unlink()
    done = called("label", "new", "--out", "deep/er/j.db", "--port", "0", cwd=tmp_path)
    assert "there is 1 image; a pair needs two" in done.stderr
    done = called("label", "export", "nope.db", cwd=tmp_path)
    assert "nope.db: no such file; check the path" in done.stderr


def test_a_missing_package_is_named(
    tmp_path: Path, called: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("twinrank.core.web", "twinrank.labelling.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = called("label", ".", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "needs the package uvicorn; install it with: pip install 'twinrank[serve]'" in done.stderr


def test_the_last_answer_about_these_images_is_taken_back(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "j.db")
    session = Session(store, NAMES, Scoring.of(Path(), len(NAMES), ()))
    assert session.undo("Ada") is None
    one, other = session.next("Ada", 2)
    session.answer(other["id"], "Ada", "left")
    session.answer(one["id"], "Ada", "right")
    elsewhere = store.show("gone.png", "lost.png", "to cover", "Ada")
    store.answer(elsewhere.id, "Ada", "tie")
    again = session.undo("Ada")
    assert again == {**one, "id": elsewhere.id + 1}
    assert session.next("Ada") == [again]
    assert [row.id for row in store.rows() if row.undone] == [one["id"]]
    with pytest.raises(InputError, match="has no answer of 'Ada'"):
        store.undo(elsewhere.id + 1, "Ada")


def test_the_ranking_is_kept_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of the names is the true one."""
    session = Session(
        LabelStore(tmp_path / "j.db"),
        NAMES[:8],
        lambda rows: posterior(np.zeros(8), Prior(2.0, 2.0), rows),
        Shares(0, 0),
    )
    session.start()
    for _ in range(40):
        (pair,) = session.next("Ada")
        session.answer(pair["id"], "Ada", "left" if pair["left"] < pair["right"] else "right", 0.5)
    found = session.summary()
    while found["fitted"] is None or found["fitted"]["judgements"] < 40:
        time.sleep(0.02)
        found = session.summary()
    session.stop()
    assert (found["judgements"], found["connected"], found["trouble"]) == (40, True, "")
    assert found["fitted"]["verdict"].startswith("About ")
    assert np.corrcoef([each["image"] for each in found["fitted"]["ranking"]], np.arange(8))[0, 1] > 0.9
    assert found["raters"][0]["judgements"] == session.judgements == 40
    assert len(found["fitted"]["ranking"]) == 8
    monkeypatch.setattr("twinrank.labelling.session._MOST_SHOWN", 4)
    assert [each["place"] for each in session.summary()["fitted"]["ranking"]] == [1, 2, 7, 8]


def test_a_name_is_text(tmp_path: Path) -> None:
    session = Session(LabelStore(tmp_path / "j.db"), NAMES, Scoring.of(Path(), len(NAMES), ()))
    first = session.next("  Ada ", 2)
    assert session.next("Ada", 2) == first
    for name in ("", " ", "a\nb", "x" * 61):
        with pytest.raises(InputError, match="the name of a rater"):
            session.next(name)


def test_images_are_shown_by_any_browser(tmp_path: Path) -> None:
    Image.fromarray(np.arange(3000, 3064, dtype=np.uint16).reshape(8, 8)).save(tmp_path / "deep.tif")
    Image.new("RGB", (6, 4), "red").save(tmp_path / "red.ppm")
    Image.new("RGB", (6, 4), "red").save(tmp_path / "red.webp")
    made, kind = for_browser((tmp_path / "deep.tif").read_bytes())
    (tmp_path / "deep.png").write_bytes(made)
    with Image.open(tmp_path / "deep.png") as image:
        assert (kind, image.size, image.getextrema()) == ("image/png", (8, 8), (0, 255))
    assert for_browser((tmp_path / "red.ppm").read_bytes())[1] == "image/png"
    files = [tmp_path / name for name in ("deep.tif", "red.ppm", "red.webp")]
    cannot, refused = defects_to_show(files)
    assert (cannot, [*refused]) == ({}, [0])
    # What was converted is kept, and what is not asked for any more makes room.
    pictures = Pictures(files, most=len(made))
    assert pictures[0] == (made, kind)
    assert pictures[0] is pictures[0]
    before = pictures[0]
    assert pictures[1] is pictures[1]
    assert pictures[0] is not before
    plain = (tmp_path / "red.webp").read_bytes()
    assert for_browser(plain) == (plain, "image/webp")


def test_other_images_under_the_same_names_are_noticed(
    place: Place, tmp_path: Path, called: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinrank.labelling.server.run", lambda *_: None)
    folder, names = tmp_path / "photos", NAMES[:5]
    folder.mkdir()
    for number, name in enumerate(names):
        Image.new("L", (8, 8), 10 * number).save(folder / name)
    store = LabelStore(place, "Older?")
    session = Session(store, names, Scoring(np.zeros(5), np.zeros(5, bool)))
    client = TestClient(make_app(session, [folder / name for name in names]), base_url="http://localhost")
    for left, right in ((0, 1), (2, 3)):
        row = store.show(names[left], names[right], "to cover", "Ada")
        store.answer(row.id, "Ada", "left")
    for number in (0, 1, 2, 3, 3, 4):
        assert client.get(f"/images/{number}").status_code == 200
    store.close()
    command = ("label", str(folder), "--out", str(place), "--port", "0")
    assert "note" not in called(*command, cwd=tmp_path).stdout
    # One that was judged, and one that was not.
    for name in (names[1], names[4]):
        Image.new("L", (8, 8), 99).save(folder / name)
    done = called(*command, cwd=tmp_path)
    assert done.returncode == 0
    line = "note: 1 of 4 judged images has another file now ('01.png'); judgements count for the file that is there"
    assert line in done.stdout
    read = ("data", "check", str(place), "--images", str(folder))
    if isinstance(place, Path):
        assert line in called(*read, cwd=tmp_path).stdout
    for name in names[2:4]:
        Image.new("L", (8, 8), 99).save(folder / name)
    done = called(*command, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    line = "j.db: 3 of 4 judged images have another file now ('01.png', '02.png', '03.png'); give the images that were"
    assert line.removeprefix("j.db") in done.stderr
    if isinstance(place, Path):
        done = called(*read, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert line in done.stderr
