"""Suspicious content of well-formed pair files: leaks, contradictions, imbalance, a side that differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from twinrank.core.context import Context
from twinrank.core.messages import SHOWN, counted, first_few
from twinrank.core.raters import named
from twinrank.data.balance import label_imbalance, side_difference
from twinrank.data.fingerprint import PairFingerprints, fingerprint
from twinrank.data.given import Pairs, as_pairs
from twinrank.data.judgements import Judgements
from twinrank.data.source import Source

Severity = Literal["warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something suspicious.

    Attributes:
        kind: Name, for example ``shared-images``; ``docs/data.md`` explains each.
        severity: ``warning`` where results on the files would mislead, ``note`` where it may be meant.
        paths: The file, or the two files.
        count: Number of rows, images or pairs that the text is about.
        text: One line.
        examples: At most three examples, by row id.
    """

    kind: str
    severity: Severity
    paths: tuple[Path, ...]
    count: int
    text: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSummary:
    """Content of a pair file.

    Attributes:
        path: Path of the file, or name of arrays.
        pairs: Number of pairs, N.
        shape: Shape of one image, (C, H, W).
        dtype: ``uint8`` or ``float32``.
        left_higher: Number of decided rows whose left image ranks higher, or None if unlabelled.
        has_ids: Whether rows have ids of their own.
        ties: Number of rows that were judged equal.
        undecided: Number of rows without a decision: ties, and even shares.
        votes: Number of votes, or None where each row is one.
        raters: Number of those who judged, or None if unknown.
        images: Number of distinct images, or None where none occurs in several rows.
    """

    path: Path
    pairs: int
    shape: tuple[int, ...]
    dtype: str
    left_higher: int | None
    has_ids: bool
    ties: int = 0
    undecided: int = 0
    votes: float | None = None
    raters: int | None = None
    images: int | None = None

    @property
    def text(self) -> str:
        """The summary in one line."""
        channels, height, width = self.shape
        pairs, labels = counted(self.pairs, "pair", "pairs"), "unlabelled"
        if self.left_higher is not None:
            decided = self.pairs - self.undecided
            labels = f"left ranks higher in {self.left_higher:,} ({self.left_higher / max(1, decided):.1%})"
            labels += f" of {decided:,} decided" if self.undecided else ""
            labels += f", {counted(self.ties, 'tie', 'ties')}" if self.ties else ""
            even = self.undecided - self.ties
            labels += f", {counted(even, 'even share', 'even shares')}" if even else ""
        ids = "ids" if self.has_ids else "no ids"
        colour = "grey" if channels == 1 else "RGB"
        people = "" if self.images is None else f", {counted(self.images, 'image', 'images')}"
        people += "" if self.votes is None else f", {self.votes:,.0f} votes"
        people += "" if self.raters is None else f", {counted(self.raters, 'rater', 'raters')}"
        return f"{self.path}: {pairs} of {height} x {width} {colour} {self.dtype}{people}, {labels}, {ids}"


@dataclass(frozen=True)
class CheckReport:
    """Summaries of files, and findings in and between them.

    Attributes:
        files: Summaries, one for each file.
        findings: Findings file by file, then between files.
    """

    files: tuple[FileSummary, ...]
    findings: tuple[Finding, ...]

    @property
    def lines(self) -> list[str]:
        """The report as plain text lines."""
        lines = [file.text for file in self.files]
        for finding in self.findings:
            shown = f" (for example {'; '.join(finding.examples)})" if finding.examples else ""
            lines.append(f"{finding.severity} {finding.kind}: {finding.text}{shown}")
        return lines if self.findings else [*lines, "nothing suspicious"]


def check_pairs(files: Sequence[Pairs], source: Source | None = None, context: Context = Context()) -> CheckReport:
    """Load pair files one after the other and look for suspicious content. One file's images are in memory at a time.

    Images are the same if they have the same shape and their pixels agree as 8-bit values. So a uint8 file and its
    float copy share all images. Where two tables are read at different shapes, their image files are compared. 64-bit
    hashes stand for images: two out of a million share one with probability 3e-8.

    Args:
        files: Paths, loaded pairs, or tuples of arrays, as :func:`twinrank.data.given.as_pairs` takes them.
        source: Where the images of tables are, and how they are read.
        context: Listeners, as those of :func:`twinrank.data.judgements.load_pairs`.

    Raises:
        InputError: A file is refused by :func:`twinrank.data.judgements.load_pairs`.
    """
    summaries, findings, prints = [], [], []
    for number, file in enumerate(files, start=1):
        summary, in_file, found = _check_file(as_pairs(file, f"arrays {number}", None, source, context))
        summaries.append(summary)
        findings += in_file
        prints.append(found)
    for first, second in combinations(prints, 2):
        findings += _shared_images(first, second)
    return CheckReport(tuple(summaries), tuple(findings))


