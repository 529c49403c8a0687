"""A soak: good and bad requests at a bounded rate, and the memory of the server."""

import json
import random
import re
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.clients import post
from benchmarks.serving.pairs import comparisons
from benchmarks.serving.process import Server
from twinrank.core.provenance import provenance
from twinrank.data.judgements import load_pairs
from twinrank.serving.images import as_png

_A_SECOND, _CLIENTS = 10, 4
"""Requests a second, of all clients together."""
_WEIGHTS = {"one": 40, "many": 20, "images": 10, "explanation": 1, "page": 20}
"""How often each kind of request comes."""
_GOOD = 0.7
"""Share of requests that are sent as they are."""
_SETTLED = 0.1
"""Share of the time after which memory counts."""


def soak(data: Path, minutes: float) -> dict[str, Any]:
    """Send requests for some minutes, and count what comes back.

    Args:
        data: Pairs.
        minutes: Minutes.

    Returns:
        Responses by status, connections that the server closed, memory over time in MiB, and whether the server failed.
    """
    pairs = load_pairs(data)
    kinds = _good(comparisons(pairs, 1), comparisons(pairs, 8), [as_png(image) for image in pairs.xa[:50]])
    statuses: Counter[str] = Counter()
    memory: list[float] = []
    with Server() as server:
        started, end = time.monotonic(), time.monotonic() + 60 * minutes
        with ThreadPoolExecutor(_CLIENTS) as pool:
            clients = [pool.submit(_client, number, server.address, kinds, end) for number in range(_CLIENTS)]
            while time.monotonic() < end:
                time.sleep(min(10.0, max(0.0, end - time.monotonic())))
                memory.append(round(server.memory, 1))
            for client in clients:
                statuses += client.result()
        passed = time.monotonic() - started
        crashed = server.process.poll() is not None or '"ok"' not in server.get("health")
    settled = np.array(memory[int(len(memory) * _SETTLED) :])
    tenth = max(1, len(settled) // 10)
    return {
        **provenance(f"python -m benchmarks.serving --minutes {minutes:g}"),
        "minutes": round(passed / 60, 1),
        "requests": sum(statuses.values()),
        "responses": dict(sorted(statuses.items())),
        "memory_mib": {
            "settled": round(float(settled[:tenth].mean()), 1),
            "end": round(float(settled[-tenth:].mean()), 1),
            "most": max(memory),
        },
        "failed": crashed or statuses["500"] + statuses["no response"] > 0,
    }


def _client(seed: int, address: tuple[str, int], kinds: dict[str, list[bytes]], end: float) -> Counter[str]:
    """Send requests at a bounded rate, each after the response to the one before."""
    chance, statuses, pause = random.Random(seed), Counter[str](), _CLIENTS / _A_SECOND
    following = time.monotonic()
    while following < end:
        kind = chance.choices([*_WEIGHTS], [*_WEIGHTS.values()])[0]
        request = chance.choice(kinds[kind])
        statuses[_ask(address, request if chance.random() < _GOOD else _damaged(request, chance))] += 1
        following = max(time.monotonic(), following + pause)
        time.sleep(max(0.0, following - time.monotonic()))
    return statuses


def _good(one: list[bytes], many: list[bytes], files: list[str]) -> dict[str, list[bytes]]:
    """Requests that are answered, by kind; explanations take most time."""
    images = json.dumps({"images": files}).encode()
    return {
        "one": one,
        "many": many,
        "images": [post("/score", images), post("/rank", images)],
        "explanation": [post("/explain", request.partition(b"\r\n\r\n")[2]) for request in one[:20]],
        "page": [f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in ("", "docs", "metrics", "x")],
    }


def _damaged(request: bytes, chance: random.Random) -> bytes:
    """The same with a defect."""
    head, blank, body = request.partition(b"\r\n\r\n")
    match chance.randrange(7):
        case 0:  # The client goes before it has said all, see below.
            return request[: chance.randrange(1, len(request) - 1)]
        case 1:
            return head.replace(b"localhost", b"evil.example") + blank + body
        case 2:
            return chance.randbytes(chance.randrange(1, 3000))
        case 3:
            return head.partition(b"\r\nContent-Length")[0] + b"\r\nContent-Length: 99999999999" + blank
        case 4:
            path = chance.choice(["/compare", "/score", "/rank", "/explain"])
            return post(path, chance.choice([b"{}", b"[", b'{"left": 1}', b'{"images": [""]}', b'{"model": "x"}']))
    bytes_ = bytearray(body)
    for _ in range(chance.randrange(1, 20)):
        if bytes_:
            bytes_[chance.randrange(len(bytes_))] = chance.randrange(256)
    return head + blank + bytes(bytes_)


def _unfinished(request: bytes) -> bool:
    """Whether a request lacks what its header promises; no response to it comes."""
    head, blank, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return not blank or (length is not None and len(body) < int(length[1]) < 10**6)


def _ask(address: tuple[str, int], request: bytes) -> str:
    """The status of the response, or what came instead."""
    try:
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(request)
            if _unfinished(request):
                return "client went"
            found = b""
            while len(found) < 12 and (part := connection.recv(4096)):
                found += part
            return found[9:12].decode("ascii", "replace") if found else "closed"
    except ConnectionError:
        return "closed"
    except TimeoutError:
        return "no response"
