"""Requests to a server of ``twinrank label``: such as its page sends, and such as nobody should send."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.fuzz.bend import ODD, bent_bytes, bent_text

OUTCOMES = ("left", "right", "tie", "skip")
_NUMBERS = ("-1", "0", "1", "9" * 12, "9" * 30, "9" * 5000, "1.5", "1e3", "0x1", "", "%00", "..%2F..%2Fvotes.csv", "٣")
_QUERIES = ("", "?", "?rater=Ada", "?a=1&a=2&a[]=3", "?%", "?%00%ff", "?" + "q" * 5000, "?rater=%ED%A0%80", "?\x7f;&")
_METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI", "POST\0", "x" * 300)
_TYPES = ("text/plain", "application/xml", "application/json; charset=utf-16", "application/json;;", "", "\xff", "\x01")
_HEADERS = (
    ("Content-Length", "5"),
    ("Content-Length", "-1"),
    ("Content-Length", "abc"),
    ("Content-Length", "9" * 400),
    ("Transfer-Encoding", "chunked"),
    ("Transfer-Encoding", "gzip, chunked"),
    ("Host", "evil.example"),
    ("Host", "[::1"),
    ("Host", "127.0.0.1:99999999"),
    ("Host", "\xff\x01"),
    ("Expect", "100-continue"),
    ("Upgrade", "websocket"),
    ("Upgrade", "h2c"),
    ("Range", "bytes=0-,5-1,-9999999999999999999"),
    ("If-None-Match", "*" * 2000),
    ("Accept-Encoding", "\x00\x1b[2J"),
    ("Cookie", "a=b; " * 3000),
    ("X-Long", "x" * 70_000),
    ("X:\x0bodd", "1"),
    (" ", " "),
)
_END = b"0\r\n\r\n"
_CHUNKS = (b"5\r\nhello\r\n" + _END, _END, b"zz\r\n\r\n", b"f" * 18 + b"\r\n", b"5;x=\0\r\nhello\r\n" + _END)


@dataclass(frozen=True)
class Sent:
    """A request.

    Attributes:
        method: Method.
        path: Path, and what follows it.
        body: Body; None for requests without one.
        headers: Headers that are added, or replace those that belong to the request.
        raw: Bytes that are sent in place of all this.
        whole: Whether it is complete, so that a reply must come.
        how: How it was bent, in words.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    whole: bool = True
    how: str = "as it should be"

    @property
    def content(self) -> bytes:
        """What goes over the wire."""
        if self.raw is not None:
            return self.raw
        headers = {"Host": "127.0.0.1", "Connection": "close"}
        if self.body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        lines = [f"{name}: {value}" for name, value in (headers | dict(self.headers)).items() if value != "gone"]
        head = "\r\n".join([f"{self.method} {self.path} HTTP/1.1", *lines, "", ""])
        return head.encode("utf-8", "surrogateescape") + (self.body or b"")

    @property
    def pairs(self) -> set[int]:
        """Numbers of the pairs that it may answer."""
        return {int(found) for found in re.findall(rb"/api/pairs/(\d{1,9})(?!\d)", self.content)}

    @property
    def said(self) -> dict[str, Any]:
        """What its body says, where it is an object of JSON."""
        try:
            value = json.loads(self.body or b"")
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


@dataclass
class Rater:
    """Somebody who judges, and bends every second request.

    Args:
        names: Names under which they judge.
        random: What is drawn from.
    """

    names: Sequence[str]
    random: Random
    shown: list[tuple[int, str]] = field(default_factory=list)

    def request(self) -> Sent:
        """The next request."""
        sent = self._good()
        return self._bent(sent) if self.random.random() < 0.5 else sent

    def _good(self) -> Sent:
        random, rater = self.random, self.random.choice(self.names)
        kind = random.choice(["next", "answer", "answer", "answer", "undo", "image", "standings", "page"])
        if kind == "answer" and self.shown:
            # Some are answered twice.
            pair, rater = self.shown.pop() if random.random() < 0.8 else random.choice(self.shown)
            given = {"rater": rater, "outcome": random.choice(OUTCOMES), "seconds": round(random.uniform(0, 9), 3)}
            return Sent("POST", f"/api/pairs/{pair}", json.dumps(given).encode())
        if kind == "undo":
            return Sent("POST", "/api/undo", json.dumps({"rater": rater}).encode())
        gets = {"image": f"/images/{random.randrange(12)}", "standings": "/api/standings", "page": "/"}
        if kind in gets:
            return Sent("GET", gets[kind])
        return Sent("POST", "/api/next", json.dumps({"rater": rater, "count": random.randint(1, 5)}).encode())

    def _bent(self, sent: Sent) -> Sent:
        random = self.random
        ways = ["path", "query", "method", "type", "header", "headers", "chunks"]
        ways += ["json"] * 6 if sent.body is not None else []
        # What such bytes ask for is not known, and an answer may not be taken back unnoticed.
        ways += ["body", "raw", "raw"] if sent.path != "/api/undo" else []
        way = random.choice(ways)
        match way:
            case "json" if sent.body is not None:
                text, how = bent_text(sent.body.decode(), random)
                return replace(sent, body=text.encode(errors="surrogatepass"), how=how)
            case "body":
                body = random.choice([*ODD, b"{" * 9_000, b"[" * 9_000, random.randbytes(50), b"x" * 20_000, b""])
                return replace(sent, body=body, how="another body")
            case "raw":
                raw, how = bent_bytes(sent.content, random)
                return replace(sent, raw=raw, whole=False, how=how)
            case "path":
                start = sent.path.rpartition("/")[0]
                path = random.choice([f"{start}/{random.choice(_NUMBERS)}", f"/{sent.path}", f"{sent.path}/", "*"])
                return replace(sent, path=path, how=f"path {path[:40]}")
            case "query":
                return replace(sent, path=sent.path + random.choice(_QUERIES), how="a query")
            case "method":
                return replace(sent, method=random.choice(_METHODS), whole=False, how="another method")
            case "type":
                return replace(sent, headers=(("Content-Type", random.choice(_TYPES)),), how="another type")
            case "headers":
                many = tuple((f"X-{number}", "y" * 20) for number in range(random.choice([50, 1500])))
                return replace(sent, headers=many, whole=False, how="many headers")
            case "chunks":
                body, headers = random.choice(_CHUNKS), (("Transfer-Encoding", "chunked"), ("Content-Length", "gone"))
                return replace(sent, body=body, headers=headers, whole=False, how="chunks")
        name, value = random.choice(_HEADERS)
        return replace(sent, headers=((name, value),), whole=False, how=f"{name}: {value[:20]}")
