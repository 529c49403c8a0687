"""Judgements in JSON: lines or a list of objects, exports of Label Studio, rankings like those of HPDv2."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from twinrank.core.files import parse_json
from twinrank.core.messages import counted
from twinrank.data.formats.votes.cells import Cells, as_text, cells_of_records
from twinrank.data.formats.votes.outcomes import TIES, examples, number
from twinrank.data.formats.votes.roles import plain
from twinrank.data.images.decode import ENDINGS
from twinrank.errors import InputError

_IMAGES = ("image_path", "file_path", "image_paths", "file_paths", "images")
"""Keys of a list of images that were compared with each other."""


def read_json_table(path: Path, text: str, columns: Mapping[str, str]) -> Cells:
    """Cells of a JSON file: a list of objects, or an object a line.

    Args:
        path: File.
        text: Its content.
        columns: What the user states, by role.

    Raises:
        InputError: It is not JSON, or something else than judgements.
    """
    records, lines, unit = _records(path, text)
    if all(isinstance(record, dict) for record in records):
        if any("data" in record and _annotations(record) is not None for record in records):
            return _label_studio(path, records, lines, unit, columns)
        if any(_ranked_images(record) for record in records):
            return _rankings(path, records, lines, unit)
    return cells_of_records(path, records, lines, unit)


def _records(path: Path, text: str) -> tuple[list[Any], list[int], str]:
    """Objects, with their places: the lines of JSON lines, or the entries of a list."""
    if text.lstrip()[:1] == "{":
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if _is_json(lines[0][1]):
            records = [parse_json(line, f"{path}: line {number}") for number, line in lines]
            return records, [number for number, _ in lines], "line"
    whole = parse_json(text, str(path))
    records = whole if isinstance(whole, list) else [whole]
    return records, list(range(1, len(records) + 1)), "entry"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _annotations(task: Mapping[str, Any]) -> list[Any] | None:
    found = task.get("annotations", task.get("completions"))
    return found if isinstance(found, list) else None


def _label_studio(
    path: Path, tasks: Sequence[Mapping[str, Any]], lines: Sequence[int], unit: str, columns: Mapping[str, str]
) -> Cells:
    """Judgements of an export of Label Studio, one for each annotation.

    A task has ``data`` with the two images, and ``annotations``. The ``result`` of an annotation has entries of type
    ``pairwise``, whose ``value.selected`` is ``left`` or ``right``, or ``choices``, whose ``value.choices`` is a list
    of words. ``completed_by`` is the rater. Annotations with ``was_cancelled`` were skipped without a judgement, and
    are left out. Source: https://labelstud.io/guide/task_format, https://labelstud.io/tags/pairwise.
    """
    records, places, skipped = [], [], 0
    kinds: dict[str, str] = {}
    compared: list[str] = []
    for task, line in zip(tasks, lines, strict=True):
        data = task.get("data")
        for annotation in _annotations(task) or []:
            if not isinstance(data, dict) or not isinstance(annotation, dict):
                raise InputError(f"{path}: {unit} {line} is no task of Label Studio; export it again as JSON")
            answers = dict(_answers(annotation, kinds, compared))
            if annotation.get("was_cancelled") or not answers:
                skipped += 1
                continue
            by = annotation.get("completed_by")
            by = by.get("email", by.get("id")) if isinstance(by, dict) else by
            records.append(
                {**{name: value for name, value in data.items() if not isinstance(value, dict | list)}, **answers}
                | {"completed_by": by, "annotation_id": annotation.get("id")}
            )
            places.append(line)
    if not records:
        raise InputError(f"{path}: no annotation that compares two images; export the project after annotating it")
    cells = cells_of_records(path, records, places, unit)
    roles = {
        role: name for role, name in (("rater", "completed_by"), ("id", "annotation_id")) if any(cells.columns[name])
    }
    roles |= dict(zip(("left", "right"), _compared_fields(cells, compared), strict=False))
    if not columns.keys() & {"outcome", "winner"}:
        roles["outcome"] = _answer_column(cells, kinds)
    notes = (f"{counted(skipped, 'annotation', 'annotations')} without a judgement left out",) if skipped else ()
    return Cells(path, cells.columns, places, unit, roles=roles, kind="Label Studio", notes=notes)


def _answers(annotation: Mapping[str, Any], kinds: dict[str, str], compared: list[str]) -> Iterator[tuple[str, str]]:
    """Answers of an annotation by the name of the control; the controls' types and objects are added up."""
    results = annotation.get("result")
    for result in results if isinstance(results, list) else []:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            continue
        name = str(result.get("from_name"))
        if result.get("type") == "pairwise" and isinstance(value.get("selected"), str):
            kinds[name] = "pairwise"
            compared[:] = compared or str(result.get("to_name", "")).split(",")
            yield name, value["selected"]
        elif result.get("type") == "choices" and isinstance(value.get("choices"), list) and value["choices"]:
            kinds.setdefault(name, "choices")
            yield name, str(value["choices"][0])


