import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace
from weakref import WeakSet

import numpy as np
import pytest
from tests.data.images.conftest import PIXELS, Opened, pixels_of, save

from twinrank.data.formats.votes.names import find_images
from twinrank.data.images import cache, room, segments
from twinrank.data.images.reading import Reading
from twinrank.data.images.segments import Segment
from twinrank.data.images.store import ImageStore
from twinrank.errors import InputError


def test_a_second_run_opens_nothing(folder: Path, counts: Opened) -> None:
    told: list[tuple[str, int, int]] = []
    store = ImageStore.from_folder(folder, progress=lambda *what: told.append(what))
    np.testing.assert_array_equal(pixels_of(store), PIXELS)
    assert store.names is not None
    assert store.names[[0, 10]].tolist() == ["left/00.png", "right/10.png"]
    assert store.reading == Reading(size=(16, 24), channels=3)
    assert told[-1] == ("images", 20, 20)
    assert counts.since() == (20, 40)
    told.clear()
    again = ImageStore.from_folder(folder, progress=lambda *what: told.append(what))
    np.testing.assert_array_equal(pixels_of(again), PIXELS)
    assert (counts.since(), told) == ((0, 0), [])
    in_memory = ImageStore.from_arrays(PIXELS)
    assert len(again) == len(in_memory)
    for cached, computed in zip(again.fingerprints, in_memory.fingerprints, strict=True):
        np.testing.assert_array_equal(cached, computed)