def _check_file(data: Judgements) -> tuple[FileSummary, list[Finding], PairFingerprints]:
    found, y = fingerprint(data), data.y
    ties = 0 if data.tie is None else int(data.tie.sum())
    summary = FileSummary(
        path=data.path,
        pairs=len(data),
        shape=data.images.shape,
        dtype=str(data.images.dtype),
        left_higher=None if y is None else int((y > 0.5).sum()),
        has_ids=data.id is not None,
        ties=ties,
        undecided=0 if y is None else int((~data.decided).sum()),
        votes=None if data.weight is None else float(data.weight.sum(dtype=np.float64)),
        raters=None if data.rater is None else len(np.unique(data.rater[named(data.rater)])),
        images=len(np.unique(data.image_codes)) if data.recurring else None,
    )
    repeated = _vote_findings if _is_of_votes(data) else _pair_findings
    return summary, [*_pixel_findings(data, found), *repeated(data, found), *_balance_findings(data, found)], found


def _is_of_votes(data: Judgements) -> bool:
    """Whether rows are votes of people about images, each stored once, so that several about a pair are normal."""
    columns = (data.source, data.tie, data.weight, data.rater)
    return data.shared or any(column is not None for column in columns)


def _pixel_findings(data: Judgements, found: PairFingerprints) -> Iterator[Finding]:
    if data.images.dtype == np.uint8 and found.brightest <= 1:
        text = f"{data.path}: uint8 images without a value above 1; were they 0 to 1 before they became uint8?"
        yield Finding("dark-range", "warning", (data.path,), len(data), text)
    if found.uniform.any():
        count = int(found.uniform.sum())
        text = f"{data.path}: {counted(count, 'image has', 'images have')} one value throughout, such as all black"
        yield Finding("uniform-images", "note", (data.path,), count, text, _sides(found, found.uniform))


def _pair_findings(data: Judgements, found: PairFingerprints) -> Iterator[Finding]:
    """Rows that repeat, contradict or mirror each other, by the numbers that stand for distinct images."""
    forward, backward, same = _numbered(found)
    yield from _same_image(data, found, same)
    _, pair, times = np.unique(forward, return_inverse=True, return_counts=True)
    both, mirrored = np.zeros(len(data), bool), np.zeros(len(data), bool)
    if data.y is not None:
        ones = np.bincount(pair, weights=data.y)
        both = ((ones > 0) & (ones < times))[pair]
        mirrored = np.isin(2 * backward + data.y, 2 * forward + data.y) & ~same
    # A row cannot repeat, contradict or mirror itself.
    for kind, rows, key, about in (
        ("both-labels", both, forward, "belong to a pair that occurs with both labels"),
        ("mirror-same-label", mirrored, np.minimum(forward, backward), "have the label of their mirror image"),
        ("repeated-pairs", (times > 1)[pair] & ~both, forward, "belong to a pair that occurs more than once"),
    ):
        if rows.any():
            count = int(rows.sum())
            text = f"{data.path}: {count:,} rows {about}"
            yield Finding(kind, "warning", (data.path,), count, text, _groups(found.row_ids[rows], key[rows]))

    reused = _reused(found)
    if reused:
        occurs = counted(reused, "image occurs", "images occur")
        text = f"{data.path}: {occurs} in several rows; folds cut by row share such images"
        yield Finding("reused-images", "note", (data.path,), reused, text)


