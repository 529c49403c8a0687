import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from twinrank.core.files import open_file, parse_json, read_json, read_text, replacing, sha256, write_json
from twinrank.core.locks import locked
from twinrank.core.npz import read_written
from twinrank.core.steps import Steps
from twinrank.data.folds import Folds
from twinrank.data.formats.selection import read_selection
from twinrank.data.judgements import load_pairs
from twinrank.data.stream import stream_pairs
from twinrank.errors import InputError
from twinrank.evaluation.entrants import load_entrants
from twinrank.evaluation.predictions import Predictions
from twinrank.models.weights import read_tensors


def stream(path: Path) -> None:
    with stream_pairs(path):
        pass


def lock(path: Path) -> None:
    with locked(path):
        pass


def write(path: Path) -> None:
    write_json(path, {})


READERS = [
    *(open_file, read_json, read_text, sha256, read_tensors, write, lock),
    *(Predictions.load, Folds.load, load_entrants, read_selection, load_pairs, stream),
    lambda path: Steps(path, print),
    lambda path: load_pairs(path.with_suffix(".csv")),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, read: object, make: object) -> None:
    path = tmp_path / "odd.npz"
    for each in (path, path.with_suffix(".csv")):
        make(each)  # pyright: ignore[reportCallIssue]
    with pytest.raises(InputError, match=r"^/.*/odd\.(npz|csv): "):
        read(path)  # pyright: ignore[reportCallIssue]


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"/none/lock: cannot be written \(No such file or directory\); choose another"
    ):
        lock(tmp_path / "none" / "lock")


def test_a_zero_byte_in_a_path_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^a\\x00b: a path cannot have a zero byte"):
        open_file(Path("a\0b"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "recursion"),
        ('{"a":' * 100_000, "recursion"),
        ("1" + "0" * 400, "a number of 401 digits; at most 308 are possible"),
        ("1" * 5000, "limit"),
        ("[NaN]", "NaN is no JSON"),
        ("-Infinity", "-Infinity is no JSON"),
    ],
)
def test_json_beyond_bounds_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^a\.json: not valid JSON \(.*{message}"):
        parse_json(text, "a.json")


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"{\xff}")
    with pytest.raises(InputError, match=r"a\.json: not UTF-8 \(byte 1\)"):
        read_json(tmp_path / "a.json")


def test_an_npz_file_that_unpacks_to_far_more_than_is_stored_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, rows=np.zeros(20_000_000, np.int64))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"bytes would unpack to 160,000,000, more than 100 times as many"):
        read_written(path, {"rows": "i"}, "rows")


def test_small_arrays_may_be_as_regular_as_they_like(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", rows=np.zeros(1_000_000, np.int64))
    assert read_written(tmp_path / "a.npz", {"rows": "i"}, "rows")["rows"].sum() == 0


KILLED = """
import sys, time
from pathlib import Path
from twinrank.core.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_and_what_others_write_is_not(tmp_path: Path) -> None:
    other = tmp_path / ".mine.json"
    other.write_text("not ours")
    processes = [
        subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / name], stdout=subprocess.PIPE, text=True)
        for name in ("killed.json", "living.json")
    ]
    for process in processes:
        assert process.stdout
        process.stdout.readline()
    processes[0].kill()
    processes[0].wait()
    assert len(list(tmp_path.iterdir())) == 3
    write_json(tmp_path / "a.json", {})
    left = {path.name.split(".")[1] for path in tmp_path.iterdir() if path.name.startswith(".")}
    assert left == {"mine", "living"}
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / f"{'ü' * 100}.json"
    write_json(path, 1)
    with suppress(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert read_json(path) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    code = (
        f"from pathlib import Path; from twinrank.core.files import write_json\n"
        f"for number in range(200): write_json(Path({str(tmp_path / 'a.json')!r}), [number] * 1000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        time.sleep(0.05)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert read_json(tmp_path / "a.json") == [199] * 1000
    assert len(list(tmp_path.iterdir())) == 1
