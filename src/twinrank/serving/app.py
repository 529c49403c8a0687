"""The application of a server of predictions (FastAPI)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from twinrank import __version__
from twinrank.core.web import Guard
from twinrank.core.web_refusals import add_refusals
from twinrank.errors import InputError
from twinrank.reporting.served_page import ServedPage, api_page, play_page
from twinrank.serving import schema
from twinrank.serving.answers import Answers, UnknownModel
from twinrank.serving.batcher import Batcher, Busy
from twinrank.serving.door import RETRY, Door
from twinrank.serving.limits import Limits
from twinrank.serving.metrics import CONTENT_TYPE, Metrics
from twinrank.serving.models import Served

_ABOUT = "Predicts which of two images ranks higher. Images are sent as base64; no request names a file or an address."
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": schema.Problem, "description": "The request is no text in UTF-8, or asks for another host."},
    404: {"model": schema.Problem, "description": "There is no such model or path."},
    408: {"model": schema.Problem, "description": "The request has not arrived in time."},
    411: {"model": schema.Problem, "description": "The request does not state its length."},
    413: {"model": schema.Problem, "description": "The request is too large."},
    422: {"model": schema.Problem, "description": "The request or an image is not accepted."},
    503: {
        "model": schema.Problem,
        "description": "The server is busy or ends; the header Retry-After says when to try again.",
    },
}


class _JsonRoute(APIRoute):
    """A route whose function takes one model, ``given``. A body of JSON becomes that model in one step.

    FastAPI takes three times as long for it. It still gets what the model refuses, since it says why.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function that answers a request."""
        thorough, endpoint = super().get_route_handler(), self.endpoint
        given: type[BaseModel] = endpoint.__annotations__["given"]

        async def answer(request: Request) -> Response:
            if request.headers.get("content-type") != "application/json":
                return await thorough(request)
            try:
                read = given.model_validate_json(await request.body())
            except ValidationError:
                return await thorough(request)
            return await endpoint(read)

        return answer


def make_app(models: Sequence[Served], limits: Limits = Limits(), only_loopback: bool = True) -> FastAPI:
    """The application of a server.

    Args:
        models: Models, the default first.
        limits: Bounds.
        only_loopback: Whether requests for other host names are refused, as those of a hostile web page would be.
    """
    metrics = Metrics()
    batcher = Batcher(limits, metrics)
    answers = Answers(models, batcher, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        await asyncio.to_thread(batcher.stop)
        answers.close()

    app = FastAPI(
        title="twinrank serve",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    _add_requests(app, answers)
    _add_pages(app, models, batcher, metrics)
    _add_refusals(app)
    paths = [getattr(route, "path", "") for route in app.routes]
    app.add_middleware(Door, limits=limits, metrics=metrics, paths=paths)
    app.add_middleware(Guard, largest=limits.request_bytes, only_loopback=only_loopback)
    return app


def _add_requests(app: FastAPI, answers: Answers) -> None:
    """The requests about images."""
    requests = APIRouter(route_class=_JsonRoute)

    @requests.post("/compare", response_model=schema.ComparedPair | schema.ComparedPairs, responses=_REFUSALS)
    async def compare(given: schema.Comparison) -> Response:
        """Which of two images ranks higher? One pair, or many at once."""
        return JSONResponse(await answers.compare(given))

    @requests.post("/score", response_model=schema.Scores, responses=_REFUSALS)
    async def score(given: schema.Images) -> Response:
        """The score of each image."""
        return JSONResponse(await answers.score(given))

    @requests.post("/rank", response_model=schema.Ranking, responses=_REFUSALS)
    async def rank(given: schema.Images) -> Response:
        """Images by their scores, the highest first."""
        return JSONResponse(await answers.rank(given))

    @requests.post("/explain", response_model=schema.Explanation, responses=_REFUSALS)
    async def explain(given: schema.OnePair) -> Response:
        """What each spot of both images contributes: some hundred comparisons with a spot covered."""
        return JSONResponse(await answers.explain(given))

    app.include_router(requests)


def _add_pages(app: FastAPI, models: Sequence[Served], batcher: Batcher, metrics: Metrics) -> None:
    """The state of the server, and its pages."""
    play, described = play_page(), {"models": [model.described() for model in models]}
    names = [model.name for model in models]
    about: list[ServedPage] = []

    @app.get("/models", response_model=schema.Models)
    async def listed() -> Response:
        """The models of this server, the default first."""
        return JSONResponse(described)

    @app.get("/health", response_model=schema.Health, responses={503: {"model": schema.Health}})
    async def health() -> Response:
        """Whether the server works."""
        status = "ok" if batcher.alive else "stopped"
        return JSONResponse({"status": status, "models": names}, 200 if batcher.alive else 503)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def counters() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return _shown(play)

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> Response:
        if not about:
            about.append(api_page(app.openapi()))
        return _shown(about[0])


def _shown(page: ServedPage) -> Response:
    return HTMLResponse(page.html, headers={"Content-Security-Policy": page.policy, "Cache-Control": "no-store"})


def _add_refusals(app: FastAPI) -> None:
    """Each refusal has one line."""

    add_refusals(app, "/docs explains all requests")

    @app.exception_handler(InputError)
    async def refused(_: Request, error: InputError) -> Response:
        return JSONResponse({"detail": str(error)}, 404 if isinstance(error, UnknownModel) else 422)

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> Response:
        return JSONResponse({"detail": "the server is busy; try again in a second"}, 503, RETRY)
