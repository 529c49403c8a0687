"""The server of the page to judge on (FastAPI): a page, images by number, and what raters say."""

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from twinrank.core.files import read_bytes
from twinrank.data.images.decode import UnusableImage
from twinrank.data.images.display import for_browser
from twinrank.errors import InputError
from twinrank.labelling.session import MOST_AHEAD, Session
from twinrank.labelling.storage import Outcome
from twinrank.reporting.label_page import label_page

_LARGEST = 10_000
"""Bytes of a request."""


class _Rater(BaseModel):
    rater: Annotated[str, Field(max_length=200)]


class _Wish(_Rater):
    count: Annotated[int, Field(ge=1, le=MOST_AHEAD)] = 1


class _Answer(_Rater):
    outcome: Outcome
    seconds: Annotated[float | None, Field(ge=0, le=1e6, allow_inf_nan=False)] = None


def make_app(session: Session, files: Sequence[Path], only_loopback: bool = True) -> FastAPI:
    """The application of a page to judge on.

    No path of a file comes from a request: images have numbers.

    Args:
        session: Judging of the images.
        files: Files of the images, in the order of the session's names.
        only_loopback: Whether requests for other host names are refused, as those of a hostile web page would be.
    """
    app = FastAPI(title="twinrank label", docs_url=None, redoc_url=None, openapi_url=None)
    page = label_page(session.store.question)

    _guard(app, only_loopback)

    @app.get("/")
    def whole_page() -> Response:
        return HTMLResponse(page.html, headers={"Content-Security-Policy": page.policy, "Cache-Control": "no-store"})

    @app.get("/images/{number}")
    def image(number: int) -> Response:
        if not 0 <= number < len(files):
            raise HTTPException(404, f"there is no image {number}")
        try:
            content, kind = for_browser(read_bytes(files[number]))
        except (InputError, UnusableImage) as error:
            raise HTTPException(404, f"image {number} cannot be read") from error
        return Response(content, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    @app.post("/api/next")
    def next_pairs(wish: _Wish) -> dict[str, Any]:
        return {"pairs": session.next(wish.rater, wish.count), "progress": session.progress(wish.rater.strip())}

    @app.post("/api/pairs/{number}")
    def answer(number: int, given: _Answer) -> dict[str, Any]:
        session.answer(number, given.rater, given.outcome, given.seconds)
        return {"progress": session.progress(given.rater.strip())}

    @app.post("/api/undo")
    def undo(who: _Rater) -> dict[str, Any]:
        return {"pair": session.undo(who.rater), "progress": session.progress(who.rater.strip())}

    @app.get("/api/standings")
    def summary() -> dict[str, Any]:
        return session.summary()

    return app


def _guard(app: FastAPI, only_loopback: bool) -> None:
    """Refuse large requests and other host names, and say in each reply what a browser may do with it."""

    @app.middleware("http")
    async def careful(request: Request, call: Callable[[Request], Any]) -> Response:
        length = request.headers.get("content-length", "0" if request.method == "GET" else "")
        if not length.isdecimal() or int(length) > _LARGEST:
            return JSONResponse({"detail": "the request is too large"}, 413)
        if only_loopback and not is_loopback(_host_name(request)):
            return JSONResponse({"detail": "this page is for its own machine alone"}, 400)
        response = await call(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return response

    @app.exception_handler(InputError)
    async def refused(_: Request, error: InputError) -> Response:
        return JSONResponse({"detail": str(error)}, 409)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on an address.

    Args:
        host: Address, such as 127.0.0.1.
        port: Port; 0 for any that is free.

    Raises:
        InputError: The address is none of this machine, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen on {host}, port {port} ({reason}); choose another `host` or `port`") from error
    return listening


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(request: Request) -> str:
    """The name of the machine that a request asks for, without the port."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def serve(session: Session, files: Sequence[Path], listening: socket.socket, only_loopback: bool) -> None:
    """Serve until the process gets Ctrl-C or SIGTERM. Answers that were sent are kept first.

    Args:
        session: Judging of the images.
        files: Files of the images.
        listening: Socket.
        only_loopback: Whether requests for other host names are refused.
    """
    app = make_app(session, files, only_loopback)
    settings = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    session.start()
    try:
        uvicorn.Server(settings).run([listening])
    finally:
        session.stop()
