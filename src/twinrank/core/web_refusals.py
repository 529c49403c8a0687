"""Refusals of servers: each is one line in ``detail``, which says what is wrong, where, and what to do."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message

from twinrank.errors import one_line

_WORDS = {
    "missing": "is missing; give it",
    "extra_forbidden": "there is no such field; leave it out",
    **dict.fromkeys(("model_attributes_type", "model_type", "dict_type"), "is no object; send one with its fields"),
    "list_type": "is no list; send one",
    "too_short": "is empty; give at least one",
    **dict.fromkeys(("string_type", "string_unicode"), "is no text in UTF-8; send one, in quotes"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "is neither true nor false; send one of these"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "is no whole number; send one"),
    **dict.fromkeys(("float_type", "float_parsing"), "is no number; send one"),
}
"""What is wrong and what to do, by pydantic's name of a defect."""


def refusal(status: int, line: str, headers: Mapping[str, str] | None = None) -> list[Message]:
    """The messages of a response that refuses a request with one line.

    Args:
        status: Status of the response.
        line: What is wrong, where, and what to do.
        headers: More headers.
    """
    body = json.dumps({"detail": line}).encode()
    plain = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in plain.items()]
    return [
        {"type": "http.response.start", "status": status, "headers": raw},
        {"type": "http.response.body", "body": body},
    ]


def defect_of(errors: Sequence[Mapping[str, Any]]) -> str:
    """The first defect of a request in one line, and how many others there are; nothing else of it is repeated.

    >>> defect_of([{"loc": ("body", "pairs", 3, "left"), "msg": "Field required", "type": "missing"}])
    'pairs[3].left: is missing; give it'

    Args:
        errors: Errors of pydantic.
    """
    first = errors[0]
    parts = [part for part in first["loc"] if part not in ("body", "path")]
    if first["type"] == "json_invalid":
        return f"the request is no JSON ({first.get('ctx', {}).get('error', 'damaged')}); send an object"
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
    text = _WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    others = "" if len(errors) == 1 else f" (and {len(errors) - 1:,} more)"
    # The place may have a key of the request, and half of a character in it.
    return one_line(f"{place or 'request'}: {text[:1].lower()}{text[1:]}{others}")


def add_refusals(app: FastAPI, hint: str) -> None:
    """Let an application refuse in one line what no route of it takes, and what fails.

    Args:
        app: Application.
        hint: What to do where there is no such path, or no such method of it.
    """

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        # FastAPI's own reply repeats the request, of which not everything can be written.
        return JSONResponse({"detail": defect_of(error.errors())}, 422)

    @app.exception_handler(404)
    async def unknown(request: Request, error: HTTPException) -> Response:
        own = error.detail != HTTPStatus.NOT_FOUND.phrase
        line = error.detail if own else one_line(f"there is no {request.url.path}; {hint}")
        return JSONResponse({"detail": line}, 404)

    @app.exception_handler(405)
    async def other_method(request: Request, error: HTTPException) -> Response:
        allowed = Headers(error.headers).get("allow", "another method")
        line = one_line(f"{request.url.path} takes {allowed}, and not {request.method}; {hint}")
        return JSONResponse({"detail": line}, 405, error.headers)

    @app.exception_handler(400)
    async def unreadable(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "the request is no JSON in UTF-8; send an object"}, 400)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "the server failed at this request; its log says more"}, 500)
