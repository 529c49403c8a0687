"""Bend a file: bytes that are cut, changed or repeated, values of another kind, paths that are no files."""

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

_LONG = "1" + "0" * 400
_VALUES: tuple[Any, ...] = (
    *(None, "x", "", [], {}, -1, 0, 1, True, 1.5, float("nan"), float("inf"), 10**30, [[]], {"a": 1}),
    *("y" * 5_000, "a\nb\x1b[31m|<b>", "../../etc/passwd", "\u202eevil", "=1+1"),
)
_RAW = (_LONG, "-" + _LONG, "[" * 100_000, '"\\ud800"', "1e999")
"""Text in place of a value, which a writer of JSON would not write."""
ODD = (
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\n",
    b'"',
    b",",
    b"=cmd|' /C calc'!A0",
    b"\x1b[2J",
    b"<script>",
    b"9" * 5_000,
)


def bend(path: Path, random: Random) -> str:
    """Change a file, or put something else in its place.

    Args:
        path: File.
        random: What is drawn from.

    Returns:
        What was done, in words.
    """
    if random.random() < 0.12:
        return _replaced(path, random)
    ways = {".json": _bend_json, ".jsonl": _bend_lines, ".npz": _bend_arrays, ".safetensors": _bend_header}
    way = ways.get(path.suffix)
    return way(path, random) if way is not None and random.random() < 0.6 else _bend_bytes(path, random)


def _replaced(path: Path, random: Random) -> str:
    how = random.choice(["deleted", "a folder", "a pipe", "a link to itself", "an endless file", "empty", "unreadable"])
    if how == "unreadable":
        path.chmod(0)
        return how
    path.unlink()
    match how:
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "a link to itself":
            path.symlink_to(path.name)
        case "an endless file":
            path.symlink_to("/dev/zero")
        case "empty":
            path.touch()
    return how


def _bend_bytes(path: Path, random: Random) -> str:
    content, how = bent_bytes(path.read_bytes(), random)
    path.write_bytes(content)
    return how


def bent_bytes(given: bytes, random: Random) -> tuple[bytes, str]:
    """Bytes that are cut, changed, repeated, removed, or replaced, and what was done.

    Args:
        given: Bytes.
        random: What is drawn from.
    """
    content = bytearray(given)
    how = random.choice(["cut", "changed", "repeated", "inserted", "removed", "zeros", "noise"])
    at = random.randrange(len(content) + 1)
    end = min(len(content), at + random.choice([1, 4, 64, 4096]))
    match how:
        case "cut":
            del content[at:]
        case "changed":
            for _ in range(random.choice([1, 3, 30])):
                if content:
                    content[random.randrange(len(content))] = random.randrange(256)
        case "repeated":
            content[at:at] = content[at:end] * random.choice([1, 2, 50])
        case "inserted":
            content[at:at] = random.choice(ODD)
        case "removed":
            del content[at:end]
        case "zeros":
            content[at:end] = bytes(end - at)
        case "noise":
            content[at:end] = random.randbytes(end - at)
    return bytes(content), f"{how} at {at}"


def _bend_json(path: Path, random: Random) -> str:
    text, what = bent_text(path.read_text(encoding="utf-8"), random)
    path.write_text(text, encoding="utf-8")
    return what


def _bend_lines(path: Path, random: Random) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    number = random.randrange(len(lines))
    text, what = bent_text(lines[number], random)
    lines[number] = text.replace("\n", " ")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"line {number}: {what}"


def _bend_header(path: Path, random: Random) -> str:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    text, what = bent_text(content[8 : 8 + length].decode(), random)
    header = text.encode(errors="surrogatepass")
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    return f"header: {what}"


def _bend_arrays(path: Path, random: Random) -> str:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = random.choice([*arrays])
    array, how = arrays[name], random.choice(["gone", "text", "more", "another shape", "nan", "fewer", "large", "0-d"])
    match how:
        case "gone":
            del arrays[name]
        case "text":
            arrays[name] = array.astype("U3") if array.dtype.kind != "U" else np.zeros(array.shape)
        case "more":
            arrays["more"] = np.zeros(3)
        case "another shape":
            arrays[name] = array[None]
        case "nan":
            arrays[name] = np.full(array.shape, np.nan)
        case "fewer" if array.ndim:
            arrays[name] = array[:-1]
        case "large":
            arrays[name] = np.zeros(30_000_000, np.int64)
        case _:
            arrays[name] = np.array(7)
    np.savez_compressed(path, **arrays)
    return f"{name}: {how}"


def bent_text(text: str, random: Random) -> tuple[str, str]:
    """JSON with one value that is gone or another one, and what was done.

    Args:
        text: JSON.
        random: What is drawn from.
    """
    value = json.loads(text)
    *parents, last = places = random.choice([*_places(value)]) or ("",)
    if places == ("",):
        return json.dumps(random.choice(_VALUES)), "all of it is another value"
    inner, mark = value, "@@mark@@"
    for step in parents:
        inner = inner[step]
    if random.random() < 0.2:
        del inner[last]
        return json.dumps(value), f"{places}: gone"
    if random.random() < 0.2:
        inner[last] = mark
        raw = random.choice(_RAW)
        return json.dumps(value).replace(json.dumps(mark), raw), f"{places}: {raw[:20]}"
    inner[last] = random.choice(_VALUES)
    return json.dumps(value), f"{places}: {str(inner[last])[:20]!r}"


def _places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = [*value] if isinstance(value, dict) else range(min(3, len(value))) if isinstance(value, list) else ()
    return [before, *(place for key in keys for place in _places(value[key], (*before, key)))]