def _compared_fields(cells: Cells, compared: Sequence[str]) -> list[str]:
    """The two fields of the tasks that are images: those of the control, else the only two that look so."""
    named = [name.strip() for name in compared]
    if len(named) == 2 and all(name in cells.columns for name in named):
        return named
    images = [
        name
        for name, values in cells.columns.items()
        if all(value.split("?")[0].lower().endswith(ENDINGS) for value in values if value) and any(values)
    ]
    return images if len(images) == 2 else []


def _answer_column(cells: Cells, kinds: Mapping[str, str]) -> str:
    """The control that compares; choices that are all ties complete it.

    Raises:
        InputError: Several controls could be it.
    """
    pairwise = [name for name, kind in kinds.items() if kind == "pairwise"]
    choices = [name for name, kind in kinds.items() if kind == "choices"]
    found = pairwise or choices
    if len(found) > 1:
        shown = " or ".join(f"outcome={name}" for name in found)
        raise InputError(f"{cells.path}: several controls could be the outcome; choose with `columns`: {shown}")
    for name in choices if pairwise else []:
        if all(plain(value) in TIES for value in cells.columns[name] if value):
            tied = zip(cells.columns[name], cells.columns[found[0]], strict=True)
            cells.columns[found[0]] = [tie or selected for tie, selected in tied]
    return found[0]


def _ranked_images(record: Mapping[str, Any]) -> list[str]:
    """The images of an entry that compares several, if it is one."""
    judged = record.keys() & {"human_preference", "rank", "raw_annotations", "raw_annotation"}
    for key in _IMAGES if judged else ():
        images = record.get(key)
        if isinstance(images, list) and all(isinstance(image, str) for image in images):
            return images
    return []


def _rankings(path: Path, records: Sequence[Mapping[str, Any]], lines: Sequence[int], unit: str) -> Cells:
    """Judgements of entries that compare several images of one prompt, like those of HPDv2.

    ``image_path`` or ``file_path`` is a list of images. ``human_preference`` has the votes for each (1 for the chosen
    one), or the number of the chosen one, from 0. ``rank`` has their ranks, the best first; ``raw_annotations`` has the
    ranks that each annotator gave, with ``user_hash``. Two images with c and d votes are a share c / (c + d) of c + d
    votes. Source: https://github.com/tgxs002/HPSv2, section "Human Preference Dataset v2".
    """
    rows: list[tuple[str, str, str, str, str]] = []
    places: list[int] = []
    wrong: list[str] = []
    for record, line in zip(records, lines, strict=True):
        images = _ranked_images(record)
        found = [*_comparisons(record, images)] if len(images) > 1 else []
        if not found:
            wrong.append(f"{unit} {line}")
        for left, right, share, votes, rater in found:
            rows.append((images[left], images[right], share, votes, rater))
            places.append(line)
    if wrong:
        defects = "; ".join(examples("entries without a list of images, or without votes or ranks for each", wrong))
        raise InputError(f"{path}: {defects}; correct these")
    names = ("left", "right", "share", "votes", "user_hash")
    columns = {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    roles = {"left": "left", "right": "right", "share": "share", "weight": "votes"}
    if any(columns["user_hash"]):
        roles["rater"] = "user_hash"
    else:
        del columns["user_hash"]
    notes = (f"from {counted(len(records), 'entry', 'entries')}",)
    return Cells(path, columns, places, unit, roles=roles, kind="images that were compared or ranked", notes=notes)


def _comparisons(record: Mapping[str, Any], images: Sequence[str]) -> Iterator[tuple[int, int, str, str, str]]:
    """Places of two images, share of the votes for the first or ``tie``, votes, and rater; nothing if it is wrong."""
    pairs = [*combinations(range(len(images)), 2)]
    votes = record.get("human_preference")
    if isinstance(votes, int) and not isinstance(votes, bool) and 0 <= votes < len(images):
        votes = [int(place == votes) for place in range(len(images))]
    if votes is not None:
        counts = _numbers(votes, len(images))
        for left, right in pairs if counts and min(counts) >= 0 else ():
            total = counts[left] + counts[right]
            if total:
                yield left, right, repr(counts[left] / total), as_text(total), as_text(record.get("user_hash"))
        return
    annotations = record.get("raw_annotations", record.get("raw_annotation"))
    given = annotations if isinstance(annotations, list) and annotations else [record]
    for each in given:
        ranks = _numbers(each.get("rank", each.get("ranking")) if isinstance(each, dict) else None, len(images))
        for left, right in pairs if ranks else ():
            share = "tie" if ranks[left] == ranks[right] else str(int(ranks[left] < ranks[right]))
            yield left, right, share, "1", as_text(each.get("user_hash"))


def _numbers(values: Any, count: int) -> list[float]:
    """So many finite numbers; an empty list if the values are anything else."""
    if not isinstance(values, list) or len(values) != count:
        return []
    found = [number(as_text(value)) for value in values]
    return found if all(value == value for value in found) else []
