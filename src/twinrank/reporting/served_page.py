"""Pages of servers: one HTML file with its style and script, which talks to its own server alone."""

import base64
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from twinrank.reporting.template import template

_TEMPLATES = Path(__file__).parent / "templates"


class ServedPage(NamedTuple):
    """A page of a server.

    Attributes:
        html: The page.
        policy: Its content security policy, to be sent as a header.
    """

    html: str
    policy: str


def label_page(question: str) -> ServedPage:
    """The page to judge on, for a question.

    Args:
        question: Question that people answer about two images.
    """
    return _page("label.html.j2", "served.js", "label.js", question=question)


def play_page() -> ServedPage:
    """The page on which people compare two images, drawn or their own, by a network."""
    return _page("play.html.j2", "served.js", "play_cover.js", "play_sides.js", "play.js")


def api_page(document: dict[str, Any]) -> ServedPage:
    """The page that explains the requests of a server.

    Args:
        document: OpenAPI document of the server.
    """
    return _page("api.html.j2", document=document)


def _page(name: str, *scripts: str, **values: Any) -> ServedPage:
    """A page from a template, whose scripts are the only ones that may run."""
    script = Markup("\n".join((_TEMPLATES / each).read_text(encoding="utf-8") for each in scripts))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src 'self' data: blob:; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return ServedPage(template(name).render(script=script, **values), policy)
