"""What servers have in common: an address to listen on, a guard at the door, an end that finishes what has begun."""

import asyncio
import signal
import socket
import time
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from twinrank.core.web_refusals import refusal
from twinrank.errors import InputError

REQUEST_SECONDS = 20.0
"""Seconds until a request must have arrived."""
_HEADER_SECONDS = 10.0
"""Seconds that a connection may wait without a complete header of a request."""
_HEADER_BYTES = 64 << 10
"""Bytes of the headers of a request."""
_GRACE_SECONDS = 30
"""Seconds that requests get to be answered when the server ends."""
_MOST_CONNECTIONS = 500
_HIGHEST_PORT = 65_535
_ENDS = "the server ends and has not answered this request; send it again when it is back"
_NOTHING_ELSE = "default-src 'none'; frame-ancestors 'none'"


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on an address.

    Args:
        host: Address, such as 127.0.0.1.
        port: Port; 0 for any that is free.

    Raises:
        InputError: The address is none of this machine, or the port is out of range or taken.
    """
    if not 0 <= port <= _HIGHEST_PORT:
        raise InputError(f"`port` is {port}; it must be from 0 to {_HIGHEST_PORT:,}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen on {host}, port {port} ({reason}); choose another `host` or `port`") from error
    return listening


def address_of(listening: socket.socket, host: str) -> str:
    """The address of a page on a socket, for people: ``http://127.0.0.1:8000/``.

    Args:
        listening: Socket.
        host: Address as it was given.
    """
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def whole_request(receive: Receive, send: Send, seconds: float) -> Receive | None:
    """Wait until a request has arrived.

    Args:
        receive: What gives its parts.
        send: What a late one is refused by.
        seconds: Time that it has.

    Returns:
        What gives it as one message; None where it came too late, or the client has gone.
    """
    try:
        async with asyncio.timeout(seconds):
            body = await _body(receive)
    except TimeoutError:
        line = f"the request has not arrived within {seconds:g} seconds; send it again"
        for message in refusal(408, line, {"connection": "close"}):
            await send(message)
        return None
    if body is None:
        return None
    given = False

    async def at_once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return at_once


async def _body(receive: Receive) -> bytes | None:
    """The body of a request; None if the client has gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


class Guard:
    """Refuse large or late requests and other host names, and say in each response what a browser may do with it.

    A page of someone else may send a browser here under a host name of its own. So requests for other names than those
    of this machine are refused where only this machine is served.

    Args:
        app: Application behind it.
        largest: Bytes of a request.
        only_loopback: Whether requests for other host names are refused.
        seconds: Seconds until a request must have arrived; None where the application sees to that.
    """

    def __init__(self, app: ASGIApp, largest: int, only_loopback: bool, seconds: float | None = None) -> None:
        self._app = app
        self._largest = largest
        self._only_loopback = only_loopback
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await _uncut(self._app, scope, receive, send)

        begun = False

        async def marked(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault("Content-Security-Policy", _NOTHING_ELSE)
            await send(message)

        if refused := self._refusal(scope):
            for message in refused:
                await marked(message)
            return None
        try:
            if self._seconds is None:
                return await self._app(scope, receive, marked)
            if whole := await whole_request(receive, marked, self._seconds):
                await self._app(scope, whole, marked)
        except asyncio.CancelledError:
            # Only the end of the server cancels a request. Its tasks end with this one.
            if not begun:
                for message in refusal(503, _ENDS, {"connection": "close", "retry-after": "1"}):
                    await marked(message)
            return None

    def _refusal(self, scope: Scope) -> list[Message] | None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0" if scope["method"] in ("GET", "HEAD") else "")
        if not length.isdecimal():
            return refusal(411, "the request does not state its length; send the header Content-Length")
        if len(length) > 15 or int(length) > self._largest:
            return refusal(413, f"the request has more than {self._largest:,} bytes; send less at a time")
        if self._only_loopback and not is_loopback(_host_name(headers)):
            return refusal(400, "this server is for its own machine alone; ask for 127.0.0.1 or localhost")
        return None


async def _uncut(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The life of an application, without its complaint where a second Ctrl-C cuts it off."""
    cut = False

    async def noted() -> Message:
        nonlocal cut
        try:
            return await receive()
        except asyncio.CancelledError:
            cut = True
            raise

    async def passed(message: Message) -> None:
        if not cut:
            await send(message)

    await app(scope, noted, passed)


def _host_name(headers: Headers) -> str:
    """The name of the machine that a request asks for, without the port."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


class _Protocol(HttpToolsProtocol):
    """The protocol of uvicorn, which closes a connection whose headers do not end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_headers, self._header_bytes = True, 0

    def data_received(self, data: bytes) -> None:
        """Called with what has arrived."""
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > _HEADER_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Called where a request begins."""
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called where the headers of a request end."""
        self._in_headers = False
        super().on_headers_complete()


class _Server(uvicorn.Server):
    """A server that closes connections on which no complete header of a request arrives."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._idle_since: dict[Any, float] = {}

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        if counter % 10 == 0:
            now, before = time.monotonic(), self._idle_since
            idle: list[Any] = [each for each in self.server_state.connections if _waits_for_header(each)]
            self._idle_since = {each: before.get(each, now) for each in idle}
            for each, since in self._idle_since.items():
                if now - since > _HEADER_SECONDS:
                    each.transport.close()
        return await super().on_tick(counter)


def _waits_for_header(connection: Any) -> bool:
    cycle = connection.cycle
    return cycle is None or cycle.response_complete


def run(app: ASGIApp, listening: socket.socket) -> None:
    """Serve until the process gets Ctrl-C or SIGTERM. Requests that have begun are answered first.

    Args:
        app: Application.
        listening: Socket.

    Raises:
        KeyboardInterrupt: It got Ctrl-C.
    """
    settings = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        http=_Protocol,
        loop="uvloop",
        ws="none",
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # When it has ended, uvicorn raises the signal once more, which would end the process here.
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        _Server(settings).run([listening])
    finally:
        signal.signal(signal.SIGTERM, before)