def _vote_findings(data: Judgements, found: PairFingerprints) -> Iterator[Finding]:
    """Pairs that were judged more than once, ties, and images in several rows: all of this is normal among votes."""
    forward, backward, same = _numbered(found)
    yield from _same_image(data, found, same)
    _, pair, times = np.unique(np.minimum(forward, backward), return_inverse=True, return_counts=True)
    again = (times > 1)[pair] & ~same
    if again.any():
        count, pairs = int(again.sum()), np.unique(pair[again])
        text = f"{data.path}: {count:,} rows judge {counted(len(pairs), 'pair', 'pairs')} more than once"
        if data.y is not None:
            for_lower = np.where(forward <= backward, data.y, 1 - data.y)
            least, most = np.ones(len(times)), np.zeros(len(times))
            np.minimum.at(least, pair, for_lower)
            np.maximum.at(most, pair, for_lower)
            differ = int((least < most)[pairs].sum())
            text += f", {differ:,} of them with different outcomes; 'twinrank evaluate' shows how far votes agree"
        yield Finding("repeated-pairs", "note", (data.path,), count, text)
    if data.y is not None and (undecided := int((~data.decided).sum())):
        rest = len(data) - undecided
        severity: Severity = "note" if rest else "warning"
        text = f"{data.path}: {counted(undecided, 'row is a tie', 'rows are ties')} or even shares; accuracy is about"
        yield Finding("ties", severity, (data.path,), undecided, f"{text} the other {rest:,}, log-loss about all")
    reused = _reused(found)
    if reused:
        occurs = counted(reused, "image occurs", "images occur")
        text = f"{data.path}: {occurs} in several rows; hold out images, not rows, with 'twinrank data split'"
        yield Finding("reused-images", "note", (data.path,), reused, text)


def _numbered(found: PairFingerprints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number for each row's pair and for its mirror image, int64 (N,), and whether both images are the same."""
    distinct, codes = np.unique(found.images, return_inverse=True)
    left, right = codes.reshape(-1, 2).T
    return left * len(distinct) + right, right * len(distinct) + left, left == right


def _same_image(data: Judgements, found: PairFingerprints, same: np.ndarray) -> Iterator[Finding]:
    if same.any():
        count = int(same.sum())
        text = f"{data.path}: {counted(count, 'row has', 'rows have')} the same image left and right"
        yield Finding("same-image", "warning", (data.path,), count, text, tuple(found.row_ids[same][:SHOWN]))


def _balance_findings(data: Judgements, found: PairFingerprints) -> Iterator[Finding]:
    y, values = data.y, (found.brightness, found.visible)
    if y is not None:
        decided = data.decided
        y, values = (y[decided] > 0.5).astype(np.int8), tuple(each[decided] for each in values)
        imbalance = label_imbalance(y) if len(y) else None
        if imbalance:
            yield Finding("label-imbalance", "warning", (data.path,), len(y), f"{data.path}: {imbalance}")
    for name, each in zip(("brightness", "share of pixels above 0"), values, strict=True):
        difference = side_difference(each, y)
        if difference:
            text = f"{data.path}: mean {name} {difference}"
            yield Finding("position-bias", "warning", (data.path,), len(data), text)


def _shared_images(first: PairFingerprints, second: PairFingerprints) -> Iterator[Finding]:
    if first.shape == second.shape:
        codes = first.images, second.images
    elif first.files is not None and second.files is not None:
        # Tables whose images have no size in common are read at another one, so the pixels of one image differ.
        codes = first.files, second.files
    else:
        return
    in_first = np.isin(codes[0], codes[1]) & ~first.uniform
    in_second = np.isin(codes[1], codes[0]) & ~second.uniform
    shared = np.unique(codes[0][in_first])
    if len(shared) == 0:
        return
    examples = []
    for image in shared[:SHOWN]:
        places = [_sides(file, own == image)[0] for file, own in zip((first, second), codes, strict=True)]
        examples.append(" = ".join(places))
    rows = [int(mask.any(axis=1).sum()) for mask in (in_first, in_second)]
    text = (
        f"{first.path} and {second.path} share {counted(len(shared), 'image', 'images')},"
        f" in {counted(rows[0], 'row', 'rows')} of the first and {rows[1]:,} of the second"
    )
    yield Finding("shared-images", "warning", (first.path, second.path), len(shared), text, tuple(examples))


def _reused(found: PairFingerprints) -> int:
    """Number of distinct images, uniform ones aside, that occur in more than one row."""
    left, right = found.images.T
    once_a_row = np.concatenate([left[~found.uniform[:, 0]], right[~found.uniform[:, 1] & (left != right)]])
    return int((np.unique(once_a_row, return_counts=True)[1] > 1).sum())


def _sides(found: PairFingerprints, images: np.ndarray) -> tuple[str, ...]:
    rows, sides = np.nonzero(images)
    return tuple(
        f"{found.row_ids[row]} {('left', 'right')[side]}" for row, side in zip(rows[:SHOWN], sides, strict=False)
    )


def _groups(row_ids: np.ndarray, key: np.ndarray) -> tuple[str, ...]:
    keys = list(dict.fromkeys(key.tolist()))[:SHOWN]
    return tuple(f"rows {first_few(row_ids[key == value].tolist())}" for value in keys)
