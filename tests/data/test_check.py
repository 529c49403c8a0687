import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinrank.data.check import CheckReport, Finding, check_pairs
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError

N = 400
Y = np.arange(N) % 2

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def clean(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise as images: none like another, labels even, sides alike."""
    xa, xb = np.random.default_rng(seed).integers(0, 256, (2, N, 8, 8), np.uint8)
    return xa, xb, Y.copy()


def saved(path: Path, xa: np.ndarray, xb: np.ndarray, y: np.ndarray | None) -> Path:
    rows = {"id": np.array([f"r{row}" for row in range(len(xa))])} | ({} if y is None else {"y": y})
    np.savez(path, xa=xa, xb=xb, **rows)  # pyright: ignore[reportArgumentType]
    return path


def kinds(report: CheckReport) -> list[str]:
    return [finding.kind for finding in report.findings]


def dark_range() -> Pairs:
    xa, xb, y = clean()
    return xa // 128, xb // 128, y


def uniform_images() -> Pairs:
    xa, xb, y = clean()
    xa[3], xb[5], xb[9] = 0, 0, 77
    return xa, xb, y


def same_image() -> Pairs:
    xa, xb, y = clean()
    xa[7] = xb[7]
    return xa, xb, y


def both_labels() -> Pairs:
    xa, xb, y = clean()
    xa[11], xb[11] = xa[10], xb[10]
    return xa, xb, y


def mirror_same_label() -> Pairs:
    xa, xb, y = clean()
    xa[12], xb[12] = xb[10], xa[10]
    return xa, xb, y


def repeated_pairs() -> Pairs:
    xa, xb, y = clean()
    for row in (12, 14):
        xa[row], xb[row] = xa[10], xb[10]
    return xa, xb, y


def repeated_unlabelled_pairs() -> Pairs:
    xa, xb, _ = both_labels()
    return xa, xb, None


def reused_images() -> Pairs:
    xa, xb, y = clean()
    xa[21] = xb[20]
    return xa, xb, y


def mirror_with_the_other_label() -> Pairs:
    xa, xb, y = clean()
    xa[11], xb[11] = xb[10], xa[10]
    return xa, xb, y


def uneven_labels() -> Pairs:
    xa, xb, _ = clean()
    return xa, xb, (np.arange(N) % 3 == 0).astype(int)


def one_label() -> Pairs:
    xa, xb, y = clean()
    return xa[:3], xb[:3], np.ones_like(y[:3])


def brighter_left() -> Pairs:
    xa, xb, y = clean()
    return np.maximum(xa, 30), np.minimum(xb, 230).clip(1), y


def covered_right() -> Pairs:
    xa, xb, y = clean()
    xa[:, 3:], xb[:, 2:] = 0, 0
    swap = np.random.default_rng(1).random(N) < 0.3
    xa[swap], xb[swap] = xb[swap], xa[swap]
    return xa, xb, y


def brighter_left_unlabelled() -> Pairs:
    return *brighter_left()[:2], None


def half_covered_right() -> Pairs:
    """Left shows exactly twice as many pixels as right in every row."""
    xa, xb, y = clean()
    xa, xb = xa.clip(1), xb.clip(1)
    xb[:, 4:] = 0
    return xa, xb, y


SUSPICIOUS: list[tuple[Callable[[], Pairs], list[str], int, str, tuple[str, ...]]] = [
    (dark_range, ["dark-range"], N, "uint8 images without a value above 1", ()),
    (uniform_images, ["uniform-images"], 3, "3 images have one value throughout", ("r3 left", "r5 right", "r9 right")),
    (same_image, ["same-image"], 1, "1 row has the same image left and right", ("r7",)),
    (both_labels, ["both-labels", "reused-images"], 2, "2 rows belong to a pair that occurs with", ("rows r10, r11",)),
    (mirror_same_label, ["mirror-same-label", "reused-images"], 2, "the label of their mirror", ("rows r10, r12",)),
    (repeated_pairs, ["repeated-pairs", "reused-images"], 3, "occurs more than once", ("rows r10, r12, r14",)),
    (repeated_unlabelled_pairs, ["repeated-pairs", "reused-images"], 2, "more than once", ("rows r10, r11",)),
    (reused_images, ["reused-images"], 1, "1 image occurs in several rows; folds cut by row share such", ()),
    (mirror_with_the_other_label, ["reused-images"], 2, "2 images occur in several rows", ()),
    (uneven_labels, ["label-imbalance"], N, "33.5% of the labels are 1, far from one half", ()),
    (one_label, ["label-imbalance"], 3, "every label is 1", ()),
    (brighter_left, ["position-bias"], N, "mean brightness is", ()),
    (brighter_left_unlabelled, ["position-bias"], N, "mean brightness is", ()),
    (half_covered_right, ["position-bias", "position-bias"], N, "right, whatever the label", ()),
    (covered_right, ["position-bias", "position-bias"], N, "mean brightness is", ()),
]


@pytest.mark.parametrize(("make", "expected", "count", "message", "examples"), SUSPICIOUS)
def test_what_is_suspicious_is_found_and_nothing_else(
    tmp_path: Path, make: Callable[[], Pairs], expected: list[str], count: int, message: str, examples: tuple[str, ...]
) -> None:
    path = saved(tmp_path / "odd.npz", *make())
    report = check_pairs([path])
    found = report.findings[0]
    assert kinds(report) == expected
    assert message in found.text
    assert (found.count, found.examples, found.paths) == (count, examples, (path,))
    assert report.lines[1].startswith(f"{found.severity} {found.kind}: {path}: ")
    assert all(len(line.splitlines()) == 1 for line in report.lines)


def rank_follows_brightness() -> Pairs:
    """The brighter image ranks higher, and labels are a little uneven: no reason to suspect a side."""
    rng = np.random.default_rng(2)
    low, high = rng.integers(0, 200, (N, 8, 8), np.uint8), rng.integers(50, 256, (N, 8, 8), np.uint8)
    y = (np.arange(N) % 20 < 11).astype(int)
    left_higher = y[:, None, None] == 1
    return np.where(left_higher, high, low), np.where(left_higher, low, high), y


def unlabelled() -> Pairs:
    return *clean()[:2], None


def few() -> Pairs:
    """Three labels of four are 1 and left is brighter: chance, in four rows."""
    xa, xb, _ = clean()
    return xa[:4] // 2 + 100, xb[:4] // 2, np.array([1, 1, 0, 1])


@pytest.mark.parametrize("make", [clean, rank_follows_brightness, unlabelled, few])
def test_a_clean_file_is_not_suspected(tmp_path: Path, make: Callable[[], Pairs]) -> None:
    path = saved(tmp_path / "clean.npz", *make())
    report = check_pairs([path])
    assert report.findings == ()
    assert report.lines[1:] == ["nothing suspicious"]


def test_a_benchmark_is_not_suspected(benchmark_folder: Path) -> None:
    report = check_pairs([benchmark_folder / f"{name}.npz" for name in ("train", "val", "test_public")])
    assert [finding for finding in report.findings if finding.severity == "warning"] == []
    assert report.lines[:3] == [
        f"{benchmark_folder / name}.npz: {pairs} pairs of 28 x 28 grey uint8, left ranks higher in {ones}"
        for name, pairs, ones in (
            ("train", 384, "192 (50.0%), no ids"),
            ("val", 96, "48 (50.0%), no ids"),
            ("test_public", 40, "20 (50.0%), ids"),
        )
    ]


def test_the_summary_names_colour_floats_and_missing_labels(tmp_path: Path) -> None:
    xa, xb = np.random.default_rng(0).random((2, 3, 3, 8, 9))
    path = saved(tmp_path / "rgb.npz", xa, xb, None)
    assert check_pairs([path]).lines[0] == f"{path}: 3 pairs of 8 x 9 RGB float32, unlabelled, ids"


def shared(tmp_path: Path, first: Pairs, second: Pairs) -> list[Finding]:
    paths = [saved(tmp_path / "train.npz", *first), saved(tmp_path / "val.npz", *second)]
    findings = check_pairs(paths).findings
    return [finding for finding in findings if finding.kind == "shared-images"]


def test_images_on_both_sides_of_a_split_are_found(tmp_path: Path) -> None:
    train, val = clean(0), clean(1)
    val[0][5], val[1][6], val[1][7] = train[1][30], train[0][31], train[0][31]
    (found,) = shared(tmp_path, train, val)
    assert (found.severity, found.count) == ("warning", 2)
    assert found.text.endswith("share 2 images, in 2 rows of the first and 3 of the second")
    assert set(found.examples) == {"r30 right = r5 left", "r31 left = r6 right"}
    assert found.paths == (tmp_path / "train.npz", tmp_path / "val.npz")


def test_a_float_copy_of_an_image_is_the_same_image(tmp_path: Path) -> None:
    xa, xb, y = clean()
    (found,) = shared(tmp_path, (xa, xb, y), (xa / np.float16(255), xb / np.float16(255), y))
    assert found.count > 2 * N * 0.9


def test_uniform_images_and_other_shapes_are_not_shared(tmp_path: Path) -> None:
    train, val = clean(0), clean(1)
    train[0][3] = val[1][4] = 0
    assert shared(tmp_path, train, val) == []
    left, right = (np.concatenate([images, images], axis=2) for images in train[:2])
    assert shared(tmp_path, (left, right, Y), (left.reshape(N, 16, 8), right.reshape(N, 16, 8), Y)) == []


def test_a_shared_image_is_found_where_two_tables_are_read_at_different_sizes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 16, 16), np.uint8)
    for name, pixels in zip("abcd", (*noise[:3], noise[3, :12]), strict=True):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "train.csv").write_text("left,right,outcome\na,b,left\nb,a,left\n")
    (tmp_path / "test.csv").write_text("left,right,outcome\nc,d,left\nd,b,right\n")
    report = check_pairs([tmp_path / "train.csv", tmp_path / "test.csv"])
    assert [file.shape for file in report.files] == [(1, 16, 16), (1, 128, 128)]
    assert [finding.count for finding in report.findings if finding.kind == "shared-images"] == [1]
    assert report.findings[-1].examples == ("0 right = 1 right",)


def test_every_two_of_several_files_are_compared(tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"{name}.npz", *clean(seed)) for name, seed in (("a", 0), ("b", 1), ("c", 0))]
    (found,) = check_pairs(paths).findings
    assert (found.kind, found.paths, found.count) == ("shared-images", (paths[0], paths[2]), 2 * N)


def test_one_file_is_in_memory_at_a_time(tmp_path: Path) -> None:
    shape = (2, 20_000, 28, 28)
    for name in ("a", "b"):
        xa, xb = np.random.default_rng(ord(name)).integers(0, 256, shape, np.uint8)
        saved(tmp_path / f"{name}.npz", xa, xb, None)
    tracemalloc.start()
    try:
        check_pairs([tmp_path / "a.npz"])
        _, of_one = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        check_pairs([tmp_path / "a.npz", tmp_path / "b.npz"])
        _, of_two = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert of_two < of_one + np.prod(shape) / 4


def test_a_bad_file_is_refused(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.npz", *clean())
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        check_pairs([good, tmp_path / "none.npz"])


def test_arrays_are_checked_like_files() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 9), np.uint8)
    report = check_pairs([(images[0], images[1]), (images[1], images[0], np.array([0, 1, 0, 1]))])
    assert [file.path.name for file in report.files] == ["arrays 1", "arrays 2"]
    assert [finding.kind for finding in report.findings] == ["shared-images"]


def judged(**columns: Any) -> Judgements:
    """Judgements of eight images, each stored once; the first pair is judged three times, once with sides swapped."""
    store = ImageStore.from_arrays(np.random.default_rng(3).integers(0, 256, (8, 1, 8, 8), np.uint8), name="photos")
    left, right = np.array([0, 1, 0, 2, 4, 6]), np.array([1, 0, 1, 3, 5, 7])
    y = np.array([1, 1, 0, 0, 1, 0], np.int8)
    return replace(Judgements(store, left, right, y, None, Path("votes.csv"), "votes"), **columns)


def test_several_votes_about_a_pair_are_normal() -> None:
    report = check_pairs([judged()])
    assert [(found.kind, found.severity) for found in report.findings] == [
        ("repeated-pairs", "note"),
        ("reused-images", "note"),
    ]
    assert "3 rows judge 1 pair more than once, 1 of them with different outcomes" in report.findings[0].text
    assert "'twinrank data split'" in report.findings[1].text


def test_ties_get_advice() -> None:
    tie = np.array([False, False, False, True, True, False])
    y = np.where(tie, 0.5, [1, 0, 1, 0, 1, 0.75]).astype(np.float32)
    report = check_pairs([judged(y=y, tie=tie, weight=np.full(6, 4, np.float32), rater=np.array(["ann", "bob"] * 3))])
    assert "2 rows are ties or even shares; accuracy is about the other 4" in "\n".join(report.lines)
    assert "different outcomes" in report.lines[1]
    assert report.lines[0] == (
        "votes.csv: 6 pairs of 8 x 8 grey uint8, 8 images, 24 votes, 2 raters,"
        " left ranks higher in 3 (75.0%) of 4 decided, 2 ties, no ids"
    )
    nothing = check_pairs([judged(y=np.full(6, 0.5, np.float32), tie=np.ones(6, bool))])
    assert ("ties", "warning") in [(found.kind, found.severity) for found in nothing.findings]


def test_votes_for_one_side_are_suspicious() -> None:
    assert "label-imbalance" in kinds(check_pairs([judged(y=np.full(6, 0.8, np.float32))]))
