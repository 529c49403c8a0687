"""Two raters at a server of ``twinrank label`` that sends them pairs, and is killed: what it confirmed must be kept."""

import json
import os
import re
import signal
import socket
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.fuzz.requests import Rater, Sent
from tests.fuzz.trial import LONGEST, SECONDS, started
from tests.fuzz.world import copied

from twinrank.labelling.storage import LabelStore

REQUESTS = "requests"
"""Name of this kind of trial."""
_COMMAND = ("label", "pictures", "--out", "judged.db", "--port", "0", "--question", "\x1b[31m<b>Older?</b>")
_RATERS = (("Ada", "<img src=x onerror=alert(1)>"), ("名前 ü", "'); DROP TABLE judgements; --"))
GOOD = ("answered", "refused in one line", "unfinished")
"""What may become of a request."""
_EARLY = b"HTTP/1.1 100 Continue\r\n\r\n"
_MOMENT = 0.3
"""Seconds that a reply to an incomplete request is waited for."""


class Visit(NamedTuple):
    """What a server did with many requests.

    Attributes:
        counts: Numbers of requests that were answered, refused in one line, or got no reply since they had no end.
        kept: Number of judgements that were confirmed.
        problems: What is wrong, a text each.
        peak: Memory of the server at the peak, in bytes.
    """

    counts: Counter[str]
    kept: int
    problems: list[str]
    peak: int


class _Notes:
    """What a rater has seen of a server.

    Args:
        rater: Rater.
    """

    def __init__(self, rater: Rater) -> None:
        self.rater = rater
        self.counts, self.problems = Counter[str](), list[str]()
        self.confirmed, self.maybe = dict[int, tuple[str, str]](), set[int]()
        self.undone, self.maybe_undone = Counter[str](), 0

    def note(self, sent: Sent, reply: bytes | None) -> None:
        """Take note of a reply.

        Args:
            sent: Request.
            reply: What came back; None where nothing came in time.
        """
        kind, found = _kind(sent, reply), _json(reply)
        self.counts[kind] += 1
        if kind not in GOOD:
            what = f"{sent.method[:20]!r} {sent.path[:60]!r} ({sent.how})"
            self.problems.append(f"{kind}: {what}: {None if reply is None else reply[:300]!r}")
        if kind == "refused in one line":
            return
        sure = kind == "answered" and sent.raw is None and sent.method == "POST" and "progress" in found
        if not sure:
            self.maybe |= sent.pairs
            self.maybe_undone += sent.path.startswith("/api/undo")
            return
        rater = sent.said["rater"].strip()
        if "pairs" in found:
            self.rater.shown += [(each["id"], rater) for each in found["pairs"]]
        elif "pair" in found:
            self.undone[rater] += found["pair"] is not None
        else:
            self.confirmed |= dict.fromkeys(sent.pairs, (rater, sent.said["outcome"]))


def visit(world: Path, folder: Path, random: Random, requests: int) -> Visit:
    """Send requests to a new server, kill it, and look into its database.

    Args:
        world: Corpus, whose pictures are judged.
        folder: Folder for a copy.
        random: What is drawn from.
        requests: Number of requests of each of two raters.
    """
    here = copied(world, folder)
    raters = [_Notes(Rater(names, Random(random.random()))) for names in _RATERS]
    with tempfile.TemporaryFile() as out:
        server = started(_COMMAND, here, out.fileno())
        try:
            port = _port(out.fileno())
            with ThreadPoolExecutor(len(raters)) as pool:
                for done in [pool.submit(_judge, notes, port, requests) for notes in raters]:
                    done.result()
            alive = _exchanged(Sent("GET", "/"), port)
        finally:
            os.kill(server, signal.SIGKILL)
            usage = os.wait4(server, 0)[2]
        text = os.pread(out.fileno(), 1 << 20, 0).decode(errors="replace")
    problems = [problem for notes in raters for problem in notes.problems]
    problems += [] if alive and b" 200 " in alive[:20] else ["ended: the page is gone"]
    if "Traceback" in text or any(ord(letter) < 32 and letter != "\n" for letter in text):
        problems.append(f"printed: {text[-600:]}")
    problems += _lost(raters, here / "judged.db")
    counts = sum((notes.counts for notes in raters), Counter[str]())
    return Visit(counts, sum(len(notes.confirmed) for notes in raters), problems, usage.ru_maxrss * 1024)


def _judge(notes: _Notes, port: int, requests: int) -> None:
    for _ in range(requests):
        sent = notes.rater.request()
        notes.note(sent, _exchanged(sent, port))


def _lost(raters: list[_Notes], database: Path) -> list[str]:
    """What the database has not, or has although nobody said it."""
    store = LabelStore(database)
    rows = {row.id: row for row in store.rows()}
    store.close()
    confirmed = {pair: said for notes in raters for pair, said in notes.confirmed.items()}
    problems = [
        f"lost: {rater!r} said {outcome} of {pair}, and there is {rows.get(pair)}"
        for pair, (rater, outcome) in confirmed.items()
        if pair not in rows or (rows[pair].rater, rows[pair].outcome) != (rater, outcome)
    ]
    undone = Counter(row.rater for row in rows.values() if row.undone)
    taken_back = sum((notes.undone for notes in raters), Counter[str]())
    more = sum((undone - taken_back).values())
    if taken_back - undone or more > sum(notes.maybe_undone for notes in raters):
        problems.append(f"taken back: {taken_back}, and {undone} are")
    maybe = set[int]().union(*(notes.maybe for notes in raters))
    said = {pair for pair, row in rows.items() if row.outcome}
    return problems + [f"made up: {rows[pair]}" for pair in said - confirmed.keys() - maybe]


def _port(out: int) -> int:
    """The port that a server has printed."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if found := re.search(rb"http://127\.0\.0\.1:(\d+)/", os.pread(out, 10_000, 0)):
            return int(found[1])
        time.sleep(0.005)
    raise TimeoutError(os.pread(out, 10_000, 0).decode(errors="replace"))


def _exchanged(sent: Sent, port: int) -> bytes | None:
    """Everything that comes back until the server closes the connection; None where it does not in time."""
    patience, parts = SECONDS if sent.whole else _MOMENT, []
    try:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            connection.settimeout(patience)
            connection.sendall(sent.content)
            while part := connection.recv(1 << 16):
                parts.append(part)
    except TimeoutError:
        return b"".join(parts) or None
    except OSError:  # It was closed while we sent.
        pass
    whole = b"".join(parts)
    return whole.partition(_EARLY)[2] if whole.startswith(_EARLY) else whole


def _kind(sent: Sent, reply: bytes | None) -> str:
    """What became of a request."""
    if not reply:
        # A connection that is closed without a word is fine where the request could not be read.
        return "unfinished" if not sent.whole else "hangs" if reply is None else "no reply"
    head, _, body = reply.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status >= 500:
        return "5xx"
    if status < 400:
        return "answered"
    # What is no request at all is refused in plain text; and HEAD has no body.
    line = _json(reply).get("detail", body.decode(errors="replace"))
    clear = isinstance(line, str) and line.isprintable() and len(line) <= LONGEST
    return "refused in one line" if clear else "refused in other words"


def _json(reply: bytes | None) -> dict[str, Any]:
    body = (reply or b"").partition(b"\r\n\r\n")[2]
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
