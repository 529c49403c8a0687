"""The door of a server: how much may come in at a time, how long it may take, and what is counted."""

import asyncio
import time
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinrank.core.web import whole_request
from twinrank.core.web_refusals import refusal
from twinrank.serving.limits import Limits
from twinrank.serving.metrics import Metrics

RETRY = {"retry-after": "1"}
"""Header that says when to try again, in seconds."""
_BUSY = "the server is busy; try again in a second"


class Door:
    """Take in as many requests as there is room for, whole, and let none take for ever.

    Args:
        app: Application behind it. It gets each request as one message.
        limits: Bounds.
        metrics: Counters.
        paths: Paths that are counted under their names; all others are one.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, paths: Collection[str]) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._paths = frozenset(paths)
        self._requests = self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, path = time.perf_counter(), scope["path"] if scope["path"] in self._paths else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(path, str(message["status"])).inc()
                self._metrics.request_seconds.labels(path).observe(time.perf_counter() - started)
            await send(message)

        size = int(Headers(scope=scope).get("content-length", "0"))
        room = self._limits.bytes_at_a_time - self._bytes
        if self._requests >= self._limits.requests_at_a_time or size > room:
            return await _respond(counted, 503, _BUSY, RETRY)
        self._count(1, size)
        try:
            return await self._serve(scope, receive, counted)
        finally:
            self._count(-1, -size)

    def _count(self, requests: int, size: int) -> None:
        self._requests, self._bytes = self._requests + requests, self._bytes + size
        self._metrics.begun.set(self._requests)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        whole = await whole_request(receive, send, self._limits.request_seconds)
        if whole is None:
            return None
        begun = False

        async def noted(sent: Message) -> None:
            nonlocal begun
            begun = True
            await send(sent)

        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return await self._app(scope, whole, noted)
        except TimeoutError:
            if begun:
                raise
            return await _respond(send, 503, _BUSY, RETRY)


async def _respond(send: Send, status: int, line: str, headers: dict[str, str]) -> None:
    for message in refusal(status, line, headers):
        await send(message)
