"""Clients that send requests as fast as they are answered, over plain sockets: they should cost next to nothing."""

import selectors
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple


class Load(NamedTuple):
    """What some clients saw.

    Attributes:
        seconds: Seconds that it took.
        processor_seconds: Seconds of processor time of the clients.
        latencies: Seconds of each request.
        refused: Responses with another status than 200.
    """

    seconds: float
    processor_seconds: float
    latencies: list[float]
    refused: int


class _Client:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self.received = b""

    def send(self, request: bytes) -> None:
        self.received, self.began = b"", time.perf_counter()
        self.socket.sendall(request)

    def take(self) -> int | None:
        """The status of the response, once it is complete."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the server has closed a connection")
        self.received += part
        head, blank, body = self.received.partition(b"\r\n\r\n")
        if not blank:
            return None
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head[9:12]) if len(body) >= length else None


def drive(address: tuple[str, int], requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let clients send requests by turns, each its next one as soon as it has a response.

    Args:
        address: Host and port.
        requests: Whole requests.
        clients: Number of connections.
        seconds: Seconds after which no more requests are sent.
    """
    latencies: list[float] = []
    refused = sent = 0
    with selectors.DefaultSelector() as waiting:
        started, used = time.perf_counter(), time.process_time()
        for _ in range(clients):
            client = _Client(address)
            waiting.register(client.socket, selectors.EVENT_READ, client)
            client.send(requests[sent % len(requests)])
            sent += 1
        while waiting.get_map():
            for key, _ in waiting.select():
                client = key.data
                if (status := client.take()) is None:
                    continue
                now = time.perf_counter()
                latencies.append(now - client.began)
                refused += status != 200
                if now - started < seconds:
                    client.send(requests[sent % len(requests)])
                    sent += 1
                else:
                    waiting.unregister(client.socket)
                    client.socket.close()
    return Load(time.perf_counter() - started, time.process_time() - used, latencies, refused)


def post(path: str, body: bytes) -> bytes:
    """A whole request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body
