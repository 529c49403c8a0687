"""The templates of pages."""

from pathlib import Path

import jinja2

from twinrank.reporting import formats


def template(name: str) -> jinja2.Template:
    """A template of a page.

    Args:
        name: Name of its file.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["formats"] = formats
    environment.filters["plain"] = formats.plain
    return environment.get_template(name)
