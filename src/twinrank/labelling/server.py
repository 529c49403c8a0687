"""The server of the page to judge on (FastAPI): a page, images by number, and what raters say."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from twinrank.core.web import REQUEST_SECONDS, Guard, run
from twinrank.core.web_refusals import add_refusals
from twinrank.data.images.decode import UnusableImage
from twinrank.errors import InputError
from twinrank.labelling.databases import Unreachable
from twinrank.labelling.pictures import Pictures
from twinrank.labelling.session import MOST_AHEAD, Session
from twinrank.labelling.storage import MOST_PAIRS, Outcome
from twinrank.reporting.served_page import label_page

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
    page, pictures = label_page(session.store.question), Pictures(files, keep_digest=session.keep_digest)

    app.add_middleware(Guard, largest=_LARGEST, only_loopback=only_loopback, seconds=REQUEST_SECONDS)
    app.add_exception_handler(InputError, _refused)
    app.add_exception_handler(Unreachable, _unreachable)
    add_refusals(app, "/ is the page to judge on")

    @app.get("/")
    def whole_page() -> Response:
        return HTMLResponse(page.html, headers={"Content-Security-Policy": page.policy, "Cache-Control": "no-store"})

    @app.get("/images/{number}")
    def image(number: int) -> Response:
        if not 0 <= number < len(pictures):
            raise HTTPException(404, f"there is no image {number}")
        try:
            content, kind = pictures[number]
        except (InputError, UnusableImage) as error:
            raise HTTPException(404, f"image {number} cannot be read") from error
        return Response(content, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    @app.post("/api/next")
    def next_pairs(wish: _Wish) -> dict[str, Any]:
        return {"pairs": session.next(wish.rater, wish.count), "progress": session.progress(wish.rater.strip())}

    @app.post("/api/pairs/{number}")
    def answer(number: Annotated[int, InPath(ge=0, le=MOST_PAIRS)], given: _Answer) -> dict[str, Any]:
        session.answer(number, given.rater, given.outcome, given.seconds)
        return {"progress": session.progress(given.rater.strip())}

    @app.post("/api/undo")
    def undo(who: _Rater) -> dict[str, Any]:
        return {"pair": session.undo(who.rater), "progress": session.progress(who.rater.strip())}

    @app.get("/api/standings")
    def summary() -> dict[str, Any]:
        return session.summary()

    return app


async def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 409)


async def _unreachable(_: Request, error: Exception) -> Response:
    # The page keeps its answers, and sends them again.
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})


def serve(session: Session, files: Sequence[Path], listening: socket.socket, only_loopback: bool) -> None:
    """Serve until the process gets Ctrl-C or SIGTERM. Answers that were sent are kept first.

    Args:
        session: Judging of the images.
        files: Files of the images.
        listening: Socket.
        only_loopback: Whether requests for other host names are refused.
    """
    app = make_app(session, files, only_loopback)
    session.start()
    try:
        run(app, listening)
    finally:
        session.stop()
