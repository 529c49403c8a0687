"""Pages with scripts: one HTML file with its style and script, which talks to its own server alone, or to nobody."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from twinrank.reporting.template import template

_TEMPLATES = Path(__file__).parent / "templates"
_SERVER = "img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'"
_BROWSER = "img-src data: blob:"
_RUNTIME = "'wasm-unsafe-eval' blob:"
"""What a network in a browser needs: its script stands in the page, compressed."""


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
    return _page("label.html.j2", "page.js", "served.js", "label.js", question=question)


def play_page() -> ServedPage:
    """The page on which people compare two images, drawn or their own, by a network of the server."""
    return _page("play.html.j2", *_play("served.js", "play_server.js"), blocks={})


def browser_page(about: Mapping[str, Any], blocks: Mapping[str, bytes], origin: str, licence: str) -> str:
    """The same page without a server: the network is in it, and runs in the browser.

    Args:
        about: What the page knows of the network, as ``play_browser.js`` reads it.
        blocks: Files in the page, compressed by gzip: ``script`` and ``machine`` of the runtime, and the ``graph``.
        origin: Line about where the page comes from.
        licence: Licence of the runtime.
    """
    encoded = {name: base64.b64encode(content).decode("ascii") for name, content in blocks.items()}
    scripts = _play("play_browser.js")
    values = {"blocks": encoded, "about": about, "origin": origin, "licence": licence}
    return _page("play.html.j2", *scripts, offline=True, **values).html


def api_page(document: dict[str, Any]) -> ServedPage:
    """The page that explains the requests of a server.

    Args:
        document: OpenAPI document of the server.
    """
    return _page("api.html.j2", document=document)


def _play(*network: str) -> tuple[str, ...]:
    """Scripts of the page to play on; some of them bring the network."""
    return "page.js", *network, "play_cover.js", "play_sides.js", "play.js"


def _page(name: str, *scripts: str, offline: bool = False, **values: Any) -> ServedPage:
    """A page from a template, whose scripts are the only ones that may run."""
    script = Markup("\n".join((_TEMPLATES / each).read_text(encoding="utf-8") for each in scripts))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    own = f"'sha256-{digest}' {_RUNTIME}" if offline else f"'sha256-{digest}'"
    policy = (
        f"default-src 'none'; {_BROWSER if offline else _SERVER}; style-src 'unsafe-inline'; script-src {own};"
        " base-uri 'none'; form-action 'none'"
    )
    return ServedPage(template(name).render(script=script, policy=policy, **values), policy)
