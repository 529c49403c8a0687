"""The page to judge on: one HTML file with its style and script, which talks to its own server alone."""

import base64
import hashlib
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from twinrank.reporting.template import template

_SCRIPT = Path(__file__).parent / "templates" / "label.js"


class LabelPage(NamedTuple):
    """A page to judge on.

    Attributes:
        html: The page.
        policy: Its content security policy, to be sent as a header.
    """

    html: str
    policy: str


def label_page(question: str) -> LabelPage:
    """The page to judge on, for a question.

    Args:
        question: Question that people answer about two images.
    """
    script = Markup(_SCRIPT.read_text(encoding="utf-8"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return LabelPage(template("label.html.j2").render(question=question, script=script), policy)