def test_links_to_folders_are_followed_once(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (folder / "right").rename(outside)
    (folder / "a link").symlink_to(folder / "left")
    (folder / "more").symlink_to(outside)
    (outside / "back").symlink_to(folder)
    store = ImageStore.from_folder(folder)
    assert store.names is not None
    assert store.names[[0, 10]].tolist() == ["left/00.png", "more/10.png"]
    np.testing.assert_array_equal(pixels_of(store), PIXELS)
    assert find_images(["C:/there/19.png"], folder, tmp_path / "votes.csv") == [folder / "more" / "19.png"]


def test_overlapping_sets_share_their_pixels(folder: Path, root: Path, counts: Opened) -> None:
    left = ImageStore.from_folder(folder / "left")
    assert counts.since()[0] == 10
    both = ImageStore.from_folder(folder)
    assert counts.since()[0] == 10
    np.testing.assert_array_equal(pixels_of(both), PIXELS)
    names = ["right/12.png", "left/03.png", "right/11.png", "left/04.png", "left/05.png"]
    some = ImageStore.from_files(names, [folder / name for name in names], Reading(), folder)
    assert counts.since() == (0, 0)
    np.testing.assert_array_equal(pixels_of(some), PIXELS[[12, 3, 11, 4, 5]])
    np.testing.assert_array_equal(some.take(np.array([4, 0])), PIXELS[[5, 12]])
    assert some.take(np.array([3, 4])).flags.writeable
    assert some.take(np.array([], int)).shape == (0, 3, 16, 24)
    assert len(list(root.glob("*/*.images"))) == 2
    np.testing.assert_array_equal(pixels_of(left), PIXELS[:10])


def test_a_moved_folder_is_read_but_not_decoded(folder: Path, counts: Opened) -> None:
    ImageStore.from_folder(folder)
    moved = folder.rename(folder.with_name("moved"))
    counts.since()
    np.testing.assert_array_equal(pixels_of(ImageStore.from_folder(moved)), PIXELS)
    assert counts.since() == (0, 40)


def test_a_changed_image_is_decoded_alone(folder: Path, counts: Opened) -> None:
    before = ImageStore.from_folder(folder)
    path = folder / "left" / "04.png"
    old, changed = path.stat(), PIXELS.copy()
    changed[4, :, 3, 5] ^= 255
    counts.since()
    content = bytearray(path.read_bytes())
    save(path, changed[4])
    # Even if size and time of the last change are the same.
    path.write_bytes(path.read_bytes().ljust(len(content), b"\0"))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    store = ImageStore.from_folder(folder)
    assert counts.since() == (1, 2)
    np.testing.assert_array_equal(pixels_of(store), changed)
    np.testing.assert_array_equal(pixels_of(before), PIXELS)
    assert store.digests is not None
    assert before.digests is not None
    assert np.flatnonzero((store.digests != before.digests).any(1)).tolist() == [4]


def test_another_reading_has_pixels_of_its_own(folder: Path, counts: Opened) -> None:
    ImageStore.from_folder(folder)
    counts.since()
    small = ImageStore.from_folder(folder, Reading(size=8, channels=1))
    assert small.shape == (1, 8, 8)
    # What is known of the files is known for any size.
    assert counts.since() == (20, 20)


def test_many_segments_are_joined(folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch, counts: Opened) -> None:
    monkeypatch.setattr(cache, "_SPARE_SEGMENTS", 3)
    names = [f"left/{number:02}.png" for number in range(10)]
    for count in range(1, 11):
        store = ImageStore.from_files(names[:count], [folder / name for name in names[:count]], Reading(), folder)
        np.testing.assert_array_equal(pixels_of(store), PIXELS[:count])
        assert len(store.parts) <= 3
    assert counts.since()[0] == 10
    again = ImageStore.from_files(names, [folder / name for name in names], Reading(), folder)
    assert counts.since() == (0, 0)
    np.testing.assert_array_equal(pixels_of(again), PIXELS[:10])


def test_a_large_set_has_several_segments(folder: Path, monkeypatch: pytest.MonkeyPatch, counts: Opened) -> None:
    monkeypatch.setattr(cache, "_SEGMENT_BYTES", 3 * PIXELS[0].nbytes)
    monkeypatch.setattr(cache, "_SPARE_SEGMENTS", 1)
    told: list[int] = []
    for _ in range(2):
        store = ImageStore.from_folder(folder, progress=lambda name, done, total: told.append(done))
        assert len(store.parts) == 7
        np.testing.assert_array_equal(pixels_of(store), PIXELS)
    assert told == [3, 6, 9, 12, 15, 18, 20]
    assert counts.since() == (20, 40)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "another kind": lambda content: b"PK" + content[2:],
    "head": lambda content: content[:30] + b"}" + content[31:],
    "pixels": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    "records": lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pixels_are_decoded_again(folder: Path, root: Path, counts: Opened, damage: str) -> None:
    ImageStore.from_folder(folder)
    counts.since()
    (path,) = root.glob("*/*.images")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    for decoded in (20, 0):
        np.testing.assert_array_equal(pixels_of(ImageStore.from_folder(folder)), PIXELS)
        assert counts.since()[0] == decoded
    assert len(list(root.glob("*/*.images"))) == 1


def test_a_copy_of_the_cache_is_used(folder: Path, root: Path, counts: Opened) -> None:
    ImageStore.from_folder(folder)
    counts.since()
    (path,) = root.glob("*/*.images")
    path.write_bytes(path.read_bytes())
    for _ in range(2):
        np.testing.assert_array_equal(pixels_of(ImageStore.from_folder(folder)), PIXELS)
        assert counts.since() == (0, 0)


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_a_damaged_index_costs_no_decoding(folder: Path, root: Path, counts: Opened, content: bytes | None) -> None:
    ImageStore.from_folder(folder)
    index = root / "files.sqlite"
    whole = index.read_bytes()
    index.write_bytes(whole[:5000] + b"\xff" * 2000 + whole[7000:] if content is None else content)
    counts.since()
    np.testing.assert_array_equal(pixels_of(ImageStore.from_folder(folder)), PIXELS)
    assert counts.since()[0] == 0
    np.testing.assert_array_equal(pixels_of(ImageStore.from_folder(folder)), PIXELS)
    assert counts.since() == (0, 0)


def read_and_wait(folder: Path, barrier: Barrier) -> None:
    barrier.wait()
    assert np.array_equal(pixels_of(ImageStore.from_folder(folder)), PIXELS)


def test_two_processes_at_once_decode_once(folder: Path, root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [context.Process(target=read_and_wait, args=(folder, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(root.glob("*/*.images"))) == 1


SLOW = """
import sys, time
from pathlib import Path
from twinrank.data.images import cache
from twinrank.data.images.store import ImageStore
decode = cache.decode
def slow(content, reading):
    print("decoding", flush=True)
    time.sleep(0.1)
    return decode(content, reading)
cache.decode, cache._SEGMENT_BYTES = slow, 4 * 3 * 16 * 24
ImageStore.from_folder(Path(sys.argv[1]), threads=1)
"""


def test_a_killed_process_leaves_nothing_behind(folder: Path, root: Path, counts: Opened) -> None:
    process = subprocess.Popen([sys.executable, "-c", SLOW, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(6):
        assert process.stdout.readline() == "decoding\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = root.glob("*/.*")
    np.testing.assert_array_equal(pixels_of(ImageStore.from_folder(folder)), PIXELS)
    assert not left.exists()
    # The four images of the first segment were kept.
    assert counts.since()[0] == 16


def test_pickled_it_is_mapped_again(folder: Path) -> None:
    store = ImageStore.from_folder(folder)
    pickled = pickle.dumps(store)
    assert len(pickled) < PIXELS.nbytes / 4
    loaded = pickle.loads(pickled)
    np.testing.assert_array_equal(pixels_of(loaded), PIXELS)
    assert (loaded.names == store.names).all()
    assert loaded.reading == store.reading


def test_what_was_not_used_for_long_makes_way(
    folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch, counts: Opened
) -> None:
    def read(part: str) -> ImageStore:
        time.sleep(0.01)
        return ImageStore.from_folder(folder / part, Reading(size=64 if part == "left" else 65))

    def kept() -> int:
        return len(list(root.glob("*/*.images")))

    in_use = read("left")
    read("right")
    assert kept() == 2
    monkeypatch.setenv("TWINRANK_CACHE_GB", "0")
    ImageStore.from_folder(folder, Reading(size=66))
    assert kept() == 2
    counts.since()
    read("left")
    assert counts.since() == (0, 0)
    assert pixels_of(in_use).shape == (10, 3, 64, 64)
    del in_use
    monkeypatch.setenv("TWINRANK_CACHE_GB", "lots")
    with pytest.raises(InputError, match="TWINRANK_CACHE_GB is 'lots'; it must be a number of gigabytes"):
        read("right")


def test_a_full_disk_is_told_before_anything_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, counts: Opened
) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: SimpleNamespace(free=9))
    with pytest.raises(InputError, match=r"need 23,040 bytes and 9 are free; free space, or name a folder on another"):
        ImageStore.from_folder(folder)
    assert counts.since()[0] == 0


def test_a_cache_that_cannot_be_written_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("TWINRANK_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="name another folder in the environment variable TWINRANK_CACHE"):
        ImageStore.from_folder(folder)


def test_resident_memory_is_bounded_over_all_maps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []
    stores = [ImageStore.from_folder(folder / part) for part in ("left", "right")]
    monkeypatch.setattr(segments, "_RELEASED_BYTES", 4 * PIXELS[0].nbytes)
    monkeypatch.setattr(Segment, "_all", WeakSet())
    monkeypatch.setattr(Segment, "_copied", 0)
    for number, store in enumerate(stores):
        assert store.cached is not None
        (segment,) = store.cached.segments
        release = segment.release
        monkeypatch.setattr(
            segment, "release", lambda number=number, release=release: (released.append(number), release())
        )
        Segment._all.add(segment)
    for row in range(10):
        for store, expected in zip(stores, (PIXELS[:10], PIXELS[10:]), strict=True):
            np.testing.assert_array_equal(store.take(np.array([row, 9 - row])), expected[[row, 9 - row]])
    assert sorted(released) == [0] * 10 + [1] * 10
